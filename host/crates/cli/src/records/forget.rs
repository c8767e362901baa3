//! `forget`: removes prompts and answers from old records.

use super::args::ForgetArguments;
use crate::output;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;

/// Removes the bodies of records that are older than they should be.
pub(crate) fn forget(arguments: &ForgetArguments) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    // Those of this second are old as well where nothing is kept.
    let before = (now + 1).saturating_sub(arguments.keep.saturating_mul(DAY));
    for path in &arguments.files {
        let forgotten = inferenceguard_record::forget(path, before)?;
        output::result(format_args!("{}: {forgotten} bodies removed, the chain is as it was", path.display()))?;
    }
    Ok(())
}
