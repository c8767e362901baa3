//! The host's constraint as components see it.

use inferenceguard_guest as guest;
use inferenceguard_search::{Constraint, ConstraintMode, CostClip};

/// The same constraint, in the words of the SDK.
#[must_use]
pub fn guest_constraint(constraint: &Constraint) -> guest::Constraint {
    let clip = match constraint.clip {
        CostClip::None => guest::CostClip::None,
        CostClip::Nonneg => guest::CostClip::Nonneg,
        CostClip::Capped => guest::CostClip::Capped,
    };
    let mode = match constraint.mode {
        ConstraintMode::Anytime => guest::ConstraintMode::Anytime,
        ConstraintMode::Terminal => guest::ConstraintMode::Terminal,
    };
    let Constraint { name, budget, gamma, .. } = constraint;
    guest::Constraint { name: name.clone(), budget: *budget, gamma: *gamma, clip, mode }
}
