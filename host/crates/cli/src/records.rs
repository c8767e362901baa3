//! Records of answers: `verify`, `replay`, `explain` and `forget`.

use crate::{
    flags::{DeviceArguments, GuardArguments},
    output,
};
use anyhow::ensure;
use clap::Args;
use inferenceguard_bundle::seconds_since_1970;
use inferenceguard_catalog::{CatalogError, Loading, keys::verifying_key, language_files, language_model};
use inferenceguard_console::record::{self, Language};
use inferenceguard_model::{Model, ModelIdentity};
use inferenceguard_replay::{bodies, models};
use serde_json::json;
use std::{cell::OnceCell, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Files of records
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
        if arguments.json {
            output::json(&found)?;
        } else {
            output::result(&found)?;
        }
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// A server's folder (`serve --state`) where the bundles that decided may be found
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Also lets the model read every answer again, and the costs price it from scratch
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
    /// The model that answered, for the spelling of tokens that no cost read as text; the demonstration's if not given
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
    let (mut skipped, mut explained, language) = (0, 0, OnceCell::new());
    for one in bodies(&arguments.file, &mut skipped)? {
        let (header, body) = one?;
        if arguments.record.is_some_and(|wanted| wanted != header.sequence) {
            continue;
        }
        explained += 1;
        if arguments.json {
            let (header, steps, nearest) = (&header, body.steps(), body.nearest());
            output::json(&json!({"header": header, "steps": steps, "nearest": nearest}))?;
        } else {
            // The record's own text will do where a cost read all of it.
            let own = body.nearest().is_none_or(|nearest| nearest.texts.is_some());
            let spelled = if own { None } else { loaded(&language, arguments)?.as_ref() };
            output::result(record::words(&header, &body, models(&header), spelled))?;
        }
    }
    ensure!(explained > 0, "{}: no such record with a body ({skipped} without)", arguments.file.display());
    Ok(())
}

/// The model, loaded when it is needed first.
fn loaded<'a>(
    cell: &'a OnceCell<Option<Language>>,
    arguments: &ExplainArguments,
) -> anyhow::Result<&'a Option<Language>> {
    match cell.get() {
        Some(language) => Ok(language),
        None => {
            let language = language(arguments)?;
            Ok(cell.get_or_init(|| language))
        }
    }
}

fn language(arguments: &ExplainArguments) -> anyhow::Result<Option<Language>> {
    let loading = Loading::new(&arguments.device.loading(), None)?;
    let files = match language_files(arguments.model.as_deref(), loading.note()) {
        Err(CatalogError::NoDemoModel) => return Ok(None),
        files => files?,
    };
    let model = language_model(&files, &loading.language(), loading.note())?;
    Ok(Some((model.tokenizer(), ModelIdentity::from(model.info()))))
}

const DAY: u64 = 24 * 60 * 60;

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
    // With --keep 0, records of this second are removed as well.
    let before = (seconds_since_1970() + 1).saturating_sub(arguments.keep.saturating_mul(DAY));
    for path in &arguments.files {
        let forgotten = inferenceguard_record::forget(path, before)?;
        output::result(format_args!("{}: {forgotten} bodies removed, the chain is as it was", path.display()))?;
    }
    Ok(())
}
