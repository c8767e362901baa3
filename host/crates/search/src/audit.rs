//! The host's own sum of costs, independent of any tracker.
//!
//! A beam is safe only if the tracker says so *and* this sum does, with a margin to spare: so that pricing the same ids
//! again, with other rounding, still finds the answer within its budget. The margin is [`EPSILON`], or what the back ends
//! say that their rounding can do, if that is more.

use crate::{Constraint, ConstraintMode, CostClip};
use serde::{Deserialize, Serialize};

/// The part of `1 + budget` that must at least be left of a budget for a beam to count as safe.
pub const EPSILON: f64 = 1e-6;

/// Discounts below this no longer say anything about z: it has left the numbers that an f64 holds.
const FAINT: f64 = 1e-290;

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
    /// The part of `1 + budget` that must be left; at least [`EPSILON`].
    #[serde(default = "epsilon")]
    part: f64,
}

fn epsilon() -> f64 {
    EPSILON
}

impl Default for Audit {
    fn default() -> Self {
        Self::with_margin(EPSILON)
    }
}

impl Audit {
    /// Sums that must leave `part` of `1 + budget`; [`EPSILON`] if that is less or no number.
    #[must_use]
    pub fn with_margin(part: f64) -> Self {
        Self { sum: 0.0, max: 0.0, raw: 0.0, discount: 1.0, part: part.max(EPSILON) }
    }

    /// Requires at least `part` of `1 + budget` to be left from now on. A smaller part, or no number, changes nothing.
    pub fn raise_margin(&mut self, part: f64) {
        self.part = self.part.max(part);
    }

    /// Charges costs in order, one per token. A cost that is not finite uses up every budget, for good.
    pub fn charge(&mut self, constraint: &Constraint, costs: &[f64]) {
        for &cost in costs {
            self.raw += cost;
            let clipped = if constraint.clip == CostClip::Nonneg { cost.max(0.0) } else { cost };
            let sum = self.sum + self.discount * clipped;
            // Checked for the cost itself too, because `max` turns NaN into zero.
            let known = cost.is_finite() && sum.is_finite() && self.sum.is_finite();
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

    /// Whether the budget holds, with the margin to spare. False once a cost or the sum was not finite.
    #[must_use]
    pub fn holds(&self, constraint: &Constraint) -> bool {
        self.margin(constraint) > self.part * (1.0 + constraint.budget)
    }

    /// Whether no cost to come can make the budget hold again.
    #[must_use]
    pub fn lost(&self, constraint: &Constraint) -> bool {
        let grows_only = constraint.mode == ConstraintMode::Anytime || constraint.clip == CostClip::Nonneg;
        !self.holds(constraint) && (grows_only || !self.sum.is_finite())
    }

    /// What a tracker's z should be after the tokens charged so far: (d − S) / γ^t.
    pub(crate) fn expected_z(&self, constraint: &Constraint) -> f64 {
        (constraint.budget - self.sum) / self.discount
    }

    /// Whether a tracker's z, after the tokens charged so far, says what this sum says: γ^t z = d − S, up to rounding.
    /// True where rounding leaves nothing to compare: the sum is not finite, or γ^t is below 1e-290.
    #[must_use]
    pub fn agrees(&self, constraint: &Constraint, z: f64) -> bool {
        if !self.sum.is_finite() || self.discount < FAINT {
            return true;
        }
        let expected = constraint.budget - self.sum;
        let scale = 1.0 + constraint.budget + self.sum.abs().max(self.max);
        (self.discount * z - expected).abs() <= EPSILON * scale
    }
}
