//! The canary: a bundle that decides for a share of the requests, and is rolled back if it does worse than the active one.

use super::{
    deployer::Deployer,
    error::DeployError,
    history::{Attempt, Change},
    source::BundleSource,
    trial::{Share, TrialReport},
};
use crate::{end::End, settings::CanarySettings};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{EngineError, Generation, Prepared, Terms};
use inferenceguard_model::lock;
use serde::Serialize;

/// The lane of the canary.
const LANE: &str = "canary";
/// Rates that differ by less are equal.
const ROUNDING: f64 = 1e-9;

/// A running canary.
pub(super) struct Canary {
    bundle: Bundle,
    prepared: Prepared,
    share: Share,
    counts: BothCounts,
}

/// How requests ended: those of the canary and all others.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct BothCounts {
    canary: EndCounts,
    others: EndCounts,
}

/// How requests of one bundle ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct EndCounts {
    requests: u64,
    refused: u64,
    /// Requests with a failing component, answered or not, with an error of the engine, or judged too late.
    failed: u64,
}

impl EndCounts {
    /// Counts an end; `failing` if a component failed on the way. Ends that say nothing about the bundle are not counted.
    fn add(&mut self, end: End, failing: bool) {
        let failed = matches!(end, End::Failed | End::Engine | End::Late);
        if failed || matches!(end, End::Answered | End::Refused) {
            self.requests += 1;
            self.refused += u64::from(end == End::Refused);
            self.failed += u64::from(failing || failed);
        }
    }

    fn share(&self, part: u64) -> f64 {
        if self.requests == 0 { 0.0 } else { part as f64 / self.requests as f64 }
    }
}

impl Deployer {
    /// Starts a canary, in place of a running one.
    pub(crate) fn start_canary(&self, source: &BundleSource, share: f64) -> Result<Generation, DeployError> {
        self.history.attempt(Change::Canary, || {
            let (bundle, prepared) = self.prepare(source)?;
            self.save_bundle(&bundle)?;
            self.save_numbers()?;
            let mut canary = lock(&self.canary);
            let generation = self.engine.install(Some(LANE), prepared.clone());
            *canary = Some(Canary { bundle, prepared, share: Share(share), counts: BothCounts::default() });
            Ok(generation)
        })
    }

    /// Ends the canary and closes its lane.
    pub(crate) fn end_canary(&self) -> Result<(), DeployError> {
        let mut canary = lock(&self.canary);
        let ended = canary.take();
        // Under the lock, so that the lane of a new canary is not closed.
        self.engine.close(LANE);
        ended.map(drop).ok_or(DeployError::NoTrial { what: "canary" })
    }

    /// Ends the canary and the shadow, if they run.
    pub(super) fn end_trials(&self) {
        drop((self.end_canary(), self.end_shadow()));
    }

    /// Makes the canary the active bundle. If that fails, the canary continues.
    pub(crate) fn promote_canary(&self) -> Result<Generation, DeployError> {
        let running = lock(&self.canary).as_ref().map(|canary| (canary.bundle.clone(), canary.prepared.clone()));
        let (bundle, prepared) = running.ok_or(DeployError::NoTrial { what: "canary" })?;
        let generation = self.activate_prepared(bundle, prepared)?;
        let mut canary = lock(&self.canary);
        // Another canary may have started meanwhile.
        if canary.as_ref().is_some_and(|canary| canary.prepared.generation().number == generation.number) {
            *canary = None;
            self.engine.close(LANE);
        }
        Ok(generation)
    }

    /// The canary's lane, if it takes the request with this number.
    pub(crate) fn canary_lane(&self, number: u64) -> Option<String> {
        lock(&self.canary).as_ref().filter(|canary| canary.share.takes(number)).map(|_| LANE.to_owned())
    }

    /// Counts a request that failed with the canary, and that the active bundle then answered or not.
    pub(crate) fn count_retry(&self, error: &EngineError, answered: bool) {
        let ended = matches!(error, EngineError::UnknownLane { .. });
        if let Some(canary) = lock(&self.canary).as_mut().filter(|_| answered && !ended) {
            canary.counts.canary.requests += 1;
            canary.counts.canary.failed += 1;
        }
    }

