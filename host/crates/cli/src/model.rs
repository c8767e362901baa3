//! `model check`: what a model folder holds.

use crate::{flags::DeviceArguments, output, terminal};
use anyhow::bail;
use clap::{Args, Subcommand};
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, DecoderConfig, Fact, Facts, Head, HfTokenizer, ModelFiles, Template,
};
use inferenceguard_catalog::{Loading, hub, language_model, score_model};
use inferenceguard_model::{Model, ModelParts, ScoreModel, ScoreRow};
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Loads a model, runs one word, and shows what it is
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]
    #[arg(value_name = "DIR|ID")]
    model: String,
    #[command(flatten)]
    device: DeviceArguments,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// `model …`.
pub(crate) fn command(command: &ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::Check(arguments) => check(arguments),
    }
}

/// Loads the model and runs one word, as a request would.
fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let options = arguments.device.loading();
    let (folder, loading, note) =
        (hub::folder(&arguments.model, options.note)?, Loading::new(&options, None)?, options.note);
    loading.check([].iter())?;
    let options = loading.language();
    let files = ModelFiles::folder(&folder);
    let config = DecoderConfig::read(&files)?;
    let tokenizer = Arc::new(HfTokenizer::of(&files)?);
    let (report, facts) = match config.head {
        Head::Language => {
            let model = language_model(&files, &options, note)?;
            let facts = model.facts().clone();
            (language(model)?, facts)
        }
        Head::Score(_) | Head::Classification => {
            let model = score_model(&files, &options, &*tokenizer, note)?;
            let facts = model.facts().clone();
            (score(model, tokenizer)?, facts)
        }
    };
    print(report, &facts, arguments.json)
}

fn print(mut report: Value, facts: &Facts, json: bool) -> anyhow::Result<()> {
    if json {
        report["facts"] = serde_json::to_value(facts.taken())?;
        return output::json(&report);
    }
    let lines = report.as_object().into_iter().flatten();
    let mut lines: Vec<String> = lines.map(|(name, value)| format!("{name:<12} {}", plain(value))).collect();
    lines.extend(facts.taken().iter().map(sourced));
    output::result(terminal::lines(lines))
}

/// A fact, and the files that state it.
fn sourced(fact: &Fact) -> String {
    let from = if fact.from.is_empty() { "no file says".to_owned() } else { fact.from.join(", ") };
    format!("{:<12} {}  ({from})", fact.name, fact.value)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

const TEXT: &str = "Hello";

fn language(mut model: CandleModel) -> anyhow::Result<Value> {
    let prompt = model.encode_prompt(TEXT)?;
    let (beam, latent) = model.prefill(&prompt)?;
    let logits = model.project(&latent)?.to_host()?.into_owned();
    model.release(&[beam]);
    if !logits.iter().all(|logit| logit.is_finite()) {
        bail!("its logits for `{TEXT}` hold NaN or infinity; check the weights and the number format");
    }
    let info = model.info();
    let report = json!({
        "kind": "language model", "name": info.name, "vocab": info.vocab, "hidden": info.hidden,
        "context": info.context, "eos": info.eos, "prompt": prompt.len(), "fingerprint": info.fingerprint,
        "template": template(model.template()), "warnings": model.facts().warnings(),
    });
    Ok(with_digests(&info.parts, report))
}

fn score(mut model: CandleScoreModel, tokenizer: Arc<HfTokenizer>) -> anyhow::Result<Value> {
    let tokens = tokenizer.encode_framed(TEXT, false)?;
    let id = model.open(TEXT, tokenizer)?;
    let scored = model.extend(&[ScoreRow { id, tokens, ended: true }])?;
    let info = model.info();
    let report = json!({
        "kind": "score model", "name": info.name, "context": info.context,
        "score": scored.first().map(|scored| scored.end), "fingerprint": info.fingerprint,
        "template": template(model.template()), "warnings": model.facts().warnings(),
    });
    Ok(with_digests(&info.parts, report))
}

/// A report with the digests that its fingerprint covers; it names the template already.
fn with_digests(parts: &ModelParts, mut report: Value) -> Value {
    for name in ModelParts::COVERED.into_iter().chain(["device", "base", "full"]).filter(|name| *name != "template") {
        if let Some(part) = parts.get(name).filter(|part| !part.is_empty()) {
            report[name] = json!(part);
        }
    }
    report
}

/// The template's name and digest.
fn template(template: &Template) -> String {
    format!("{} {}", template.choice(), template.digest())
}
