//! The shadow: a bundle that judges a share of the answers after they have gone out, and changes nothing.

use super::{
    deployer::Deployer,
    error::DeployError,
    history::Change,
    source::BundleSource,
    trial::{Share, TrialReport},
};
use inferenceguard_host::{Generation, Prepared, Request};
use inferenceguard_model::{Token, lock};
use inferenceguard_search::Status;
use serde::Serialize;
use std::collections::BTreeMap;

/// A running shadow.
pub(super) struct Shadow {
    prepared: Prepared,
    share: Share,
    verdicts: Verdicts,
}

/// How often the shadow judged an answer like the bundle that decided it, and how often not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Verdicts {
    agrees: u64,
    /// It would have refused the answer.
    stricter: u64,
    /// It would have passed an answer that exceeded the active budget.
    looser: u64,
    /// It could not judge the answer.
    failed: u64,
}

impl Verdicts {
    fn count(&mut self, verdict: &str) {
        let counter = match verdict {
            "agrees" => &mut self.agrees,
            "stricter" => &mut self.stricter,
            "looser" => &mut self.looser,
            _ => &mut self.failed,
        };
        *counter += 1;
    }
}

impl Deployer {
    /// Starts a shadow, in place of a running one.
    pub(crate) fn start_shadow(&self, source: &BundleSource, share: f64) -> Result<Generation, DeployError> {
        self.history.attempt(Change::Shadow, || {
            let (_, prepared) = self.prepare(source)?;
            self.save_numbers()?;
            let generation = prepared.generation();
            *lock(&self.shadow) = Some(Shadow { prepared, share: Share(share), verdicts: Verdicts::default() });
            Ok(generation)
        })
    }

    /// Ends the shadow.
    pub(crate) fn end_shadow(&self) -> Result<(), DeployError> {
        lock(&self.shadow).take().map(drop).ok_or(DeployError::NoTrial { what: "shadow" })
    }

    /// Whether the shadow judges the answer to the request with this number.
    pub(crate) fn shadow_takes(&self, number: u64) -> bool {
        lock(&self.shadow).as_ref().is_some_and(|shadow| shadow.share.takes(number))
    }

    /// Lets the shadow judge an answer that has gone out with this status. It gets copies and returns nothing, so it cannot
    /// reach a client.
    pub(crate) fn judge_by_shadow(&self, request: &Request, tokens: &[Token], status: Status) {
        let Some(prepared) = lock(&self.shadow).as_ref().map(|shadow| shadow.prepared.clone()) else { return };
        let verdict = self.verdict(&prepared, request, tokens, status);
        self.metrics.count_verdict(verdict);
        if let Some(shadow) = lock(&self.shadow).as_mut() {
            shadow.verdicts.count(verdict);
        }
    }

    fn verdict(&self, prepared: &Prepared, request: &Request, tokens: &[Token], status: Status) -> &'static str {
        // The shadow's own budgets hold, not those that the request had under the other bundle.
        let request = Request { budgets: BTreeMap::new(), ..request.clone() };
        let passed = matches!(status, Status::WithinBudget | Status::Unguarded);
        match self.engine.judge_tokens(prepared, &request, tokens) {
            Ok(judged) if !judged.failures.is_empty() => "failed",
            Ok(judged) if judged.within_budget == passed => "agrees",
            Ok(judged) if judged.within_budget => "looser",
            Ok(_) => "stricter",
            Err(_) => "failed",
        }
    }

    /// The running shadow, for administrators.
    pub(crate) fn shadow_report(&self) -> Option<TrialReport<Verdicts>> {
        lock(&self.shadow).as_ref().map(|shadow| TrialReport {
            generation: shadow.prepared.generation(),
            share: shadow.share,
            counts: shadow.verdicts,
        })
    }
}
