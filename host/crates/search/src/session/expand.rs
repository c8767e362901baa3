//! Chunks of forced tokens, and the critic's estimates.

use super::{Phase, Session};
use crate::{Batch, Estimate, Expansion, Need, Pricing, Role, RoleFailure, SearchError, Source, check::Check};

impl Session {
    pub(super) fn expand_need(&self) -> Need {
        let Some(Source::Expand(k)) = self.plan.as_ref().map(|p| p.source) else { return Need::Nothing };
        Need::Expand { rows: self.live.iter().map(|b| b.key).collect(), k }
    }

    pub(super) fn take_expansions(&mut self, out: &[Vec<Expansion>]) -> Result<(), SearchError> {
        let parents = self.live.clone();
        self.rows = Vec::new();
        for (parent, expansions) in parents.iter().zip(out) {
            for (index, expansion) in expansions.iter().enumerate() {
                let key = self.new_key();
                let mut beam = parent.child(key, self.chunk, index as u32);
                beam.expansion_logit = Some(expansion.logit);
                self.rows.push(beam);
                self.append(self.rows.len() - 1, expansion.token, expansion.logprob)?;
            }
        }
        self.candidates = self.rows.len();
        self.chunk_grown();
        Ok(())
    }

    /// Rows the critic is asked about.
    pub(super) fn estimating(&self) -> Vec<usize> {
        (0..self.candidates).filter(|i| !self.rows[*i].finished() && !self.rows[*i].failed).collect()
    }

    pub(super) fn take_estimates(
        &mut self,
        batch: &Batch,
        out: Result<Vec<Estimate>, RoleFailure>,
    ) -> Result<(), SearchError> {
        let check = Check { role: Role::Critic, component: "critic" };
        let constraints = self.constraints.len();
        let rows = self.estimating();
        match out.and_then(|out| check.estimates(out, batch.rows.len(), constraints)) {
            Ok(out) => rows.iter().zip(out).for_each(|(i, e)| self.rows[*i].estimate = Some(e)),
            Err(failure) => {
                rows.iter().for_each(|i| self.rows[*i].failed = true);
                self.fail(failure);
            }
        }
        self.phase = Phase::Score(0);
        self.enter();
        Ok(())
    }

    /// Prices all candidates, or leaves the choice to the policy.
    pub(super) fn price_first(&mut self) {
        let on_demand = self.plan.as_ref().is_some_and(|p| p.pricing == Pricing::OnDemand);
        // Finished beams of earlier chunks are priced already, unless constraints have come since.
        let targets = if on_demand { Vec::new() } else { (0..self.rows.len()).collect() };
        self.price_rows(targets);
    }
}
