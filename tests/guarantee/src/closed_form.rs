//! The costs spent, straight from the definition: S_t = Σ γ^k c_k over the first t tokens, and z_t = γ^-t (d − S_t).
//! Paper: section 3. Neither the tracker's nor the audit's way of counting is used.

use inferenceguard_search::{Constraint, ConstraintMode, CostClip};

/// What rounding may change, as a share of [`scale`]. Powers of γ are off by some hundred units in the last place after
/// 512 tokens, and a sum of 512 terms by as many again: about 1e-13 of the largest number in it.
pub const TOLERANCE: f64 = 1e-12;

/// S after each token.
///
/// With [`CostClip::Capped`] the sum S' = max(0, S + γ^t c) has a closed form too: S_t = X_t − min(0, X_1, …, X_t) with
/// the plain sum X, its distance from the lowest point so far.
#[must_use]
pub fn sums(constraint: &Constraint, costs: &[f64]) -> Vec<f64> {
    let (mut plain, mut lowest) = (0.0_f64, 0.0_f64);
    let sum = |(k, cost): (usize, &f64)| {
        let cost = if constraint.clip == CostClip::Nonneg { cost.max(0.0) } else { *cost };
        plain += constraint.gamma.powi(k as i32) * cost;
        lowest = lowest.min(plain);
        if constraint.clip == CostClip::Capped { plain - lowest } else { plain }
    };
    costs.iter().enumerate().map(sum).collect()
}

/// The sum that is held against the budget: the largest so far, or the last.
#[must_use]
pub fn counted(constraint: &Constraint, costs: &[f64]) -> f64 {
    let sums = sums(constraint, costs);
    match constraint.mode {
        ConstraintMode::Anytime => sums.into_iter().fold(0.0, f64::max),
        ConstraintMode::Terminal => sums.last().copied().unwrap_or(0.0),
    }
}

/// Whether the budget is used up: nothing left counts as broken.
#[must_use]
pub fn broken(constraint: &Constraint, costs: &[f64]) -> bool {
    counted(constraint, costs) >= constraint.budget
}

/// z after each token.
#[must_use]
pub fn z(constraint: &Constraint, costs: &[f64]) -> Vec<f64> {
    let z = |(k, sum): (usize, f64)| constraint.gamma.powi(-(k as i32 + 1)) * (constraint.budget - sum);
    sums(constraint, costs).into_iter().enumerate().map(z).collect()
}

/// The largest number that plays a part: d + Σ γ^k |c_k|.
#[must_use]
pub fn scale(constraint: &Constraint, costs: &[f64]) -> f64 {
    let size = |(k, cost): (usize, &f64)| constraint.gamma.powi(k as i32) * cost.abs();
    constraint.budget + costs.iter().enumerate().map(size).sum::<f64>()
}
