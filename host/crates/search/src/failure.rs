//! How a component fails, typed.

use crate::Role;
use serde::{Deserialize, Serialize};

/// Why a call to a component gave nothing usable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The component trapped (a panic, unreachable code, a stack overflow, a bad memory access).
    #[error("it trapped: {0}; its log lines may say why")]
    Trap(String),
    /// It used up its fuel.
    #[error("it ran out of fuel: {limit} units are allowed per call; raise `fuel` or make it do less")]
    OutOfFuel {
        /// Units allowed.
        limit: u64,
    },
    /// It ran past its deadline.
    #[error("it ran past its deadline of {millis} ms; raise `deadline-ms` or make it do less")]
    Deadline {
        /// Milliseconds allowed.
        millis: u64,
    },
    /// It wanted more memory or a larger table than allowed.
    #[error("it wanted more memory than the {limit} bytes allowed; raise `memory` or make it need less")]
    Memory {
        /// Bytes allowed.
        limit: u64,
    },
    /// It read something it did not declare, or that does not exist.
    #[error("it read {found}; declare it in `needs`, or do not read it")]
    Read {
        /// What was read, and why that failed.
        found: String,
    },
    /// It returned an error of its own.
    #[error("it answered with an error: {0}")]
    Refused(String),
    /// It returned something that breaks the contract.
    #[error("it returned {found}; expected {expected}")]
    BadOutput {
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A score model that it reads gave what is no score.
    #[error("the score model `{model}` returned {found}; expected {expected}")]
    Scores {
        /// The score model.
        model: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A score model that it reads gave no scores at all.
    #[error("the score model `{model}` failed: {why}")]
    ScoreModel {
        /// The score model.
        model: String,
        /// What its back end says. It may hold URLs of engines.
        why: String,
    },
    /// Another engine, which writes the answer, did not give what it reads.
    #[error("the engine gave {found}; expected {expected}")]
    Given {
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// It failed earlier in this request and is not called again.
    #[error("it failed earlier in this request and is not asked again")]
    Dead,
}

impl FailureKind {
    /// A score that is no number.
    #[must_use]
    pub fn not_finite(model: &str, score: f32) -> Self {
        let (found, expected) = (format!("the score {score}"), "a finite number".to_owned());
        Self::Scores { model: model.to_owned(), found, expected }
    }

    /// Its name, for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::OutOfFuel { .. } => "out_of_fuel",
            Self::Deadline { .. } => "deadline",
            Self::Memory { .. } => "memory",
            Self::Read { .. } => "read",
            Self::Refused(_) => "refused",
            Self::BadOutput { .. } => "bad_output",
            Self::Scores { .. } => "scores",
            Self::ScoreModel { .. } => "score_model",
            Self::Given { .. } => "given",
            Self::Dead => "dead",
        }
    }
}

/// A failed call: which role, which component, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{role} `{component}` failed: {kind}")]
pub struct RoleFailure {
    /// The role it plays.
    pub role: Role,
    /// The component's name in the deployment.
    pub component: String,
    /// Why.
    pub kind: FailureKind,
}

impl RoleFailure {
    /// A failure because of what was returned.
    #[must_use]
    pub fn bad_output(role: Role, component: &str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        let kind = FailureKind::BadOutput { found: found.into(), expected: expected.into() };
        Self { role, component: component.to_owned(), kind }
    }
}
