//! `bundle diff`: recorded answers under two bundles.

use crate::{flags::GuardArguments, output};
use clap::Args;
use inferenceguard_console::escape;
use inferenceguard_host::Judgement;
use inferenceguard_replay::{Compared, diff as compare};
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

/// Judges every recorded answer by both bundles, and shows the differences.
pub(super) fn diff(arguments: &DiffArguments) -> anyhow::Result<()> {
    let bundles = [arguments.old.as_path(), &arguments.new];
    let show = &mut |compared: Compared<'_>| show(arguments.json, &compared);
    let judged = compare(&arguments.guard.choice(), bundles, &arguments.records, show)?;
    output::note(judged);
    Ok(())
}

fn show(as_json: bool, compared: &Compared<'_>) -> anyhow::Result<()> {
    let (header, body, old, new) = match compared {
        Compared::Failed { record, failure } => {
            output::note(format_args!("record {record}: not judged: {}", escape::line(failure)));
            return Ok(());
        }
        Compared::Differs { header, body, old, new } => (header, body, old, new),
    };
    if as_json {
        return output::json(&json!({"record": header.sequence, "old": old, "new": new}));
    }
    let way = if new.within_budget { "would pass now" } else { "would not pass any more" };
    let text: String = body.outcome.text.chars().take(80).collect();
    output::result(format_args!(
        "record {}: {way}\n  old: {}\n  new: {}\n  {text:?}",
        header.sequence,
        spent(old),
        spent(new)
    ))
}

fn spent(judged: &Judgement) -> String {
    let one = judged.constraints.iter();
    let one = one.map(|c| format!("{} {:.2} of {}", escape::line(&c.name), c.max_cost, c.budget));
    one.collect::<Vec<_>>().join(", ")
}
