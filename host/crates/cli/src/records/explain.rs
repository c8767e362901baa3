//! `explain`: why an answer is what it is, in words.

use crate::output;
use anyhow::ensure;
use clap::Args;
use inferenceguard_candle::{CandleModel, LoadOptions};
use inferenceguard_catalog::language_files;
use inferenceguard_console::record::{self, Language};
use inferenceguard_model::{Model, ModelIdentity};
use inferenceguard_replay::{bodies, models};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The number of a record; all if not given
    #[arg(long, short)]
    record: Option<u64>,
    /// The model that answered, for the spelling of its tokens; the demonstration's if not given
    #[arg(long, value_name = "DIR|ID")]
    model: Option<String>,
    /// Prints one JSON object per record
    #[arg(long)]
    json: bool,
    /// A file of records
    file: PathBuf,
}

/// Explains one record of a file, or all.
pub(crate) fn explain(arguments: &ExplainArguments) -> anyhow::Result<()> {
    let (mut skipped, mut explained) = (0, 0);
    let language = language(arguments)?;
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
            output::result(record::words(&header, &body, models(&header), language.as_ref()))?;
        }
    }
    ensure!(explained > 0, "{}: no such record with a body ({skipped} without)", arguments.file.display());
    Ok(())
}

fn language(arguments: &ExplainArguments) -> anyhow::Result<Option<Language>> {
    let Ok(files) = language_files(arguments.model.as_deref(), |text| output::note(text)) else { return Ok(None) };
    let model = CandleModel::load_files(&files, &LoadOptions::default())?;
    Ok(Some((model.tokenizer(), ModelIdentity::from(model.info()))))
}
