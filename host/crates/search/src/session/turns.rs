//! What each phase asks for, and what takes each answer.

use super::{Session, phases::Phase};
use crate::{Answer, BudgetState, Need, RoleFailure, SearchError, beam::Beam};

impl Session {
    pub(super) fn ask(&mut self) -> Need {
        if let Some(release) = self.garbage() {
            return release;
        }
        match self.phase.clone() {
            Phase::Prefill => Need::Prefill(self.prompt_tokens.clone()),
            Phase::Start => Need::Start(self.constraints[self.states.len()].clone()),
            Phase::Plan => Need::Plan(self.plan_batch()),
            Phase::StepParents | Phase::StepCandidates | Phase::StepNewest => self.step_need(),
            Phase::Steer { rows, parents, .. } => Need::Steer(self.steer_batch(&rows, parents)),
            Phase::Sample => Need::Sample(self.sample_needs()),
            Phase::Grow => self.grow_need(),
            Phase::Expand => self.expand_need(),
            Phase::Estimate => Need::Estimate(self.estimate_batch()),
            Phase::Score(at) => Need::Score(self.score_needs(at)),
            Phase::Price(at) => self.price_need(at),
            Phase::PriceTail(at) => self.tail_need(at),
            Phase::Advance(at) => self.advance_need(at),
            Phase::Select => Need::Select(self.select_batch()),
            Phase::Done => Need::Nothing,
        }
    }

    pub(super) fn take(&mut self, need: Need, answer: Answer) -> Result<(), SearchError> {
        match (need, answer) {
            (Need::Release { .. }, Answer::Done) => Ok(()),
            (Need::Prefill(_), Answer::Done) => self.take_prefill(),
            (Need::Start(_), Answer::Budget(state)) => self.take_start(state),
            (Need::Plan(batch), Answer::Plan(plan)) => self.take_plan(&batch, plan),
            (Need::Step { rows, .. }, Answer::Done) => self.take_step(&rows),
            (Need::Steer(_), Answer::Steered(done)) => self.take_steering(done),
            (Need::Sample(needs), Answer::Sampled(out)) if needs.len() == out.len() => self.take_samples(&out),
            (Need::Grow { rows, .. }, Answer::Grown(out)) if rows.len() == out.len() => self.take_growth(out),
            (Need::Expand { rows, .. }, Answer::Expanded(out)) if rows.len() == out.len() => self.take_expansions(&out),
            (Need::Estimate(batch), Answer::Estimated(out)) => self.take_estimates(&batch, out),
            (Need::Score(needs), Answer::Scored(out)) if needs.len() == out.len() => {
                self.take_scores(&needs, out.into_iter().map(Ok).collect())
            }
            (Need::Score(needs), Answer::PartlyScored(out)) if needs.len() == out.len() => {
                self.take_scores(&needs, out)
            }
            (Need::Price { cost, batch }, Answer::Priced(out)) => self.take_prices(&cost, &batch, out),
            (Need::PriceTail { cost, batch }, Answer::Priced(out)) => self.take_tail_prices(&cost, &batch, out),
            (Need::Advance { rows, .. }, Answer::Advanced(out)) => self.take_states(&rows, out),
            (Need::Select(batch), Answer::Decided(decision)) => self.take_decision(&batch, decision),
            (need, answer) => Err(SearchError::Protocol { need: need.name(), answer: format!("{answer:.120?}") }),
        }
    }

    fn take_prefill(&mut self) -> Result<(), SearchError> {
        self.held.push(crate::ROOT);
        self.phase = if self.constraints.is_empty() { Phase::Plan } else { Phase::Start };
        if self.constraints.is_empty() {
            self.begin();
        }
        Ok(())
    }

    fn take_start(&mut self, state: Result<BudgetState, RoleFailure>) -> Result<(), SearchError> {
        let check = crate::check::Check { role: crate::Role::Tracker, component: "tracker" };
        match state.and_then(|state| check.start(state)) {
            Ok(state) => self.states.push(state),
            Err(failure) => return self.abandon(failure),
        }
        if self.states.len() < self.constraints.len() {
            return Ok(());
        }
        if self.live.is_empty() {
            self.begin();
        } else {
            self.hold_to_more();
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.live = vec![Beam::root(self.states.clone(), self.config.margin)];
        self.phase = if self.roles.steering.is_some() {
            Phase::Steer { rows: vec![0], parents: true, then: Box::new(Phase::Plan) }
        } else {
            Phase::Plan
        };
    }
}
