//! What a report must not show: answers that a second pricing does not confirm, and figures that are worse than recorded.

use crate::TrialError;
use inferenceguard_eval::{Baseline, Change, Report};
use std::path::Path;

/// Refuses a report with answers within budget that a second pricing does not confirm.
///
/// # Errors
/// [`TrialError::Unconfirmed`].
pub fn confirmed(report: &Report) -> Result<(), TrialError> {
    match report.violations() {
        0 => Ok(()),
        count => Err(TrialError::Unconfirmed { count }),
    }
}

/// What left its recorded interval. A baseline that is to be replaced (`update`) may be missing, or of other prompts.
///
/// # Errors
/// [`TrialError::Eval`] for a baseline that cannot be read, or that is of other prompts.
pub fn changes(report: &Report, path: &Path, update: bool) -> Result<Vec<Change>, TrialError> {
    match Baseline::read(path).and_then(|baseline| baseline.compare(report, path)) {
        Err(_) if update => Ok(Vec::new()),
        changes => Ok(changes?),
    }
}

/// Records the report as the baseline (`update`), or refuses changes for the worse.
///
/// # Errors
/// [`TrialError::Worse`]; a baseline that cannot be written.
pub fn settle(report: &Report, path: &Path, changes: &[Change], update: bool) -> Result<(), TrialError> {
    if update {
        return Ok(Baseline::of(report).write(path)?);
    }
    let worse: Vec<&str> = changes.iter().filter(|change| change.worse).map(|change| change.what.as_str()).collect();
    match worse.is_empty() {
        true => Ok(()),
        false => Err(TrialError::Worse { path: path.to_owned(), worse: worse.join("; ") }),
    }
}
