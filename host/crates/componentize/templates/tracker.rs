//! The tracker `{name}`: sums costs as they come, without discount; safe while budget is left.

use inferenceguard_guest::{
    Advanced, BudgetState, Constraint, Description, RoleError, Settings, Setup, Tracked, Tracker, describe,
};

/// It has no settings.
#[derive(Debug)]
pub struct Summing;

impl Setup for Summing {
    fn describe() -> Description {
        describe!("Subtracts costs from the budget.")
    }

    fn configure(_: &Settings) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Tracker for Summing {
    fn start(&self, constraint: &Constraint) -> Result<BudgetState, RoleError> {
        Ok(BudgetState { z: constraint.budget, memory: Vec::new() })
    }

    fn advance(&self, _: &Constraint, row: Tracked) -> Result<Advanced, RoleError> {
        let left = |z: &mut f64, cost: &f64| {
            *z -= cost;
            Some(*z)
        };
        let trace: Vec<f64> = row.costs.iter().scan(row.state.z, left).collect();
        let z = trace.last().copied().unwrap_or(row.state.z);
        Ok(Advanced { state: BudgetState { z, memory: Vec::new() }, safe: z > 0.0, trace })
    }
}

inferenceguard_guest::register_tracker!(Summing);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_budget_is_unsafe() {
        let constraint = Constraint::of("c", 2.0);
        let state = Summing.start(&constraint).unwrap();
        let row = Tracked { state, costs: vec![1.0, 1.0], ended: false };
        let advanced = Summing.advance(&constraint, row).unwrap();
        assert_eq!((advanced.safe, advanced.trace), (false, vec![1.0, 0.0]));
    }
}
