//! What a model is: its sizes, its identity, and whether it computes numbers.

use crate::{CatalogError, Loading, LoadingOptions, hub, language_model, score_model};
use inferenceguard_candle::{
    CandleModel, CandleScoreModel, DecoderConfig, Fact, Facts, Head, HfTokenizer, ModelFiles, Template,
};
use inferenceguard_model::{Model, ModelParts, ScoreModel, ScoreRow};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a model is, and where its files state it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelReport {
    /// A JSON object of what it is.
    report: Value,
    facts: Facts,
}

impl ModelReport {
    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut report = self.report.clone();
        report["facts"] = json!(self.facts.all());
        report
    }

    /// The report in words: each value, then each fact with the files that state it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values = self.report.as_object().into_iter().flatten();
        let values = values.map(|(name, value)| format!("{name:<12} {}", plain(value)));
        values.chain(self.facts.all().iter().map(sourced)).collect()
    }
}

/// A fact, and the files that state it.
fn sourced(fact: &Fact) -> String {
    let from = if fact.from.is_empty() { "no file says".to_owned() } else { fact.from.join(", ") };
    format!("{:<12} {}  ({from})", fact.name, fact.value)
}

/// Loads a model by name and runs one word, as a request would.
///
/// # Errors
/// A model that cannot be found or loaded, or whose logits are not finite.
pub fn inspect(name: &str, options: &LoadingOptions) -> Result<ModelReport, CatalogError> {
    let (folder, loading) = (hub::folder(name, options.note)?, Loading::new(options, None)?);
    loading.check([].iter())?;
    let load = loading.language();
    let files = ModelFiles::folder(&folder);
    let config = DecoderConfig::read(&files)?;
    let tokenizer = Arc::new(HfTokenizer::of(&files)?);
    match config.head {
        Head::Language => {
            let model = language_model(&files, &load, options.note)?;
            let facts = model.facts().clone();
            Ok(ModelReport { report: language(model)?, facts })
        }
        Head::Score(_) | Head::Classification => {
            let model = score_model(&files, &load, &*tokenizer, options.note)?;
            let facts = model.facts().clone();
            Ok(ModelReport { report: score(model, tokenizer)?, facts })
        }
    }
}

const TEXT: &str = "Hello";

fn language(mut model: CandleModel) -> Result<Value, CatalogError> {
    let prompt = model.encode_prompt(TEXT)?;
    let (beam, latent) = model.prefill(&prompt)?;
    let logits = model.project(&latent)?.to_host()?.into_owned();
    model.release(&[beam]);
    if !logits.iter().all(|logit| logit.is_finite()) {
        return Err(CatalogError::NotFinite { text: TEXT });
    }
    let info = model.info();
    let report = json!({
        "kind": "language model", "name": info.name, "vocab": info.vocab, "hidden": info.hidden,
        "context": info.context, "eos": info.eos, "prompt": prompt.len(), "fingerprint": info.fingerprint,
        "template": template(model.template()), "warnings": model.facts().warnings(),
    });
    Ok(with_digests(&info.parts, report))
}

fn score(mut model: CandleScoreModel, tokenizer: Arc<HfTokenizer>) -> Result<Value, CatalogError> {
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
