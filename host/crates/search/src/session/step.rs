//! Steps: tokens that the model has not read yet are appended to their beams.

use super::{Phase, Session};
use crate::{Need, SearchError, Source, beam::Beam};
use inferenceguard_model::Token;

impl Session {
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

    pub(super) fn take_step(&mut self, done: &[(u64, Token)]) -> Result<(), SearchError> {
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
            _ => self.growing(),
        }
    }

    fn after_newest(&self) -> Phase {
        let live = self.rows[..self.candidates].iter().any(|b| !b.finished() && !b.failed);
        if self.plan.as_ref().is_some_and(|p| p.estimate) && live { Phase::Estimate } else { Phase::Score(0) }
    }

    /// A step without rows is not asked for.
    pub(super) fn skip_empty_step(&mut self) {
        if self.stepping().is_empty() {
            self.phase = self.after_step();
        }
        self.enter();
    }

    /// What happens when a phase begins.
    pub(super) fn enter(&mut self) {
        match self.phase {
            Phase::Sample if self.offset == 0 || self.rows.is_empty() => self.breed(),
            Phase::Grow => self.breed(),
            Phase::Score(_) => self.price_first(),
            _ => {}
        }
    }
}
