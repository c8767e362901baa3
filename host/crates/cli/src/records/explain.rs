//! `explain`: why an answer is what it is, in words.

use crate::{flags::DeviceArguments, output};
use anyhow::ensure;
use clap::Args;
use inferenceguard_catalog::{CatalogError, Loading, language_files, language_model};
use inferenceguard_console::record::{self, Language};
use inferenceguard_model::{Model, ModelIdentity};
use inferenceguard_replay::{bodies, models};
use serde_json::json;
use std::{cell::OnceCell, path::PathBuf};

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
