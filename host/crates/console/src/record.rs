//! A record in words: the decisions, and where the budget went.

use crate::{answer, escape};
use inferenceguard_host::Judgement;
use inferenceguard_model::{ModelIdentity, Token, Tokenizer};
use inferenceguard_record::{Body, Candidate, Header, NotSafe, Span, Step};
use inferenceguard_search::Found;
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
    let (bundle, status) = (&header.bundle, answer::status(body.outcome.ending(), header.finish));
    let finish = answer::finish(header.finish).map(|finish| format!(", {finish}")).unwrap_or_default();
    let mut lines = vec![
        format!("record {}: {status}{finish}", header.sequence),
        format!("  by {} of {} {} ({})", header.method, bundle.name, bundle.version, activations(&header.generations)),
    ];
    lines.extend(models.map(|(what, fingerprint)| format!("  {what} {fingerprint}")));
    let repeats = || answer::repeats(&header.engine, header.repeats_from).unwrap_or_else(|| header.engine.clone());
    lines.extend((!header.engine.is_empty()).then(|| format!("  engine {}", repeats())));
    let tokenizer = language.filter(|(_, model)| model.expect(&header.model).is_ok()).map(|(tokenizer, _)| tokenizer);
    lines.extend((language.is_some() && tokenizer.is_none()).then(|| OTHER.to_owned()));
    lines.push(format!("  the prompt: {}", shortened(&body.inputs.prompt)));
    lines.extend(decisions(body, tokenizer));
    escape::lines(lines)
}

/// The most characters of a prompt that are shown.
const PROMPT: usize = 300;

/// A prompt in quotes, or its beginning.
fn shortened(prompt: &str) -> String {
    match prompt.char_indices().nth(PROMPT) {
        Some((at, _)) => format!("{:?} ...", &prompt[..at]),
        None => format!("{prompt:?}"),
    }
}

/// Which activations decided, by their numbers.
fn activations(numbers: &[u64]) -> String {
    let several = if numbers.len() == 1 { "activation" } else { "activations" };
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    format!("{several} {}", numbers.join(", "))
}

/// Stands where the tokens of a record cannot be spelled.
const OTHER: &str = "  another model answered (name it with --model): tokens are shown by their ids";

/// A recorded answer that two bundles do not judge the same: which way, and what each bundle charges.
#[must_use]
pub fn judged_apart(number: u64, text: &str, old: &Judgement, new: &Judgement) -> String {
    let way = if new.within_budget { "would pass now" } else { "would not pass any more" };
    let text: String = text.chars().take(80).collect();
    let (old, new) = (spent(old), spent(new));
    format!("record {number}: {way}\n  old: {old}\n  new: {new}\n  {text:?}")
}

fn spent(judged: &Judgement) -> String {
    let one = judged.constraints.iter();
    let one = one.map(|c| format!("{} {:.2} of {}", escape::line(&c.name), c.max_cost, c.budget));
    one.collect::<Vec<_>>().join(", ")
}

/// What was decided about an answer, and where its budgets went. Tokens are spelled with the tokenizer of the model that answered.
#[must_use]
pub fn why(body: &Body, tokenizer: Option<&Arc<dyn Tokenizer>>) -> String {
    escape::lines(decisions(body, tokenizer))
}

fn decisions(body: &Body, tokenizer: Option<&Arc<dyn Tokenizer>>) -> Vec<String> {
    let mut lines: Vec<String> = body.steps().iter().flat_map(step).collect();
    lines.extend(body.outcome.failures.iter().map(|failure| format!("  failed: {failure}")));
    lines.extend(body.nearest().into_iter().flat_map(|nearest| candidate(&nearest, tokenizer)));
    lines
}

/// Candidates of one decision of which it is shown why they were not safe.
const SHOWN: usize = 3;

fn step(step: &Step) -> Vec<String> {
    let again = if step.attempt > 0 { format!(", try {}", step.attempt + 1) } else { String::new() };
    let lost = if step.lost > 0 { format!(", {} lost", step.lost) } else { String::new() };
    let (chunk, decision) = (step.chunk + 1, &step.decision);
    let mut lines =
        vec![format!("  chunk {chunk}{again}: {} of {} safe{lost}; {decision}", step.safe, step.candidates)];
    lines.extend(step.not_safe.iter().take(SHOWN).map(|one| format!("    not safe: {}", reasons(one))));
    let more = step.not_safe.len().saturating_sub(SHOWN);
    lines.extend((more > 0).then(|| format!("    not safe: {more} more")));
    lines
}

/// Why a candidate was not safe: the budgets that it breaks, and what was found in it.
fn reasons(one: &NotSafe) -> String {
    let broken = one.broken.iter().map(|(name, left, budget)| format!("{name}: {}", answer::left(*left, *budget)));
    let mut reasons: Vec<String> = broken.collect();
    if reasons.is_empty() {
        reasons.push("the tracker or the margin of the audit refuses it".to_owned());
    }
    let found = |found: &Found| format!("{} found {:?} at token {}", found.cost, found.found, found.token + 1);
    reasons.extend(one.found.iter().map(found));
    reasons.join("; ")
}

fn candidate(found: &Candidate, tokenizer: Option<&Arc<dyn Tokenizer>>) -> Vec<String> {
    let whose = if found.emitted { "the answer" } else { "the nearest candidate" };
    let spelled = |from: usize, to: usize| spelled(found, tokenizer, from, to);
    let mut lines = vec![format!("  {whose}: {}", spelled(0, found.tokens.len()))];
    let margin = |(name, left, budget): &(String, f64, f64)| format!("  {name}: {}", answer::left(*left, *budget));
    lines.extend(found.margins.iter().map(margin));
    lines.extend(found.dearest.iter().map(|Span { constraint, from, to, cost }| {
        format!("  dearest for {constraint}: {} cost {cost:.2}", spelled(*from, *to))
    }));
    lines.extend(found.found.iter().map(|Found { cost, token, found: what }| {
        let before = (*token as usize + 1).saturating_sub(CONTEXT);
        format!("  {cost} found {what:?} at token {}, in {}", token + 1, spelled(before, *token as usize + 1))
    }));
    lines
}

/// Tokens that are shown up to one at which something was found.
const CONTEXT: usize = 6;

/// Some tokens in words: as a cost read them, else as the tokenizer spells them, else their ids.
fn spelled(found: &Candidate, tokenizer: Option<&Arc<dyn Tokenizer>>, from: usize, to: usize) -> String {
    let read = found.texts.as_ref().and_then(|texts| Some(texts.get(from..to)?.concat()));
    let tokens: &[Token] = found.tokens.get(from..to).unwrap_or_default();
    let decoded = || tokenizer.and_then(|tokenizer| tokenizer.decode(tokens).ok());
    read.or_else(decoded).map_or_else(|| format!("{tokens:?}"), |text| format!("{:?}", text.trim()))
}
