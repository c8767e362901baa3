//! `bundle diff`: recorded answers under two bundles.

use crate::{flags::GuardArguments, output};
use clap::Args;
use inferenceguard_console::{escape, record::judged_apart};
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
    match compared {
        Compared::Failed { record, failure } => {
            output::note(format_args!("record {record}: not judged: {}", escape::line(failure)));
            Ok(())
        }
        Compared::Differs { header, old, new, .. } if as_json => {
            output::json(&json!({"record": header.sequence, "old": old, "new": new}))
        }
        Compared::Differs { header, body, old, new } => {
            output::result(judged_apart(header.sequence, &body.outcome.text, old, new))
        }
    }
}