    /// Counts how a request in this lane ended, and rolls the canary back if it does worse than the others. Lanes other than
    /// the canary's and the active bundle's do not count.
    pub(crate) fn count_end(&self, lane: Option<&str>, end: End, failing: bool) {
        let mut running = lock(&self.canary);
        let Some(canary) = running.as_mut() else { return };
        match lane {
            Some(LANE) => canary.counts.canary.add(end, failing),
            Some(_) => return,
            None => canary.counts.others.add(end, failing),
        }
        let BothCounts { canary: own, others } = &canary.counts;
        let Some(error) = self.canary_settings.worse(own, others) else { return };
        let generation = canary.prepared.generation();
        *running = None;
        self.engine.close(LANE);
        drop(running);
        tracing::error!(%error, "the canary was rolled back");
        let reason = format!("the canary was rolled back: {error}");
        self.history.add(Attempt::canary_rolled_back(generation, reason));
    }

    /// The running canary, for administrators.
    pub(crate) fn canary_report(&self) -> Option<TrialReport<BothCounts>> {
        lock(&self.canary).as_ref().map(|canary| TrialReport {
            generation: canary.prepared.generation(),
            share: canary.share,
            counts: canary.counts,
        })
    }
}

/// The terms for the active bundle, if a request failed only because of the canary: the canary has ended, or does not know a
/// name in the request, such as a constraint.
pub(crate) fn without_canary(terms: &Terms, error: &EngineError) -> Option<Terms> {
    let ended = matches!(error, EngineError::UnknownLane { found } if found == LANE);
    let canary = terms.lane.as_deref() == Some(LANE) && (ended || error.is_callers_fault());
    canary.then(|| Terms { lane: None, ..terms.clone() })
}

impl CanarySettings {
    /// What the canary does worse than the others, if enough requests have ended.
    fn worse(&self, canary: &EndCounts, others: &EndCounts) -> Option<String> {
        if canary.requests < self.least {
            return None;
        }
        let rates = [
            ("failures", canary.share(canary.failed), others.share(others.failed), self.more_failures),
            ("refusals", canary.share(canary.refused), others.share(others.refused), self.more_refusals),
        ];
        // Refusals depend on the prompts: the others must have enough requests to compare with.
        let comparable = |what: &str| what == "failures" || others.requests >= self.least;
        rates
            .into_iter()
            .find(|(what, canary, others, more)| comparable(what) && canary - others > *more + ROUNDING)
            .map(|(what, canary, others, more)| {
                format!(
                    "{:.1} % {what}, against {:.1} % of the others; at most {:.1} points more are allowed",
                    100.0 * canary,
                    100.0 * others,
                    100.0 * more
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_counts_if_it_says_something_about_the_bundle() {
        for (end, failing, expected) in [
            (End::Answered, false, (1, 0, 0)),
            (End::Answered, true, (1, 0, 1)),
            (End::Refused, false, (1, 1, 0)),
            (End::Failed, true, (1, 0, 1)),
            (End::Engine, false, (1, 0, 1)),
            (End::Late, false, (1, 0, 1)),
            (End::BadRequest, false, (0, 0, 0)),
            (End::Overloaded, false, (0, 0, 0)),
            (End::Denied, false, (0, 0, 0)),
        ] {
            let mut counts = EndCounts::default();
            counts.add(end, failing);
            assert_eq!((counts.requests, counts.refused, counts.failed), expected, "{end:?}");
        }
    }

    #[test]
    fn a_canary_is_worse_only_with_enough_to_tell() {
        let settings = CanarySettings { least: 10, more_failures: 0.05, more_refusals: 0.1 };
        let counted = |requests, refused, failed| EndCounts { requests, refused, failed };
        assert_eq!(settings.worse(&counted(9, 9, 9), &counted(100, 0, 0)), None);
        assert!(settings.worse(&counted(10, 0, 1), &counted(0, 0, 0)).unwrap().contains("10.0 % failures"));
        assert_eq!(settings.worse(&counted(10, 5, 0), &counted(9, 0, 0)), None);
        assert!(settings.worse(&counted(10, 5, 0), &counted(10, 3, 0)).unwrap().contains("50.0 % refusals"));
        assert_eq!(settings.worse(&counted(10, 4, 0), &counted(10, 3, 0)), None, "as many more as allowed");
    }
}
