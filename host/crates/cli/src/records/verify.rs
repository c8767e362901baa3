//! `verify`: files of records, checked without any model.

use crate::output;
use clap::Args;
use inferenceguard_catalog::{CatalogError, keys::verifying_key};
use std::path::PathBuf;

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
