//! Bundles on trial beside the active one: a canary decides for a share of the requests, a shadow only looks at answers.

use crate::{
    bundles::{Bundles, Next, lock, seconds_now},
    end::End,
    error::ApiError,
    metrics::Metrics,
    settings::CanarySettings,
    swap::{Change, Swap},
};
use axum::http::StatusCode;
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, EngineError, Generation, Prepared, Request};
use inferenceguard_model::Token;
use inferenceguard_search::Status;
use serde::Serialize;
use std::sync::{Arc, Mutex};

/// The lane of the canary.
pub(crate) const LANE: &str = "canary";
/// Shares are drawn by number: every request in the order they come.
const WHOLE: u64 = 1000;
/// Shares that differ by less are the same.
const ROUNDING: f64 = 1e-9;

/// How requests of one generation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Counted {
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    /// Those with a failing component, answered or not, or that ended with an error of the engine.
    pub(crate) failed: u64,
}

impl Counted {
    /// Counts an end; `failing` if a component failed on the way. All others say nothing about the bundle.
    fn add(&mut self, end: End, failing: bool) {
        if matches!(end, End::Answered | End::Refused | End::Failed | End::Engine) {
            self.requests += 1;
            self.refused += u64::from(end == End::Refused);
            self.failed += u64::from(failing || matches!(end, End::Failed | End::Engine));
        }
    }

    fn share(&self, part: u64) -> f64 {
        if self.requests == 0 { 0.0 } else { part as f64 / self.requests as f64 }
    }
}

/// A bundle that decides for a share of the requests.
struct Canary {
    bundle: Bundle,
    prepared: Prepared,
    share: f64,
    canary: Counted,
    others: Counted,
}

/// A bundle that looks at a share of the answers.
struct Shadow {
    prepared: Prepared,
    share: f64,
    counted: Compared,
}

/// What a shadow would have said, against what was said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Compared {
    pub(crate) agrees: u64,
    /// It would not have let the answer pass.
    pub(crate) stricter: u64,
    /// It would have let an answer pass that was beyond the active budget.
    pub(crate) looser: u64,
    pub(crate) failed: u64,
}

/// What administrators see.
#[derive(Debug, Serialize)]
pub(crate) struct Trial<C> {
    pub(crate) generation: Generation,
    pub(crate) share: f64,
    #[serde(flatten)]
    pub(crate) counted: C,
}

/// The canary against everybody else.
#[derive(Debug, Serialize)]
pub(crate) struct Both {
    pub(crate) canary: Counted,
    pub(crate) others: Counted,
}

pub(crate) struct Trials {
    engine: Arc<Engine>,
    settings: CanarySettings,
    canary: Mutex<Option<Canary>>,
    shadow: Mutex<Option<Shadow>>,
}

impl Trials {
    pub(crate) fn new(engine: Arc<Engine>, settings: CanarySettings) -> Self {
        Self { engine, settings, canary: Mutex::default(), shadow: Mutex::default() }
    }

    /// Begins a canary, in place of one that runs.
    pub(crate) fn begin_canary(&self, next: &Next, share: f64, bundles: &Bundles) -> Result<Generation, ApiError> {
        bundles.told(Change::Canary, || {
            let (bundle, prepared) = bundles.prepare_next(next)?;
            bundles.keep(&bundle)?;
            bundles.remember_numbers()?;
            let mut canary = lock(&self.canary);
            let generation = self.engine.install(Some(LANE), prepared.clone());
            let (fresh, others) = (Counted::default(), Counted::default());
            *canary = Some(Canary { bundle, prepared, share, canary: fresh, others });
            Ok(generation)
        })
    }

    /// Ends the canary; nothing of it stays.
    pub(crate) fn end_canary(&self) -> Result<(), ApiError> {
        let mut running = lock(&self.canary);
        let ended = running.take();
        // Before another may begin.
        self.engine.close(LANE);
        ended.map(drop).ok_or_else(|| none("canary"))
    }

