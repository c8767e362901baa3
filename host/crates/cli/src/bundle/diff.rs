//! `bundle diff`: recorded answers under two bundles.

use crate::{flags::GuardArguments, journal, output, terminal};
use anyhow::Context;
use clap::Args;
use inferenceguard_catalog::{
    Choice,
    bundles::{self, Fallback},
};
use inferenceguard_host::{Engine, Judgement, Prepared, Request};
use inferenceguard_record::{Body, Header};
use inferenceguard_search::Status;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// A file of records
    #[arg(long, value_name = "FILE")]
    records: PathBuf,
    /// Prints one JSON object per answer that is judged differently
    #[arg(long)]
    json: bool,
    /// The old bundle
    old: PathBuf,
    /// The new bundle
    new: PathBuf,
}

/// How the two bundles judge the answers, in numbers of answers.
#[derive(Debug, Default)]
struct Counted {
    same: u64,
    stricter: u64,
    looser: u64,
    /// Refusals, which hold no answer to judge.
    refusals: u64,
    /// Failed requests, which hold no answer either.
    failures: u64,
    /// Answers on which a component of one of the bundles failed.
    unjudged: u64,
}

/// Judges every recorded answer by both bundles, and shows the differences.
pub(super) fn diff(arguments: &DiffArguments) -> anyhow::Result<()> {
    let choice = Choice { bundle: Some(arguments.old.clone()), ..arguments.guard.choice() };
    let engine = choice.engine(&[], &[])?;
    let open = |path| bundles::open(Some(path), Fallback::Plain);
    let prepare = |path| -> anyhow::Result<Prepared> { Ok(engine.prepare(&open(path)?)?) };
    let (old, new) = (prepare(&arguments.old)?, prepare(&arguments.new)?);
    let (mut counted, mut skipped) = (Counted::default(), 0);
    for record in journal::bodies(&arguments.records, &mut skipped)? {
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
