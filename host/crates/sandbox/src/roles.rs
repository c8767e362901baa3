//! The roles of the search, played by instances. Every method converts, calls, and converts back.

use crate::{
    bindings::exports::inferenceguard::guard::{cost, critic, policy, steering, tracker},
    convert,
    instance::Guest,
};
use inferenceguard_search::{
    Advanced, Batch, BudgetState, Constraint, Cost, CostGrain, CostKind, Critic, Decision, Estimate, Needs, Note, Plan,
    Policy, RoleFailure, Steered, Steering, Tracked, Tracker,
};
use std::sync::Arc;

pub(crate) struct WasmPolicy {
    pub(crate) guest: Guest,
    pub(crate) functions: policy::Guest,
    pub(crate) needs: Arc<Needs>,
}

impl Policy for WasmPolicy {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        let plan = self.guest.call_on(rows, |store, rows| self.functions.call_plan(store, rows))?;
        Ok(convert::our_plan(plan))
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        let decision = self.guest.call_on(rows, |store, rows| self.functions.call_select(store, rows))?;
        Ok(convert::our_decision(decision))
    }
}

pub(crate) struct WasmTracker {
    pub(crate) guest: Guest,
    pub(crate) functions: tracker::Guest,
}

impl Tracker for WasmTracker {
    fn start(&mut self, constraint: &Constraint) -> Result<BudgetState, RoleFailure> {
        let constraint = convert::constraint(constraint);
        let state = self.guest.call(|store| self.functions.call_start(store, &constraint))?;
        Ok(convert::our_budget_state(state))
    }

    fn advance(&mut self, constraint: &Constraint, rows: &[Tracked]) -> Result<Vec<Advanced>, RoleFailure> {
        let constraint = convert::constraint(constraint);
        let rows: Vec<_> = rows.iter().map(convert::tracked).collect();
        let advanced = self.guest.call(|store| self.functions.call_advance(store, &constraint, &rows))?;
        Ok(advanced.into_iter().map(convert::our_advanced).collect())
    }
}

pub(crate) struct WasmCritic {
    pub(crate) guest: Guest,
    pub(crate) functions: critic::Guest,
    pub(crate) needs: Arc<Needs>,
}

impl Critic for WasmCritic {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn estimate(&mut self, rows: &Batch) -> Result<Vec<Estimate>, RoleFailure> {
        let estimates = self.guest.call_on(rows, |store, rows| self.functions.call_estimate(store, rows))?;
        Ok(estimates.into_iter().map(convert::our_estimate).collect())
    }
}

pub(crate) struct WasmCost {
    pub(crate) guest: Guest,
    pub(crate) functions: cost::Guest,
    pub(crate) needs: Arc<Needs>,
    pub(crate) pricing: (CostKind, CostGrain),
}

impl Cost for WasmCost {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn kind(&self) -> CostKind {
        self.pricing.0
    }

    fn grain(&self) -> CostGrain {
        self.pricing.1
    }

    fn price(&mut self, rows: &Batch) -> Result<Vec<Vec<f64>>, RoleFailure> {
        self.guest.store.data_mut().notes.clear();
        self.guest.call_on(rows, |store, rows| self.functions.call_price(store, rows))
    }

    fn notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.guest.store.data_mut().notes)
    }
}

pub(crate) struct WasmSteering {
    pub(crate) guest: Guest,
    pub(crate) functions: steering::Guest,
    pub(crate) needs: Arc<Needs>,
}

impl Steering for WasmSteering {
    fn needs(&self) -> &Needs {
        &self.needs
    }

    fn steer(&mut self, rows: &Batch) -> Result<Steered, RoleFailure> {
        self.guest.call_on(rows, |store, rows| {
            let steered = self.functions.call_steer(&mut *store, rows)?;
            let Ok(steered) = steered else { return Ok(steered.map(|_| Steered::Unchanged)) };
            Ok(Ok(match steered {
                steering::Steered::Unchanged => Steered::Unchanged,
                steering::Steered::Rows(edits) => Steered::Rows(edits.into_iter().map(convert::our_edit).collect()),
                steering::Steered::All(tensor) => Steered::All(store.data_mut().take_tensor(tensor)?.data),
            }))
        })
    }
}
