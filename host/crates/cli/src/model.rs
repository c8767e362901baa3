//! Opening models, and `model check`.

use crate::{
    args::{DeviceArguments, ModelCheckArguments},
    hub, output, terminal,
};
use anyhow::bail;
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, DecoderConfig, Head, HfTokenizer, LoadOptions, ModelFiles, Precision,
};
use inferenceguard_model::{Model, ScoreModel, ScoreRow};
use serde_json::json;
use std::sync::Arc;

/// How models are loaded, by the arguments.
pub(crate) fn options(arguments: &DeviceArguments) -> anyhow::Result<LoadOptions> {
    let precision = match arguments.precision.as_str() {
        "f32" => Precision::F32,
        "f16" => Precision::F16,
        "bf16" => Precision::BF16,
        "q8_0" => Precision::Q8_0,
        other => bail!("precision {other} is unknown; write f32, f16, bf16 or q8_0"),
    };
    let prompt_cache = arguments.prompt_cache << 20;
    Ok(LoadOptions { device: arguments.device.parse()?, precision, prompt_cache, ..LoadOptions::default() })
}

/// `model check`: loads the folder and runs one word, as a request would.
pub(crate) fn check(arguments: &ModelCheckArguments) -> anyhow::Result<()> {
    let folder = hub::folder(&arguments.model)?;
    let options = options(&arguments.device)?;
    let files = ModelFiles::folder(&folder);
    let config = DecoderConfig::read(&files)?;
    let tokenizer = Arc::new(HfTokenizer::of(&files)?);
    let report = match config.head {
        Head::Language => language(CandleModel::load_files(&files, &options)?)?,
        Head::Score(_) | Head::Classification => {
            score(CandleScoreModel::load_files(&files, &options, &*tokenizer)?, tokenizer)?
        }
    };
    if arguments.json {
        return output::json(&report);
    }
    let lines = report.as_object().into_iter().flatten();
    let lines: Vec<String> = lines.map(|(name, value)| format!("{name:<12} {}", plain(value))).collect();
    output::result(terminal::lines(lines))
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const TEXT: &str = "Hello";

fn language(mut model: CandleModel) -> anyhow::Result<serde_json::Value> {
    let prompt = model.encode_prompt(TEXT)?;
    let (beam, latent) = model.prefill(&prompt)?;
    let logits = model.project(&latent)?.to_host()?.into_owned();
    model.release(&[beam]);
    if !logits.iter().all(|logit| logit.is_finite()) {
        bail!("its logits for `{TEXT}` hold NaN or infinity; check the weights and the number format");
    }
    let info = model.info();
    Ok(json!({
        "kind": "language model", "name": info.name, "vocab": info.vocab, "hidden": info.hidden,
        "context": info.context, "eos": info.eos, "prompt": prompt.len(), "fingerprint": info.fingerprint,
    }))
}

fn score(mut model: CandleScoreModel, tokenizer: Arc<HfTokenizer>) -> anyhow::Result<serde_json::Value> {
    let tokens = tokenizer.encode_framed(TEXT, false)?;
    let id = model.open(TEXT, tokenizer)?;
    let scored = model.extend(&[ScoreRow { id, tokens, ended: true }])?;
    let info = model.info();
    Ok(json!({
        "kind": "score model", "name": info.name, "context": info.context,
        "score": scored.first().map(|scored| scored.end), "fingerprint": info.fingerprint,
    }))
}
