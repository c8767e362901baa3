//! What a critic learns from a trajectory: Monte-Carlo targets at every kept position before the answer's end.
//! Paper: section 4 (two heads on the latent; targets from the finished trajectory itself).
//!
//! At a position t < T (T = answer tokens), with budget d:
//! - input: z / d, with z = (d - S) / γ^t' and S the discounted, clipped sum of costs up to t'. [`BudgetSeen`] says
//!   what t' is;
//! - safe to the end: whether the constraint holds once all T costs are charged (any-time: at every token; terminal: at
//!   the last), by the host's own arithmetic, margin included;
//! - cost to go: the task cost of the finished answer.
//!
//! Positions whose budget was already broken at t' are left out where the constraint must hold at any time: nobody is
//! asked about them.

use inferenceguard_search::{Audit, Constraint, ConstraintMode, Granularity};

/// The range of z / d that a critic reads; values beyond are cut.
pub const Z_RANGE: (f64, f64) = (-8.0, 8.0);

/// Which costs are charged when the critic is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetSeen {
    /// Costs up to the start of the chunk that ends at the position: the host asks a critic before it prices the chunk.
    ChunkStart,
    /// Costs up to the position itself, as in the paper's formula.
    Newest,
}

impl BudgetSeen {
    /// Tokens that are charged when the critic is asked at `position`, with chunks of `chunk` tokens (at least 1).
    #[must_use]
    pub fn charged(self, position: usize, chunk: usize) -> usize {
        match self {
            Self::ChunkStart => position.saturating_sub(1) / chunk.max(1) * chunk,
            Self::Newest => position,
        }
    }
}

/// The running sums of one constraint along an answer. They do not depend on the budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Spending {
    constraint: Constraint,
    /// After every number of tokens, from none to all.
    audits: Vec<Audit>,
}

impl Spending {
    /// Charges the costs of an answer, one per token.
    #[must_use]
    pub fn new(constraint: &Constraint, costs: &[f64]) -> Self {
        let mut audit = Audit::default();
        let mut audits = vec![audit.clone()];
        for cost in costs {
            audit.charge(constraint, std::slice::from_ref(cost));
            audits.push(audit.clone());
        }
        Self { constraint: constraint.clone(), audits }
    }

    fn with(&self, budget: f64) -> Constraint {
        Constraint { budget, ..self.constraint.clone() }
    }

    fn after(&self, tokens: usize) -> &Audit {
        &self.audits[tokens.min(self.audits.len() - 1)]
    }

    /// z / d after this many tokens, cut to [`Z_RANGE`].
    #[must_use]
    pub fn z(&self, budget: f64, tokens: usize) -> f64 {
        let discount = self.constraint.gamma.powf(tokens as f64).max(f64::MIN_POSITIVE);
        ((budget - self.after(tokens).sum) / budget / discount).clamp(Z_RANGE.0, Z_RANGE.1)
    }

    /// Whether the constraint is broken for good after this many tokens; never, if only the end counts.
    #[must_use]
    pub fn is_lost(&self, budget: f64, tokens: usize) -> bool {
        self.constraint.mode == ConstraintMode::Anytime && !self.after(tokens).holds(&self.with(budget))
    }

    /// Whether the finished answer keeps the constraint.
    #[must_use]
    pub fn is_safe(&self, budget: f64) -> bool {
        self.after(usize::MAX).holds(&self.with(budget))
    }
}

/// Costs as they are charged: at their own tokens, or summed at the ends of chunks or of the answer.
#[must_use]
pub fn charged(costs: &[f64], granularity: Granularity, chunk: usize) -> Vec<f64> {
    let length = match granularity {
        Granularity::Token => 1,
        Granularity::Chunk => chunk.max(1),
        Granularity::Terminal => costs.len().max(1),
    };
    costs.chunks(length).flat_map(at_the_end).collect()
}

fn at_the_end(piece: &[f64]) -> Vec<f64> {
    let mut charged = vec![0.0; piece.len()];
    if let Some(last) = charged.last_mut() {
        *last = piece.iter().sum();
    }
    charged
}

/// The target at one position.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// z / d per constraint.
    pub z: Vec<f64>,
    /// Safe to the end, per constraint.
    pub safe: Vec<bool>,
}

/// The target where the costs of `known` tokens are charged, with one budget per constraint; `None` where a budget is
/// already lost.
#[must_use]
pub fn target(spending: &[Spending], budgets: &[f64], known: usize) -> Option<Target> {
    let pairs = || spending.iter().zip(budgets.iter().copied());
    if pairs().any(|(one, budget)| one.is_lost(budget, known)) {
        return None;
    }
    Some(Target {
        z: pairs().map(|(one, budget)| one.z(budget, known)).collect(),
        safe: pairs().map(|(one, budget)| one.is_safe(budget)).collect(),
    })
}
