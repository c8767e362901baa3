//! Constraints and the state a tracker keeps for them.

use serde::{Deserialize, Serialize};

/// How negative costs are treated. Taken as they are, they give budget back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostClip {
    /// Costs are taken as they are.
    None,
    /// A negative cost counts as zero.
    Nonneg,
    /// The running sum never falls below zero: safe text cannot be banked.
    #[default]
    Capped,
}

impl CostClip {
    /// As it is written everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Nonneg => "nonneg",
            Self::Capped => "capped",
        }
    }
}

/// When a constraint must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConstraintMode {
    /// At every token: the largest running sum counts.
    #[default]
    Anytime,
    /// When the answer ends: the last running sum counts.
    Terminal,
}

impl ConstraintMode {
    /// As it is written everywhere.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anytime => "anytime",
            Self::Terminal => "terminal",
        }
    }
}

/// When costs are charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// Each token at its own place.
    #[default]
    Token,
    /// The sum of a chunk at its last token.
    Chunk,
    /// The sum of the answer at its last token, once it has ended.
    Terminal,
}

/// One named safety cost with its own budget. Paper: section 3 (`d`, γ).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Constraint {
    /// Unique within a deployment.
    pub name: String,
    /// d, the budget: finite, above zero, in the cost's unit.
    pub budget: f64,
    /// The discount per token, in (0, 1].
    pub gamma: f64,
    /// How negative costs are treated.
    pub clip: CostClip,
    /// When the constraint must hold.
    pub mode: ConstraintMode,
}

/// A constraint, and the cost component that prices it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PricedConstraint {
    /// The constraint.
    pub constraint: Constraint,
    /// The name of the cost role that prices it.
    pub cost: String,
    /// When costs are charged.
    pub granularity: Granularity,
}

/// What a tracker keeps per beam and constraint; the host owns it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BudgetState {
    /// The safety state: z starts at the budget, and z' = (z - c) / γ.
    pub z: f64,
    /// Whatever else the tracker needs; at most [`BudgetState::MEMORY`] finite numbers.
    pub memory: Vec<f64>,
}

impl BudgetState {
    /// The most numbers a tracker may keep beside z.
    pub const MEMORY: usize = 16;
}
