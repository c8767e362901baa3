//! How an answer ended, in the words of metrics, log lines and spans.

use inferenceguard_host::Output;
use inferenceguard_search::{ConstraintReport, Finish, Status};

/// The constraints of an emitted answer; a refused, cancelled or failed one has spent no budget.
pub(crate) fn decided(output: &Output) -> &[ConstraintReport] {
    if is_decided(output) { &output.constraints } else { &[] }
}

/// Whether an answer was emitted, within budget or not.
pub(crate) fn is_decided(output: &Output) -> bool {
    matches!(output.status, Status::WithinBudget | Status::BudgetExceeded | Status::Unguarded)
}

/// The status in metrics, log lines and spans. A cancelled answer is not a refusal, whatever its status is.
pub(crate) fn ended(of: Status, how: Finish) -> &'static str {
    if how == Finish::Cancelled { finish(how) } else { status(of) }
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::WithinBudget => "within_budget",
        Status::BudgetExceeded => "budget_exceeded",
        Status::NoSafeCandidate => "no_safe_candidate",
        Status::Failed => "failed",
        Status::Unguarded => "unguarded",
    }
}

pub(crate) fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Eos => "eos",
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Refused => "refused",
        Finish::Failed => "failed",
        Finish::Cancelled => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_answer_counts_as_cancelled_and_not_as_a_refusal() {
        assert_eq!(ended(Status::NoSafeCandidate, Finish::Cancelled), "cancelled");
        assert_eq!(ended(Status::NoSafeCandidate, Finish::Refused), "no_safe_candidate");
        assert_eq!(ended(Status::WithinBudget, Finish::Eos), "within_budget");
    }
}
