//! Opening models, and `model check`.

use crate::{
    args::{DeviceArguments, ModelCheckArguments},
    hub, output,
    templates::Templates,
    terminal,
};
use anyhow::bail;
use inferenceguard_bundle::Manifest;
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, DecoderConfig, Fact, Facts, Head, HfTokenizer, LoadOptions, ModelFiles, Precision,
    PromptDate, Template,
};
use inferenceguard_model::{Model, ModelParts, ScoreModel, ScoreRow, Tokenizer};
use serde_json::{Value, json};
use std::sync::Arc;

/// How models are loaded: where they run, and with which templates.
#[derive(Debug, Clone)]
pub(crate) struct Loading {
    base: LoadOptions,
    /// As the arguments say.
    given: Templates,
    /// And the bundle.
    templates: Templates,
}

impl Loading {
    /// As the arguments say, and the bundle where they say nothing.
    pub(crate) fn new(arguments: &DeviceArguments, manifest: Option<&Manifest>) -> anyhow::Result<Self> {
        let given = Templates::parse(&arguments.templates)?;
        let templates = manifest.map_or_else(|| Ok(given.clone()), |manifest| given.clone().or(manifest))?;
        Ok(Self { base: base(arguments)?, given, templates })
    }

    /// Whether templates are given to score models that are there only.
    pub(crate) fn check<'a>(&self, scores: impl Iterator<Item = &'a String> + Clone) -> anyhow::Result<()> {
        self.templates.check(scores)
    }

    /// The language model's.
    pub(crate) fn language(&self) -> LoadOptions {
        let own_template = Some(self.given.language());
        LoadOptions { template: self.templates.language(), own_template, ..self.base.clone() }
    }

    /// A score model's, under the name that costs use.
    pub(crate) fn score(&self, name: &str) -> LoadOptions {
        let own_template = Some(self.given.score(name));
        LoadOptions { template: self.templates.score(name), own_template, name: name.to_owned(), ..self.base.clone() }
    }
}

/// Opens a language model, and says what a person should know about it.
pub(crate) fn language_model(files: &ModelFiles, options: &LoadOptions) -> anyhow::Result<CandleModel> {
    let model = CandleModel::load_files(files, options)?;
    warn(&model.info().name, model.facts());
    Ok(model)
}

/// The same for a score model.
pub(crate) fn score_model(
    files: &ModelFiles,
    options: &LoadOptions,
    language: &dyn Tokenizer,
) -> anyhow::Result<CandleScoreModel> {
    let model = CandleScoreModel::load_files(files, options, language)?;
    warn(&model.info().name, model.facts());
    Ok(model)
}

fn warn(name: &str, facts: &Facts) {
    for warning in facts.warnings() {
        output::note(terminal::line(&format!("warning: {name}: {warning}")));
    }
}

fn base(arguments: &DeviceArguments) -> anyhow::Result<LoadOptions> {
    let precision = match arguments.precision.as_str() {
        "f32" => Precision::F32,
        "f16" => Precision::F16,
        "bf16" => Precision::BF16,
        "q8_0" => Precision::Q8_0,
        other => bail!("precision {other} is unknown; write f32, f16, bf16 or q8_0"),
    };
    let prompt_cache = arguments.prompt_cache << 20;
    let date = arguments.template_date.as_deref().map_or_else(|| Ok(PromptDate::default()), str::parse)?;
    let (device, full_digest) = (arguments.device.parse()?, arguments.full_digest);
    Ok(LoadOptions { device, precision, prompt_cache, date, full_digest, ..LoadOptions::default() })
}

/// `model check`: loads the folder and runs one word, as a request would.
pub(crate) fn check(arguments: &ModelCheckArguments) -> anyhow::Result<()> {
    let folder = hub::folder(&arguments.model)?;
    let loading = Loading::new(&arguments.device, None)?;
    loading.check([].iter())?;
    let options = loading.language();
    let files = ModelFiles::folder(&folder);
    let config = DecoderConfig::read(&files)?;
    let tokenizer = Arc::new(HfTokenizer::of(&files)?);
    let (report, facts) = match config.head {
        Head::Language => {
            let model = language_model(&files, &options)?;
            let facts = model.facts().clone();
            (language(model)?, facts)
        }
        Head::Score(_) | Head::Classification => {
            let model = score_model(&files, &options, &*tokenizer)?;
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

/// A fact, and the files that say so.
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

/// A report, and what the fingerprint in it is made of; of the template, which it is stands there already.
fn with_digests(parts: &ModelParts, mut report: Value) -> Value {
    for name in ModelParts::COVERED.into_iter().chain(["device", "base", "full"]).filter(|name| *name != "template") {
        if let Some(part) = parts.get(name).filter(|part| !part.is_empty()) {
            report[name] = json!(part);
        }
    }
    report
}

/// Which template, and its digest.
fn template(template: &Template) -> String {
    format!("{} {}", template.choice(), template.digest())
}
