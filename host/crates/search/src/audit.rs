//! The host's own sum of costs, independent of any tracker.
//!
//! A beam is safe only if the tracker says so *and* this sum does, with [`EPSILON`] to spare: so that pricing the same
//! ids again, with other rounding, still finds the answer within its budget.

use crate::{Constraint, ConstraintMode, CostClip};
use serde::{Deserialize, Serialize};

/// The part of `1 + budget` that must be left of a budget for a beam to count as safe.
pub const EPSILON: f64 = 1e-6;

/// Running sums of one constraint along a beam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// S: the discounted, clipped sum so far.
    pub sum: f64,
    /// The largest S after any token so far; 0 before the first.
    pub max: f64,
    /// The sum of raw costs, neither discounted nor clipped.
    pub raw: f64,
    /// γ^t for the next token.
    discount: f64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { sum: 0.0, max: 0.0, raw: 0.0, discount: 1.0 }
    }
}

impl Audit {
    /// Charges costs in order, one per token. A cost that is not finite uses up every budget, for good.
    pub fn charge(&mut self, constraint: &Constraint, costs: &[f64]) {
        for &cost in costs {
            self.raw += cost;
            let clipped = if constraint.clip == CostClip::Nonneg { cost.max(0.0) } else { cost };
            let sum = self.sum + self.discount * clipped;
            // Said of the cost itself too, because `max` turns NaN into zero.
            let known = cost.is_finite() && !sum.is_nan() && self.sum < f64::INFINITY;
            self.sum = match constraint.clip {
                _ if !known => f64::INFINITY,
                CostClip::Capped => sum.max(0.0),
                _ => sum,
            };
            self.max = self.max.max(self.sum);
            self.discount *= constraint.gamma;
        }
    }

    /// The sum that counts: the largest for [`ConstraintMode::Anytime`], the last for [`ConstraintMode::Terminal`].
    #[must_use]
    pub fn counted(&self, constraint: &Constraint) -> f64 {
        match constraint.mode {
            ConstraintMode::Anytime => self.max,
            ConstraintMode::Terminal => self.sum,
        }
    }

    /// Budget left; negative when broken.
    #[must_use]
    pub fn margin(&self, constraint: &Constraint) -> f64 {
        constraint.budget - self.counted(constraint)
    }

    /// Whether the budget holds, with [`EPSILON`] to spare. False once a cost was not finite.
    #[must_use]
    pub fn holds(&self, constraint: &Constraint) -> bool {
        self.margin(constraint) > EPSILON * (1.0 + constraint.budget)
    }
}
