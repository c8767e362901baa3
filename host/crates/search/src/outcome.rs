//! How a request ends.

use crate::RoleFailure;
use inferenceguard_model::Token;
use serde::{Deserialize, Serialize};

/// How safe the answer is, with respect to the configured costs and to nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every constraint held by the trackers and by the host's audit, for the generated and the re-tokenised ids.
    WithinBudget,
    /// Some constraint was broken, or could not be priced.
    BudgetExceeded,
    /// Nothing fit was found; the text is the operator's refusal.
    NoSafeCandidate,
    /// A component, a score model or the language model failed, and no answer could be emitted without it; the text is the
    /// operator's refusal. It says nothing about the prompt or the budgets: count it neither as safe nor as a refusal.
    Failed,
    /// There was no constraint, so nothing was priced against a budget: the text is what the policy chose.
    Unguarded,
}

/// Why the answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended it.
    Eos,
    /// A stop text came up.
    Stop,
    /// The most tokens were reached.
    Length,
    /// Nothing fit was found.
    Refused,
    /// A component, a score model or the language model failed.
    Failed,
    /// The caller cancelled.
    Cancelled,
}

/// One constraint of a finished request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConstraintReport {
    /// The constraint's name.
    pub name: String,
    /// d.
    pub budget: f64,
    /// S at the end: discounted, clipped.
    pub cost: f64,
    /// The largest S.
    pub max_cost: f64,
    /// The tracker's z: at the start, then after each token.
    pub z: Vec<f64>,
    /// S of the same ids priced once more, all in one piece, by the real cost model; none if nothing safe was emitted, or
    /// where the language model would have to run again. Where it differs from `cost`, prices depend on how chunks end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<f64>,
}

/// What a request used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Tokens sampled in all.
    pub sampled_tokens: u64,
    /// Positions given to score models.
    pub scored_positions: u64,
    /// Beams priced.
    pub priced_beams: u64,
    /// Retries.
    pub retries: u64,
    /// Steps back to an earlier chunk's runners-up.
    pub backtracks: u64,
    /// Rows that the language model's back end did not grow, or not as asked. None of them became a candidate.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_rows: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A finished request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The answer, or the refusal text (after what was already released).
    pub text: String,
    /// The generated ids of the answer; empty for a refusal and a failure.
    pub tokens: Vec<Token>,
    /// The log-probability of each of them, as it was drawn (before any steering or penalty).
    pub logprobs: Vec<f32>,
    /// How safe it is.
    pub status: Status,
    /// Why it ended.
    pub finish: Finish,
    /// The constraints.
    pub constraints: Vec<ConstraintReport>,
    /// The task cost of the answer.
    pub task_cost: Option<f64>,
    /// The sum of the log-probabilities of the answer's tokens.
    pub logprob: f64,
    /// What was used.
    pub usage: Usage,
    /// Components and score models that failed on the way, and the language model where it ended the request. An answer may be
    /// emitted all the same, if it was priced to its end without them.
    pub failures: Vec<RoleFailure>,
}

impl Outcome {
    /// This outcome, of a request before which components failed, where earlier turns of its conversation were priced: what
    /// it refuses then, it refuses because of them.
    #[must_use]
    pub fn after(mut self, earlier: Vec<RoleFailure>) -> Self {
        self.failures.splice(0..0, earlier);
        if self.ending() == Status::Failed {
            (self.status, self.finish) = (Status::Failed, Finish::Failed);
        }
        self
    }

    /// How it ended, also for records that were written before [`Status::Failed`] was there: they called a failure a
    /// refusal.
    #[must_use]
    pub fn ending(&self) -> Status {
        let refused = self.status == Status::NoSafeCandidate && self.finish == Finish::Refused;
        if refused && !self.failures.is_empty() { Status::Failed } else { self.status }
    }
}