    /// Ends whatever runs.
    pub(crate) fn end(&self) {
        drop((self.end_canary(), self.end_shadow()));
    }

    /// Makes the canary the active bundle; it goes on as a canary if that fails.
    pub(crate) fn promote(&self, bundles: &Bundles) -> Result<Generation, ApiError> {
        let running = lock(&self.canary).as_ref().map(|canary| (canary.bundle.clone(), canary.prepared.clone()));
        let (bundle, prepared) = running.ok_or_else(|| none("canary"))?;
        let generation = bundles.promote(bundle, prepared)?;
        let mut running = lock(&self.canary);
        // Another one may have begun meanwhile.
        if running.as_ref().is_some_and(|canary| canary.prepared.generation().number == generation.number) {
            *running = None;
            self.engine.close(LANE);
        }
        Ok(generation)
    }

    /// The lane of the request with this number.
    pub(crate) fn lane(&self, number: u64) -> Option<String> {
        lock(&self.canary).as_ref().filter(|canary| chosen(number, canary.share)).map(|_| LANE.to_owned())
    }

    /// Counts a request that the canary could not take and the active bundle could.
    pub(crate) fn passed_on(&self, error: &EngineError, answered: bool) {
        let ended = matches!(error, EngineError::UnknownLane { .. });
        if let Some(canary) = lock(&self.canary).as_mut().filter(|_| answered && !ended) {
            canary.canary.requests += 1;
            canary.canary.failed += 1;
        }
    }

    /// Counts how a request ended; a canary that does worse than the others is rolled back.
    pub(crate) fn ended(&self, lane: Option<&str>, end: End, failing: bool, bundles: &Bundles) {
        let mut running = lock(&self.canary);
        let Some(canary) = running.as_mut() else { return };
        match lane {
            Some(LANE) => canary.canary.add(end, failing),
            Some(_) => return,
            None => canary.others.add(end, failing),
        }
        let Some(error) = self.settings.worse(&canary.canary, &canary.others) else { return };
        let generation = Some(canary.prepared.generation());
        *running = None;
        self.engine.close(LANE);
        drop(running);
        tracing::error!(%error, "the canary was rolled back");
        let error = Some(format!("the canary was rolled back: {error}"));
        bundles.remember(Swap { at: seconds_now(), change: Change::RollBack, seconds: 0.0, generation, error });
    }

    /// Begins a shadow, in place of one that runs.
    pub(crate) fn begin_shadow(&self, next: &Next, share: f64, bundles: &Bundles) -> Result<Generation, ApiError> {
        bundles.told(Change::Shadow, || {
            let (_, prepared) = bundles.prepare_next(next)?;
            bundles.remember_numbers()?;
            let generation = prepared.generation();
            *lock(&self.shadow) = Some(Shadow { prepared, share, counted: Compared::default() });
            Ok(generation)
        })
    }

    /// Ends the shadow.
    pub(crate) fn end_shadow(&self) -> Result<(), ApiError> {
        lock(&self.shadow).take().map(drop).ok_or_else(|| none("shadow"))
    }

    /// Whether the shadow looks at the request with this number.
    pub(crate) fn looks(&self, number: u64) -> bool {
        lock(&self.shadow).as_ref().is_some_and(|shadow| chosen(number, shadow.share))
    }

