//! Between the generated types and ours, in one place.

use crate::bindings::common::types as wit;
use crate::{BudgetState, Constraint, ConstraintMode, CostClip, Estimate, LatentSelector, Need};
use crate::{ReadError, Role, RoleError, Value, bindings::common::batch};

impl From<wit::BudgetState> for BudgetState {
    fn from(state: wit::BudgetState) -> Self {
        Self { z: state.z, memory: state.memory }
    }
}

impl From<BudgetState> for wit::BudgetState {
    fn from(state: BudgetState) -> Self {
        Self { z: state.z, memory: state.memory }
    }
}

impl From<wit::Constraint> for Constraint {
    fn from(constraint: wit::Constraint) -> Self {
        let clip = match constraint.clip {
            wit::CostClip::None => CostClip::None,
            wit::CostClip::Nonneg => CostClip::Nonneg,
            wit::CostClip::Capped => CostClip::Capped,
        };
        let mode = match constraint.mode {
            wit::ConstraintMode::Anytime => ConstraintMode::Anytime,
            wit::ConstraintMode::Terminal => ConstraintMode::Terminal,
        };
        Self { name: constraint.name, budget: constraint.budget, gamma: constraint.gamma, clip, mode }
    }
}

impl From<wit::Estimate> for Estimate {
    fn from(estimate: wit::Estimate) -> Self {
        Self { safe: estimate.safe, cost_to_go: estimate.cost_to_go }
    }
}

impl From<Estimate> for wit::Estimate {
    fn from(estimate: Estimate) -> Self {
        Self { safe: estimate.safe, cost_to_go: estimate.cost_to_go }
    }
}

impl From<RoleError> for wit::RoleError {
    fn from(error: RoleError) -> Self {
        match error {
            RoleError::InvalidInput(text) => Self::InvalidInput(text),
            RoleError::Unsupported(text) => Self::Unsupported(text),
            RoleError::Read(error) => Self::Read(error.to_string()),
            RoleError::Failed(text) => Self::Failed(text),
        }
    }
}

impl From<batch::ReadError> for ReadError {
    fn from(error: batch::ReadError) -> Self {
        match error {
            batch::ReadError::Undeclared(name) => Self::Undeclared(name),
            batch::ReadError::NotAvailable(name) => Self::NotAvailable(name),
            batch::ReadError::NoRow(row) => Self::NoRow(row),
            batch::ReadError::NoConstraint(constraint) => Self::NoConstraint(constraint),
            batch::ReadError::NoModel(name) => Self::NoModel(name),
        }
    }
}

impl From<LatentSelector> for wit::LatentSelector {
    fn from(selector: LatentSelector) -> Self {
        match selector {
            LatentSelector::FinalNorm => Self::FinalNorm,
            LatentSelector::Layer(layer) => Self::Layer(layer),
        }
    }
}

/// A need as the contract lists it, or its place if the contract takes it by a call.
pub(crate) fn listed(need: Need) -> Result<wit::Need, LatentSelector> {
    Ok(match need {
        Need::Prompt => wit::Need::Prompt,
        Need::Text => wit::Need::Text,
        Need::Lookback(chars) => wit::Need::Lookback(chars),
        Need::Logprobs => wit::Need::Logprobs,
        Need::TopK(k) => wit::Need::TopK(k),
        Need::Logits => wit::Need::Logits,
        Need::Latents(selector) => wit::Need::Latents(selector.into()),
        Need::TokenLatents(place) => return Err(place),
        Need::Scores(model) => wit::Need::Scores(model),
        Need::Network(name) => wit::Need::Network(name),
    })
}

impl From<Value> for wit::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Flag(value) => Self::Flag(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Number(value) => Self::Number(value),
            Value::Text(value) => Self::Text(value),
            Value::Texts(value) => Self::Texts(value),
            Value::Weighted(value) => Self::Weighted(value),
        }
    }
}

impl From<wit::Value> for Value {
    fn from(value: wit::Value) -> Self {
        match value {
            wit::Value::Flag(value) => Self::Flag(value),
            wit::Value::Integer(value) => Self::Integer(value),
            wit::Value::Number(value) => Self::Number(value),
            wit::Value::Text(value) => Self::Text(value),
            wit::Value::Texts(value) => Self::Texts(value),
            wit::Value::Weighted(value) => Self::Weighted(value),
        }
    }
}

impl From<Role> for wit::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Policy => Self::Policy,
            Role::Tracker => Self::Tracker,
            Role::Critic => Self::Critic,
            Role::Cost => Self::Cost,
            Role::Steering => Self::Steering,
        }
    }
}
