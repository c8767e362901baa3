//! What a search knows of its roles and of the language model.

use crate::{CostGrain, CostKind, Needs, SearchError, config::require};
use inferenceguard_model::Token;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a cost role declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostInfo {
    /// What it reads.
    pub needs: Needs,
    /// What its prices are for.
    pub kind: CostKind,
    /// How many numbers it gives per row.
    pub grain: CostGrain,
}

/// What the roles of a deployment declared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RolesInfo {
    /// What the policy reads.
    pub policy: Needs,
    /// What the critic reads, if there is one.
    pub critic: Option<Needs>,
    /// What steering reads, if there is one.
    pub steering: Option<Needs>,
    /// The costs, by name.
    pub costs: BTreeMap<String, CostInfo>,
}

impl RolesInfo {
    /// Refuses scores for critic and steering: scores are computed later, when rows are priced.
    pub(crate) fn check_scores(&self) -> Result<(), SearchError> {
        for (role, needs) in [("critic", &self.critic), ("steering", &self.steering)] {
            let scores = needs.as_ref().map(|needs| needs.scores.join(", ")).unwrap_or_default();
            require(scores.is_empty(), role, format!("a need for scores of {scores}"), "no scores: they come later")?;
        }
        Ok(())
    }

    /// Refuses a name that is no cost of this kind.
    pub(crate) fn require_cost(&self, name: &str, kind: CostKind) -> Result<(), SearchError> {
        let found = match self.costs.get(name) {
            Some(info) if info.kind == kind => return Ok(()),
            Some(info) => format!("`{name}`, a cost of kind {:?}", info.kind),
            None => format!("`{name}`, which is not in the deployment"),
        };
        let field = if kind == CostKind::Task { "task" } else { "constraint cost" };
        Err(SearchError::Config { field: field.to_owned(), found, expected: format!("a cost of kind {kind:?}") })
    }
}

/// What a search must know of the language model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Logits per row.
    pub size: u32,
    /// Tokens that end an answer.
    pub eos: Vec<Token>,
    /// Special tokens: never penalised.
    pub special: Vec<Token>,
}