    /// Lets the shadow look at an answer that has gone out. It is given copies and gives nothing back: there is no way
    /// from here to a client.
    pub(crate) fn look(&self, request: &Request, tokens: &[Token], said: Status, metrics: &Metrics) {
        let Some(prepared) = lock(&self.shadow).as_ref().map(|shadow| shadow.prepared.clone()) else { return };
        // The shadow's own budgets hold, not those that the request was given under others.
        let (budgets, ceilings) = Default::default();
        let request = Request { budgets, ceilings, lane: None, whole_conversation: false, ..request.clone() };
        let judged = self.engine.judge_tokens(&prepared, &request, tokens);
        let verdict = match &judged {
            Ok(judged) if !judged.failures.is_empty() => "failed",
            Ok(judged) if judged.within_budget == (said == Status::WithinBudget) => "agrees",
            Ok(judged) if judged.within_budget => "looser",
            Ok(_) => "stricter",
            Err(_) => "failed",
        };
        metrics.shadowed(verdict);
        if let Some(shadow) = lock(&self.shadow).as_mut() {
            let counted = &mut shadow.counted;
            let counter = match verdict {
                "agrees" => &mut counted.agrees,
                "stricter" => &mut counted.stricter,
                "looser" => &mut counted.looser,
                _ => &mut counted.failed,
            };
            *counter += 1;
        }
    }

    pub(crate) fn canary(&self) -> Option<Trial<Both>> {
        lock(&self.canary).as_ref().map(|canary| Trial {
            generation: canary.prepared.generation(),
            share: canary.share,
            counted: Both { canary: canary.canary, others: canary.others },
        })
    }

    pub(crate) fn shadow(&self) -> Option<Trial<Compared>> {
        lock(&self.shadow).as_ref().map(|shadow| Trial {
            generation: shadow.prepared.generation(),
            share: shadow.share,
            counted: shadow.counted,
        })
    }
}

/// Whether a request fails because of the trial it was drawn for: that has ended, or its bundle does not know what the
/// request names, such as a constraint.
pub(crate) fn is_its_own(request: &Request, error: &EngineError) -> bool {
    let unknown = matches!(error, EngineError::UnknownLane { found } if found == LANE);
    request.lane.as_deref() == Some(LANE) && (unknown || error.is_request())
}

/// Every request has a number: shares are kept exactly, and spread.
fn chosen(number: u64, share: f64) -> bool {
    // 619 is near the golden section of 1000 and has no common divisor with it: neighbours are spread, and in 1000 numbers
    // each place comes once.
    let place = (number % WHOLE) * 619 % WHOLE;
    (place as f64) < share * WHOLE as f64
}

fn none(what: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_trial", format!("no {what} is running"))
}

impl CanarySettings {
    /// What is worse about the canary, if there is enough to tell.
    fn worse(&self, canary: &Counted, others: &Counted) -> Option<String> {
        if canary.requests < self.least {
            return None;
        }
        let rates = [
            ("failures", canary.share(canary.failed), others.share(others.failed), self.more_failures),
            ("refusals", canary.share(canary.refused), others.share(others.refused), self.more_refusals),
        ];
        // Refusals are compared with others', of whom there must be enough as well.
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
    fn shares_are_exact_over_a_thousand_requests() {
        for share in [0.0, 0.001, 0.25, 0.5, 1.0] {
            let taken = (5000..6000).filter(|number| chosen(*number, share)).count();
            assert_eq!(taken as f64, share * 1000.0);
        }
        let first = (0..40).filter(|number| chosen(*number, 0.1)).count();
        assert!((3..=5).contains(&first), "spread: {first}");
    }

    #[test]
    fn a_canary_is_worse_only_with_enough_to_tell() {
        let settings = CanarySettings { least: 10, more_failures: 0.05, more_refusals: 0.1 };
        let counted = |requests, refused, failed| Counted { requests, refused, failed };
        assert_eq!(settings.worse(&counted(9, 9, 9), &counted(100, 0, 0)), None);
        assert!(settings.worse(&counted(10, 0, 1), &counted(0, 0, 0)).unwrap().contains("10.0 % failures"));
        assert_eq!(settings.worse(&counted(10, 5, 0), &counted(9, 0, 0)), None);
        assert!(settings.worse(&counted(10, 5, 0), &counted(10, 3, 0)).unwrap().contains("50.0 % refusals"));
        assert_eq!(settings.worse(&counted(10, 4, 0), &counted(10, 3, 0)), None, "as many more as allowed");
    }
}
