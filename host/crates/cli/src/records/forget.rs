//! `forget`: removes prompts and answers from old records.

use crate::output;
use clap::Args;
use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

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
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    // With --keep 0, records of this second are removed as well.
    let before = (now + 1).saturating_sub(arguments.keep.saturating_mul(DAY));
    for path in &arguments.files {
        let forgotten = inferenceguard_record::forget(path, before)?;
        output::result(format_args!("{}: {forgotten} bodies removed, the chain is as it was", path.display()))?;
    }
    Ok(())
}
