//! `bundle diff`: recorded answers under two bundles.

use super::{Fallback, args::DiffArguments, open};
use crate::{args::GuardArguments, engine, output, records, terminal};
use anyhow::Context;
use inferenceguard_host::{Engine, Judgement, Prepared, Request};
use inferenceguard_record::{Body, Header};
use inferenceguard_search::Status;
use serde_json::json;

/// How many answers went which way.
#[derive(Debug, Default)]
struct Counted {
    same: u64,
    stricter: u64,
    looser: u64,
    /// Refusals hold no answer that could be judged.
    refusals: u64,
    /// Failures neither.
    failures: u64,
    /// Answers on which one of the bundles failed: nothing is known of them.
    unjudged: u64,
}

/// Judges every recorded answer by both bundles, and shows where they differ.
pub(super) fn diff(arguments: &DiffArguments) -> anyhow::Result<()> {
    let engine =
        engine::open(&GuardArguments { bundle: Some(arguments.old.clone()), ..arguments.guard.clone() }, &[], &[])?;
    let prepare = |path| -> anyhow::Result<Prepared> { Ok(engine.prepare(&open(Some(path), Fallback::Plain)?)?) };
    let (old, new) = (prepare(&arguments.old)?, prepare(&arguments.new)?);
    let (mut counted, mut skipped) = (Counted::default(), 0);
    for record in records::bodies(&arguments.records, &mut skipped)? {
        let (header, body) = record?;
        let place = || format!("{}, record {}", arguments.records.display(), header.sequence);
        if body.outcome.tokens.is_empty() {
            match body.outcome.ending() {
                Status::Failed => counted.failures += 1,
                _ => counted.refusals += 1,
            }
            continue;
        }
        let judge = |bundle| judge(&engine, bundle, &header, &body);
        let (before, after) = (judge(&old).with_context(place)?, judge(&new).with_context(place)?);
        if let Some(failure) = before.failures.iter().chain(&after.failures).next() {
            let failure = failure.to_string();
            output::note(format_args!("record {}: not judged: {}", header.sequence, terminal::line(&failure)));
            counted.unjudged += 1;
            continue;
        }
        match (before.within_budget, after.within_budget) {
            (true, false) => counted.stricter += 1,
            (false, true) => counted.looser += 1,
            _ => {
                counted.same += 1;
                continue;
            }
        }
        show(arguments.json, &header, &body, &before, &after)?;
    }
    output::note(format_args!(
        "{} answers are judged the same, {} would not pass any more, {} would pass now; {} refusals, {} failed requests and \
         {skipped} records without a body are not judged, nor are {} answers on which a component failed",
        counted.same, counted.stricter, counted.looser, counted.refusals, counted.failures, counted.unjudged
    ));
    Ok(())
}

fn judge(engine: &Engine, bundle: &Prepared, header: &Header, body: &Body) -> anyhow::Result<Judgement> {
    header.expects(&engine.models().model, &engine.models().scores)?;
    let (prompt, history) = (body.inputs.prompt.clone(), body.inputs.history.clone());
    let request = Request { prompt, history, ..Request::default() };
    Ok(engine.judge_tokens(bundle, &request, &body.outcome.tokens)?)
}

fn show(as_json: bool, header: &Header, body: &Body, before: &Judgement, after: &Judgement) -> anyhow::Result<()> {
    if as_json {
        return output::json(&json!({"record": header.sequence, "old": before, "new": after}));
    }
    let spent = |judged: &Judgement| {
        let one = |c: &inferenceguard_search::ConstraintReport| {
            format!("{} {:.2} of {}", terminal::line(&c.name), c.max_cost, c.budget)
        };
        judged.constraints.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let way = if after.within_budget { "would pass now" } else { "would not pass any more" };
    let text: String = body.outcome.text.chars().take(80).collect();
    output::result(format_args!(
        "record {}: {way}\n  old: {}\n  new: {}\n  {text:?}",
        header.sequence,
        spent(before),
        spent(after)
    ))
}
