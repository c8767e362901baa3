//! Measures where the time of a request goes.

use inferenceguard_search::{Need, Profile};
use std::time::{Duration, Instant};

/// Measures a [`Profile`].
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    profile: Profile,
}

/// What a need spends time on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stage {
    Model,
    Sampling,
    Scoring,
    Components,
    Other,
}

impl Stage {
    pub(crate) fn of(need: &Need) -> Self {
        match need {
            Need::Prefill(_) | Need::Step { .. } | Need::Grow { .. } => Self::Model,
            Need::Sample(_) | Need::Expand { .. } => Self::Sampling,
            Need::Score(_) => Self::Scoring,
            Need::Plan(_)
            | Need::Select(_)
            | Need::Estimate(_)
            | Need::Price { .. }
            | Need::PriceTail { .. }
            | Need::Steer(_)
            | Need::Start(_)
            | Need::Advance { .. } => Self::Components,
            Need::Release { .. } | Need::Nothing => Self::Other,
        }
    }
}

impl Stopwatch {
    /// Counts the rows of a step.
    pub(crate) fn step(&mut self, rows: usize) {
        self.profile.steps += u64::from(rows > 0);
        self.profile.positions += rows as u64;
    }

    /// Counts the time since `start` for a stage; `projecting` of it counts for the model.
    pub(crate) fn count(&mut self, stage: Stage, start: Instant, projecting: Duration) {
        let took = start.elapsed().saturating_sub(projecting).as_secs_f64();
        let profile = &mut self.profile;
        profile.model += projecting.as_secs_f64();
        match stage {
            Stage::Model => profile.model += took,
            Stage::Sampling => profile.sampling += took,
            Stage::Scoring => profile.scoring += took,
            Stage::Components => profile.components += took,
            Stage::Other => {}
        }
    }

    /// The profile of a request that waited `queue` seconds and took `seconds` in all.
    pub(crate) fn profile(&self, queue: f64, seconds: f64) -> Profile {
        let Profile { model, sampling, scoring, components, .. } = self.profile;
        let other = (seconds - queue - model - sampling - scoring - components).max(0.0);
        let mut whole = self.profile;
        (whole.queue, whole.other) = (queue, other);
        whole
    }
}
