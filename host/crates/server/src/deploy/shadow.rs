//! The shadow: a bundle that judges a share of the answers after they have gone out, and changes nothing.

use super::{
    deployer::Deployer,
    error::DeployError,
    history::Change,
    layers::PreparedLane,
    source::BundleSource,
    trial::{Share, TrialReport},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{CancelToken, Generation, Prepared, Request, Terms};
use inferenceguard_model::{Token, lock};
use inferenceguard_search::Status;
use serde::Serialize;
use std::collections::BTreeMap;

/// A running shadow.
pub(super) struct Shadow {
    bundle: Bundle,
    prepared: Prepared,
    /// The same bundle under each tenant's layer, by the tenant's lane.
    layered: BTreeMap<String, Prepared>,
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

impl Shadow {
    /// What judges an answer that was decided under these terms.
    fn judge(&self, terms: &Terms) -> Prepared {
        let layered = terms.lane.as_ref().and_then(|lane| self.layered.get(lane));
        layered.unwrap_or(&self.prepared).clone()
    }
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
    /// Starts a shadow, in place of a running one. What could not be activated because of a tenant is refused.
    pub(crate) fn start_shadow(&self, source: &BundleSource, share: f64) -> Result<Generation, DeployError> {
        self.history.attempt(Change::Shadow, || {
            let (bundle, prepared) = self.prepare(source)?;
            // Held, so that no layer changes between.
            let _bundles = self.lock_bundles();
            let layered = self.prepare_tenants(&bundle)?.into_iter().map(PreparedLane::into_judge).collect();
            self.save_numbers()?;
            let (generation, share, verdicts) = (prepared.generation(), Share(share), Verdicts::default());
            *lock(&self.shadow) = Some(Shadow { bundle, prepared, layered, share, verdicts });
            Ok(generation)
        })
    }

    /// Ends the shadow.
    pub(crate) fn end_shadow(&self) -> Result<(), DeployError> {
        lock(&self.shadow).take().map(drop).ok_or(DeployError::NoTrial { what: "shadow" })
    }

    /// The bundle of the shadow, if one runs.
    pub(super) fn shadow_bundle(&self) -> Option<Bundle> {
        lock(&self.shadow).as_ref().map(|shadow| shadow.bundle.clone())
    }

    /// Lays changed layers over the shadow's bundle, too. Where one does not fit, the shadow ends: its bundle could not be
    /// activated.
    pub(super) fn lay_over_shadow(&self, layers: Result<Vec<PreparedLane>, DeployError>) {
        let mut shadow = lock(&self.shadow);
        match layers {
            Ok(layers) => {
                if let Some(shadow) = shadow.as_mut() {
                    shadow.layered.extend(layers.into_iter().map(PreparedLane::into_judge));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the shadow ends: a changed layer does not fit its bundle");
                *shadow = None;
            }
        }
    }

    /// Whether the shadow judges the answer to the request with this number.
    pub(crate) fn shadow_takes(&self, number: u64) -> bool {
        lock(&self.shadow).as_ref().is_some_and(|shadow| shadow.share.takes(number))
    }

    /// Lets the shadow judge an answer that has gone out under these terms with this status. It gets copies and returns nothing, so
    /// it cannot reach a client.
    pub(crate) fn judge_by_shadow(&self, request: &Request, terms: &Terms, tokens: &[Token], status: Status) {
        let Some(prepared) = lock(&self.shadow).as_ref().map(|shadow| shadow.judge(terms)) else { return };
        let verdict = self.verdict(&prepared, (request, terms), tokens, status);
        self.metrics.count_verdict(verdict);
        if let Some(shadow) = lock(&self.shadow).as_mut() {
            shadow.verdicts.count(verdict);
        }
    }

    fn verdict(
        &self,
        prepared: &Prepared,
        (request, terms): (&Request, &Terms),
        tokens: &[Token],
        status: Status,
    ) -> &'static str {
        // The shadow's own budgets and methods, not those that the client chose under the other bundle. What the operator decided
        // holds: whole conversations, ceilings and layers.
        let request = Request { budgets: BTreeMap::new(), method: None, ..request.clone() };
        let terms = Terms { lane: None, ..terms.clone() };
        let passed = matches!(status, Status::WithinBudget | Status::Unguarded);
        match self.engine.under(&terms).judge_answer(prepared, &request, tokens, &CancelToken::new()) {
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
