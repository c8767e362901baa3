//! The tracker `safety-budget`: what is left of a budget. Paper: section 3 (z, the safety state).
//!
//! With S_t = Σ γ^k c_k over the tokens so far, z_t = (d − S_t) / γ^t. The recursion z' = (z − c) / γ says the same but
//! gathers rounding errors that grow as 1 / γ^t, so S is kept and z derived from it.

use inferenceguard_guest::{Advanced, BudgetState, Constraint, ConstraintMode, CostClip, Description, RoleError};
use inferenceguard_guest::{Settings, Setup, Tracked, Tracker, describe, register_tracker};

/// It has no settings; budget, discount, clipping and mode come with each constraint.
#[derive(Debug)]
pub struct SafetyBudget;

/// What is kept per beam: the memory of a budget state.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spent {
    /// S, discounted and clipped.
    sum: f64,
    /// The largest S after any token.
    max: f64,
    /// Tokens charged, t.
    tokens: f64,
    /// γ^t, worked out once a token.
    discount: f64,
}

impl Setup for SafetyBudget {
    fn describe() -> Description {
        describe!("Subtracts discounted costs from a budget; safe while something is left.")
    }

    fn configure(_: &Settings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Tracker for SafetyBudget {
    fn start(&self, constraint: &Constraint) -> Result<BudgetState, RoleError> {
        check(constraint)?;
        Ok(Spent { sum: 0.0, max: 0.0, tokens: 0.0, discount: 1.0 }.state(constraint))
    }

    fn advance(&self, constraint: &Constraint, row: Tracked) -> Result<Advanced, RoleError> {
        check(constraint)?;
        let mut spent = Spent::read(constraint, &row.state)?;
        let mut trace = Vec::with_capacity(row.costs.len());
        for cost in row.costs {
            spent.charge(constraint, cost)?;
            trace.push(spent.z(constraint));
        }
        Ok(Advanced { state: spent.state(constraint), safe: spent.safe(constraint), trace })
    }
}

impl Spent {
    fn read(constraint: &Constraint, state: &BudgetState) -> Result<Self, RoleError> {
        match state.memory[..] {
            [sum, max, tokens] if sum.is_finite() && max.is_finite() && tokens >= 0.0 => {
                Ok(Self { sum, max, tokens, discount: discount(constraint, tokens) })
            }
            _ => {
                let found =
                    format!("the state's memory is {:?}; expected the three numbers it was given", state.memory);
                Err(RoleError::InvalidInput(found))
            }
        }
    }

    fn charge(&mut self, constraint: &Constraint, cost: f64) -> Result<(), RoleError> {
        let clipped = if constraint.clip == CostClip::Nonneg { cost.max(0.0) } else { cost };
        let sum = self.sum + self.discount * clipped;
        // The cost itself is checked too, because `max` would turn a NaN into zero.
        if !cost.is_finite() || !sum.is_finite() {
            let found = format!("the cost of token {} is {cost} and brings the sum to {sum}", self.tokens);
            return Err(RoleError::InvalidInput(format!("{found}; expected finite numbers")));
        }
        self.sum = if constraint.clip == CostClip::Capped { sum.max(0.0) } else { sum };
        self.max = self.max.max(self.sum);
        self.tokens += 1.0;
        self.discount = discount(constraint, self.tokens);
        Ok(())
    }

    fn z(&self, constraint: &Constraint) -> f64 {
        let z = (constraint.budget - self.sum) / self.discount;
        z.clamp(f64::MIN, f64::MAX)
    }

    /// Strictly: an empty budget is not safe.
    fn safe(&self, constraint: &Constraint) -> bool {
        match constraint.mode {
            ConstraintMode::Anytime => self.max < constraint.budget,
            ConstraintMode::Terminal => self.sum < constraint.budget,
        }
    }

    fn state(&self, constraint: &Constraint) -> BudgetState {
        BudgetState { z: self.z(constraint), memory: vec![self.sum, self.max, self.tokens] }
    }
}

/// γ^t; above zero however long the answer.
fn discount(constraint: &Constraint, tokens: f64) -> f64 {
    constraint.gamma.powf(tokens).max(f64::MIN_POSITIVE)
}

fn check(constraint: &Constraint) -> Result<(), RoleError> {
    let Constraint { name, budget, gamma, .. } = constraint;
    if !(budget.is_finite() && *budget > 0.0) {
        return Err(RoleError::InvalidInput(format!("the budget of `{name}` is {budget}; expected a number above 0")));
    }
    if !(*gamma > 0.0 && *gamma <= 1.0) {
        let found = format!("the discount of `{name}` is {gamma}; expected a number above 0, at most 1");
        return Err(RoleError::InvalidInput(found));
    }
    Ok(())
}

register_tracker!(SafetyBudget);
