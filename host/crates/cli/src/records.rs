//! Records of answers: `verify`, `replay`, `explain` and `forget`.

use crate::{
    flags::{DeviceArguments, GuardArguments},
    output,
};
use clap::Args;
use inferenceguard_catalog::{CatalogError, keys::verifying_key};
use inferenceguard_console::record;
use inferenceguard_record::{Body, Header};
use inferenceguard_replay::{Speller, models, show};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Files of records, as `serve --records` and `run --record` write them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Refuses records that this key (its public half) did not sign; may be repeated, then one of the keys must have signed
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Prints one JSON object per file
    #[arg(long)]
    json: bool,
}

/// Checks every file; fails at the first record that does not verify.
pub(crate) fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let keys = arguments.keys.iter().map(|path| verifying_key(path)).collect::<Result<Vec<_>, CatalogError>>()?;
    for path in &arguments.files {
        let found = inferenceguard_replay::verify(path, &keys)?;
        if arguments.json { output::json(&found)? } else { output::result(&found)? }
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// A server's folder (`serve --state`), which holds the bundles that decided
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Also runs the model on every answer again, and prices the answer from scratch
    #[arg(long)]
    with_model: bool,
    /// A file of records
    file: PathBuf,
}

/// Replays every record of a file that has a body.
pub(crate) fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let ReplayArguments { guard, state, with_model, file } = arguments;
    let summary = inferenceguard_replay::replay(&guard.choice(), state.as_deref(), *with_model, file)?;
    output::result(format_args!("{}: {summary}", file.display()))
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The number of a record; all if not given
    #[arg(long, short)]
    record: Option<u64>,
    /// The model that answered (--model model.gguf), to show tokens that no cost read as text; the demonstration's if not given
    #[arg(long, value_name = "DIR|ID")]
    model: Option<String>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Prints one JSON object per record
    #[arg(long)]
    json: bool,
    /// A file of records
    file: PathBuf,
}

/// Explains one record of a file, or all.
pub(crate) fn explain(arguments: &ExplainArguments) -> anyhow::Result<()> {
    let speller = Speller::new(arguments.model.clone(), arguments.device.loading());
    let explain = &mut |header: &Header, body: &Body| -> anyhow::Result<()> {
        if arguments.json {
            let (steps, nearest) = (body.steps(), body.nearest());
            return output::json(&json!({"header": header, "steps": steps, "nearest": nearest}));
        }
        output::result(record::words(header, body, models(header), speller.of(body)?))
    };
    show(&arguments.file, arguments.record, explain)
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArguments {
    /// Keeps the prompts and answers of this many days; 0 keeps none
    #[arg(long, value_name = "DAYS")]
    keep: u64,
    /// Files of records that no server writes to
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Removes the bodies of records that are too old.
pub(crate) fn forget(arguments: &ForgetArguments) -> anyhow::Result<()> {
    for path in &arguments.files {
        let forgotten = inferenceguard_record::forget_older(path, arguments.keep)?;
        output::result(format_args!("{}: {forgotten} bodies removed, the chain is as it was", path.display()))?;
    }
    Ok(())
}
