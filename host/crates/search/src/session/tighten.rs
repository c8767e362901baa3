//! Adds constraints to a running session: those of a bundle that was activated meanwhile.

use super::{Phase, Session};
use crate::{
    CostInfo, PricedConstraint, RolesInfo, SearchConfig, SearchError,
    beam::{Ledger, Recheck},
};
use std::collections::BTreeMap;

impl Session {
    /// Its settings as they are now.
    #[must_use]
    pub fn config(&self) -> &SearchConfig {
        &self.config
    }

    /// Whether constraints can be added now: between two chunks.
    #[must_use]
    pub fn between_chunks(&self) -> bool {
        self.asked.is_none() && self.phase == Phase::Plan && self.chunk > 0
    }

    /// Adds constraints, under new names, and the costs that price them. They price the beams from the first token on,
    /// before any beam grows and before any text is released. All earlier constraints still hold. `margin` covers the
    /// rounding of the new costs, as in [`SearchConfig::margin`]; it can only raise the margin, for all constraints.
    ///
    /// # Errors
    /// [`SearchError::Config`] if they do not fit, or if a critic or a cost is there that reads latents: neither can look
    /// back. Then nothing is changed.
    pub fn tighten(
        &mut self,
        constraints: Vec<PricedConstraint>,
        costs: BTreeMap<String, CostInfo>,
        margin: f64,
    ) -> Result<(), SearchError> {
        let (config, roles) = self.tightened(constraints, costs, margin)?;
        self.constraints = config.constraints.iter().map(|priced| priced.constraint.clone()).collect();
        (self.config, self.roles) = (config, roles);
        self.raise_margin();
        if self.states.len() < self.constraints.len() {
            self.phase = Phase::Start;
        }
        Ok(())
    }

    /// Whether [`Session::tighten`] would add these. Changes nothing, so that a caller need not work out budgets for constraints
    /// that are refused.
    ///
    /// # Errors
    /// As [`Session::tighten`].
    pub fn may_tighten(
        &self,
        constraints: Vec<PricedConstraint>,
        costs: BTreeMap<String, CostInfo>,
        margin: f64,
    ) -> Result<(), SearchError> {
        self.tightened(constraints, costs, margin).map(drop)
    }

    /// The settings and roles with these constraints and costs.
    fn tightened(
        &self,
        constraints: Vec<PricedConstraint>,
        costs: BTreeMap<String, CostInfo>,
        margin: f64,
    ) -> Result<(SearchConfig, RolesInfo), SearchError> {
        self.can_look_back(&costs)?;
        let (mut config, mut roles) = (self.config.clone(), self.roles.clone());
        if let Some(taken) = costs.keys().find(|name| roles.costs.contains_key(*name)) {
            let found = format!("the cost `{taken}`, which is there already");
            return Err(later(found, "costs under names of their own"));
        }
        config.constraints.extend(constraints);
        config.margin = config.margin.max(margin);
        roles.costs.extend(costs);
        config.validate(&roles)?;
        Ok((config, roles))
    }

    /// Holds every beam to the margin of the settings.
    fn raise_margin(&mut self) {
        let margin = self.config.margin;
        for beam in self.live.iter_mut().chain(&mut self.pool).chain(&mut self.runners_up) {
            beam.ledgers.iter_mut().for_each(|ledger| ledger.audit.raise_margin(margin));
        }
    }

    fn can_look_back(&self, costs: &BTreeMap<String, CostInfo>) -> Result<(), SearchError> {
        let blind = costs.iter().find(|(_, cost)| cost.needs.newest_position()).map(|(name, _)| name.as_str());
        let found = match blind {
            _ if !self.between_chunks() => "a chunk that is under way".to_owned(),
            _ if self.roles.critic.is_some() => "a critic, which foresees for the constraints it knows".to_owned(),
            Some(cost) => format!("the cost `{cost}`, which reads latents or logits of the newest token only"),
            None => return Ok(()),
        };
        Err(later(found, "costs that can price the text so far, between two chunks"))
    }

    /// Holds every beam to the new constraints from its first token, once their trackers have started.
    pub(super) fn hold_to_more(&mut self) {
        let (states, margin) = (&self.states, self.config.margin);
        for beam in self.live.iter_mut().chain(&mut self.pool).chain(&mut self.runners_up) {
            let held = beam.ledgers.len();
            beam.ledgers.extend(states[held..].iter().cloned().map(|state| Ledger::new(state, margin)));
            beam.priced = beam.failed;
            beam.rechecked = Recheck::None;
        }
        self.phase = Phase::Plan;
    }
}

fn later(found: String, expected: &str) -> SearchError {
    SearchError::Config { field: "constraints that come later".to_owned(), found, expected: expected.to_owned() }
}
