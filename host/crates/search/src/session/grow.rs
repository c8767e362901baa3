//! Growing a chunk: plan, step, steer, sample, expand, estimate.

use super::{Phase, Session};
use crate::{
    Batch, Estimate, Expansion, Finish, Need, Plan, Pricing, Role, RoleFailure, SampleNeed, SearchError, Source,
    beam::Beam, check::Check,
};
use inferenceguard_model::{SampleRequest, Sampled, Token, stop_at};

impl Session {
    pub(super) fn planned(&mut self, batch: &Batch, plan: Result<Plan, RoleFailure>) -> Result<(), SearchError> {
        let check = Check { role: Role::Policy, component: "policy" };
        let limits = self.config.limits;
        let critic = self.roles.critic.is_some();
        let plan = match plan.and_then(|plan| check.plan(plan, batch.rows.len(), &limits, critic)) {
            Ok(plan) => plan,
            Err(failure) => return self.abandon(failure),
        };
        let left = self.config.max_tokens - self.depth() as u32;
        self.chunk_len = if matches!(plan.source, Source::Expand(_)) { 1 } else { plan.chunk_len.min(left) };
        self.plan = Some(plan);
        self.attempt = 0;
        self.retry = None;
        self.failed_tokens = vec![Default::default(); self.chunk_len as usize];
        self.phase = Phase::StepParents;
        self.skip_empty_step();
        Ok(())
    }

    /// Answer tokens of the longest live beam.
    pub(super) fn depth(&self) -> usize {
        self.live.iter().map(|b| b.tokens.len()).max().unwrap_or(0)
    }

    fn stepping(&self) -> Vec<usize> {
        let all = self.roles.costs.values().any(|c| c.needs.newest_position()) || self.roles.policy.newest_position();
        let due = |(i, b): (usize, &Beam)| {
            let wanted = match self.phase {
                Phase::StepNewest => all || !b.finished(),
                _ => !b.finished(),
            };
            (b.pending && wanted).then_some(i)
        };
        self.step_beams().iter().enumerate().filter_map(due).collect()
    }

    fn step_beams(&self) -> &[Beam] {
        if self.phase == Phase::StepParents { &self.live } else { &self.rows[..self.candidates] }
    }

    pub(super) fn step_need(&self) -> Need {
        let beams = self.step_beams();
        let rows = self.stepping();
        let last = |b: &Beam| b.tokens.last().copied().unwrap_or_default();
        let forks = rows.iter().filter(|i| !beams[**i].held).map(|i| (beams[*i].parent, beams[*i].key)).collect();
        Need::Step { forks, rows: rows.iter().map(|i| (beams[*i].key, last(&beams[*i]))).collect() }
    }

    pub(super) fn stepped(&mut self, done: &[(u64, Token)]) -> Result<(), SearchError> {
        let indexes = self.stepping();
        let parents = self.phase == Phase::StepParents;
        let beams = if parents { &mut self.live } else { &mut self.rows };
        for i in &indexes {
            beams[*i].pending = false;
            if !beams[*i].held {
                beams[*i].held = true;
                self.held.push(beams[*i].key);
            }
        }
        debug_assert_eq!(indexes.len(), done.len());
        let then = self.after_step();
        self.phase = match self.roles.steering {
            Some(_) => Phase::Steer { rows: indexes, parents, then: Box::new(then) },
            None => then,
        };
        self.enter();
        Ok(())
    }

    fn after_step(&self) -> Phase {
        match (&self.phase, self.plan.as_ref().map(|p| p.source)) {
            (Phase::StepParents, Some(Source::Expand(_))) => Phase::Expand,
            (Phase::StepNewest, _) => self.after_newest(),
            _ => Phase::Sample,
        }
    }

    fn after_newest(&self) -> Phase {
        let live = self.rows[..self.candidates].iter().any(|b| !b.finished() && !b.failed);
        if self.plan.as_ref().is_some_and(|p| p.estimate) && live { Phase::Estimate } else { Phase::Score(0) }
    }

    /// A step without rows is not asked for.
    fn skip_empty_step(&mut self) {
        if self.stepping().is_empty() {
            self.phase = self.after_step();
        }
        self.enter();
    }

    /// What happens when a phase begins.
    fn enter(&mut self) {
        match self.phase {
            Phase::Sample if self.offset == 0 || self.rows.is_empty() => self.breed(),
            Phase::Score(_) => self.price_first(),
            _ => {}
        }
    }

    /// Makes the candidates of a sampled chunk; they share their parents' latents until their first step.
    pub(super) fn breed(&mut self) {
        self.offset = 0;
        let counts = self.plan.as_ref().map(|p| p.candidates.clone()).unwrap_or_default();
        let parents = std::mem::take(&mut self.live);
        self.rows = Vec::new();
        for (parent, count) in parents.iter().zip(counts) {
            for index in 0..count {
                let key = self.new_key();
                self.rows.push(parent.child(key, self.chunk, index));
            }
        }
        self.live = parents;
        self.candidates = self.rows.len();
    }

