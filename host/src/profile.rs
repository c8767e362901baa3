//! Measures where the time of a request goes.

use inferenceguard_model::Effort;
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
    /// Counts what the model did, and the time since `start`: for model and sampling what the model measured, and the rest for
    /// the stage.
    pub(crate) fn count(&mut self, stage: Stage, start: Instant, effort: Effort) {
        let mut took = start.elapsed();
        let mut part = |measured: Duration| {
            let part = measured.min(took);
            took -= part;
            part.as_secs_f64()
        };
        let (model, sampling) = (part(effort.model), part(effort.sampling));
        let (profile, took) = (&mut self.profile, took.as_secs_f64());
        profile.steps += effort.steps;
        profile.positions += effort.positions;
        profile.model += model;
        profile.sampling += sampling;
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
