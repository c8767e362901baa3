//! Plans a chunk: its length, its candidates, and how their tokens are drawn.

use super::{Phase, Session};
use crate::{Batch, Finish, Plan, Role, RoleFailure, SearchError, Source, check::Check};
use inferenceguard_model::{Pick, SampleRequest, Token, TokenizerError, stop_at};

impl Session {
    pub(super) fn take_plan(&mut self, batch: &Batch, plan: Result<Plan, RoleFailure>) -> Result<(), SearchError> {
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

    /// Makes the candidates of a chunk, to be grown in one go or token by token.
    pub(super) fn begin_chunk(&mut self) {
        self.lost_row = None;
        self.phase = self.growing();
        self.breed();
    }

    /// The phase in which candidates get their tokens.
    pub(super) fn growing(&self) -> Phase {
        if self.stepwise { Phase::Sample } else { Phase::Grow }
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

    /// How any token after these of an answer is sampled, but for the choice and the penalties.
    pub(super) fn sampling(&self, answer: &[Token]) -> SampleRequest {
        let penalty_mass = self.retry.map_or(1.0, |retry| retry.max_mass);
        SampleRequest { penalty_mass, ..self.config.sampling.request(|| 0.0, 0, &self.prompt_set, answer) }
    }

    /// How a candidate's token at this offset of the chunk is chosen.
    pub(super) fn pick(&self, row: usize, offset: u32) -> Pick {
        let draw = || self.rows[row].lineage.draw(self.config.seed, offset, self.attempt);
        self.config.sampling.pick(draw, || self.rank(row, offset))
    }

    /// How the candidate's token at every offset of the chunk is chosen.
    pub(super) fn picks(&self, row: usize) -> Vec<Pick> {
        let mut draws = self.rows[row].lineage.draws(self.config.seed, self.attempt);
        // Either every offset takes a draw or none does.
        let pick = |offset| self.config.sampling.pick(|| draws.next().unwrap_or_default(), || self.rank(row, offset));
        (0..self.chunk_len).map(pick).collect()
    }

    /// Which of the likeliest tokens a greedy candidate takes: siblings begin with different ones.
    fn rank(&self, row: usize, offset: u32) -> u32 {
        if offset > 0 {
            return 0;
        }
        let parent = self.rows[row].parent;
        self.rows[..row].iter().filter(|other| other.parent == parent).count() as u32
    }

    /// Tokens of failed candidates at this offset, the most frequent first.
    pub(super) fn penalties(&self, offset: u32) -> Vec<(Token, f32)> {
        let Some(retry) = self.retry else { return Vec::new() };
        let Some(counts) = self.failed_tokens.get(offset as usize) else { return Vec::new() };
        let special = |t: &Token| self.vocabulary.special.contains(t) || self.vocabulary.eos.contains(t);
        let mut tokens: Vec<_> = counts.iter().filter(|(t, _)| !special(t)).collect();
        tokens.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        tokens.into_iter().map(|(t, _)| (*t, retry.penalty)).collect()
    }

    /// Appends a token to a candidate, which may end with it.
    pub(super) fn append(&mut self, row: usize, token: Token, logprob: f32) -> Result<(), TokenizerError> {
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

    /// All candidates have their tokens; the finished beams kept so far join them.
    pub(super) fn chunk_grown(&mut self) {
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
}