    pub(super) fn steered(&mut self, done: Result<(), RoleFailure>) -> Result<(), SearchError> {
        let Phase::Steer { then, .. } = self.phase.clone() else { return Ok(()) };
        if let Err(failure) = done {
            return self.abandon(failure);
        }
        self.phase = *then;
        self.enter();
        Ok(())
    }

    fn sampling_rows(&self) -> Vec<usize> {
        (0..self.candidates).filter(|i| !self.rows[*i].finished()).collect()
    }

    pub(super) fn sample_needs(&self) -> Vec<SampleNeed> {
        let penalties = self.penalties();
        let request = |i: usize| {
            let beam = &self.rows[i];
            let from = if self.offset == 0 { beam.parent } else { beam.key };
            SampleNeed { from, request: SampleRequest { penalties: penalties.clone(), ..self.sample_request(i) } }
        };
        self.sampling_rows().into_iter().map(request).collect()
    }

    fn sample_request(&self, row: usize) -> SampleRequest {
        let beam = &self.rows[row];
        let siblings = || self.rows[..row].iter().filter(|b| b.parent == beam.parent).count() as u32;
        let rank = if self.offset == 0 { siblings() } else { 0 };
        let draw = || beam.lineage.draw(self.config.seed, self.offset, self.attempt);
        let penalty_mass = self.retry.map_or(1.0, |r| r.max_mass);
        SampleRequest { penalty_mass, ..self.config.sampling.request(draw, rank, &self.prompt_set, &beam.tokens) }
    }

    /// Tokens of failed candidates at this offset, the most frequent first.
    fn penalties(&self) -> Vec<(Token, f32)> {
        let Some(retry) = self.retry else { return Vec::new() };
        let Some(counts) = self.failed_tokens.get(self.offset as usize) else { return Vec::new() };
        let special = |t: &Token| self.vocabulary.special.contains(t) || self.vocabulary.eos.contains(t);
        let mut tokens: Vec<_> = counts.iter().filter(|(t, _)| !special(t)).collect();
        tokens.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        tokens.into_iter().map(|(t, _)| (*t, retry.penalty)).collect()
    }

    pub(super) fn sampled(&mut self, out: &[Sampled]) -> Result<(), SearchError> {
        for (row, sample) in self.sampling_rows().into_iter().zip(out) {
            self.append(row, sample.token, sample.logprob)?;
        }
        self.usage.sampled_tokens += out.len() as u64;
        self.offset += 1;
        let going = !self.sampling_rows().is_empty();
        if self.offset < self.chunk_len && going {
            self.phase = Phase::StepCandidates;
            self.skip_empty_step();
        } else {
            self.chunk_grown();
        }
        Ok(())
    }

    fn append(&mut self, row: usize, token: Token, logprob: f32) -> Result<(), SearchError> {
        let eos = self.vocabulary.eos.contains(&token);
        let beam = &mut self.rows[row];
        let searched = beam.text.text().len();
        beam.push(self.tokenizer.as_ref(), token, logprob)?;
        if eos {
            beam.finish = Some(Finish::Eos);
        } else if let Some(at) = stop_at(beam.text.text(), searched, &self.config.stop) {
            beam.finish = Some(Finish::Stop);
            beam.text_len = Some(at);
        }
        if beam.finish.is_none() && beam.tokens.len() as u32 >= self.config.max_tokens {
            beam.finish = Some(Finish::Length);
        }
        Ok(())
    }

    pub(super) fn expand_need(&self) -> Need {
        let Some(Source::Expand(k)) = self.plan.as_ref().map(|p| p.source) else { return Need::Nothing };
        Need::Expand { rows: self.live.iter().map(|b| b.key).collect(), k }
    }

    pub(super) fn expanded(&mut self, out: &[Vec<Expansion>]) -> Result<(), SearchError> {
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

    /// All candidates have their tokens; the finished beams kept so far join them.
    fn chunk_grown(&mut self) {
        self.offset = 0;
        self.rows.extend(self.pool.iter().cloned());
        let estimate = self.plan.as_ref().is_some_and(|p| p.estimate);
        let costs = self.roles.costs.values().any(|c| c.needs.newest_position());
        if estimate || costs || self.roles.policy.newest_position() {
            self.phase = Phase::StepNewest;
            self.skip_empty_step();
        } else {
            self.phase = Phase::Score(0);
            self.enter();
        }
    }

    /// Rows the critic is asked about.
    pub(super) fn estimating(&self) -> Vec<usize> {
        (0..self.candidates).filter(|i| !self.rows[*i].finished() && !self.rows[*i].failed).collect()
    }

    pub(super) fn estimated(
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
    fn price_first(&mut self) {
        let on_demand = self.plan.as_ref().is_some_and(|p| p.pricing == Pricing::OnDemand);
        // Finished beams of earlier chunks are priced already, unless constraints have come since.
        let targets = if on_demand { Vec::new() } else { (0..self.rows.len()).collect() };
        self.price_rows(targets);
    }
}
