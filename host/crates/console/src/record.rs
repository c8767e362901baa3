//! A record in words: the decisions, and where the budget went.

use crate::{answer, escape};
use inferenceguard_model::{ModelIdentity, Token, Tokenizer};
use inferenceguard_record::{Body, Candidate, Header, Span};
use std::sync::Arc;

/// A model's tokenizer, and which model it is.
pub type Language = (Arc<dyn Tokenizer>, ModelIdentity);

/// Explains a record. Tokens are spelled if `language` is the model that answered; `models` are the models that the header names,
/// with their fingerprints.
#[must_use]
pub fn words(
    header: &Header,
    body: &Body,
    models: impl Iterator<Item = (String, String)>,
    language: Option<&Language>,
) -> String {
    let bundle = &header.bundle;
    let mut lines = vec![
        format!(
            "record {}: {}, {}",
            header.sequence,
            answer::status(body.outcome.ending()),
            answer::finish(header.finish)
        ),
        format!("  by {} of {} {} (generation {:?})", header.method, bundle.name, bundle.version, header.generations),
    ];
    lines.extend(models.map(|(what, fingerprint)| format!("  {what} {fingerprint}")));
    let repeats = || answer::repeats(&header.engine, header.repeats_from).unwrap_or_else(|| header.engine.clone());
    lines.extend((!header.engine.is_empty()).then(|| format!("  engine {}", repeats())));
    lines.extend(body.steps().iter().map(|step| {
        let again = if step.attempt > 0 { format!(", try {}", step.attempt + 1) } else { String::new() };
        let lost = if step.lost > 0 { format!(", {} lost", step.lost) } else { String::new() };
        format!("  chunk {}{again}: {} of {} safe{lost}; {}", step.chunk + 1, step.safe, step.candidates, step.decision)
    }));
    lines.extend(body.outcome.failures.iter().map(|failure| format!("  failed: {failure}")));
    let tokenizer = language.filter(|(_, model)| model.expect(&header.model).is_ok()).map(|(tokenizer, _)| tokenizer);
    lines.extend(body.nearest().into_iter().flat_map(|nearest| candidate(&nearest, tokenizer)));
    escape::lines(lines)
}

fn candidate(found: &Candidate, tokenizer: Option<&Arc<dyn Tokenizer>>) -> Vec<String> {
    let whose = if found.emitted { "the answer" } else { "the nearest candidate" };
    let spelled = |tokens: &[Token]| match tokenizer.map(|tokenizer| tokenizer.decode(tokens)) {
        Some(Ok(text)) => format!("{:?}", text.trim()),
        _ => format!("{tokens:?}"),
    };
    let mut lines = vec![format!("  {whose}: {}", spelled(&found.tokens))];
    lines.extend(found.margins.iter().map(|(name, left, budget)| match *left >= 0.0 {
        true => format!("  {name}: {left:.2} of {budget} left"),
        false => format!("  {name}: {:.2} more than the budget of {budget}", -left),
    }));
    lines.extend(found.dearest.iter().map(|Span { constraint, from, to, cost }| {
        format!("  dearest for {constraint}: {} cost {cost:.2}", spelled(&found.tokens[*from..*to]))
    }));
    lines
}
