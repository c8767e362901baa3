//! The history: every attempt to change what decides, done or not.

use super::{error::DeployError, store::Store};
use crate::metrics::Metrics;
use inferenceguard_bundle::seconds_since_1970;
use inferenceguard_host::Generation;
use inferenceguard_model::lock;
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Instant,
};

/// How many attempts are kept in memory.
const KEPT: usize = 100;

/// What was attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    Activate,
    RollBack,
    Canary,
    Promote,
    Shadow,
    /// A server began with another bundle than the last active one.
    Begin,
    /// The tenants' layers were read again over the active bundle.
    Layers,
}

impl Change {
    /// Its name in files, metrics and answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::RollBack => "roll_back",
            Self::Canary => "canary",
            Self::Promote => "promote",
            Self::Shadow => "shadow",
            Self::Begin => "begin",
            Self::Layers => "layers",
        }
    }

    /// Whether it changes the active bundle.
    fn is_of_active(self) -> bool {
        !matches!(self, Self::Canary | Self::Shadow | Self::Layers)
    }
}

/// One attempt to change what decides: a line of `swaps.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) change: Change,
    /// How long it took, compilation included.
    pub(crate) seconds: f64,
    pub(crate) generation: Option<Generation>,
    pub(crate) error: Option<String>,
}

impl Attempt {
    /// Whether the change happened. A canary that was rolled back has both a generation and an error: the error is the
    /// reason for the roll back, which happened.
    fn is_done(&self) -> bool {
        self.error.is_none() || self.generation.is_some()
    }

    /// A server begins with this generation.
    pub(super) fn begin(generation: Generation) -> Self {
        Self::now(Change::Begin, Some(generation), None)
    }

    /// A canary did worse than the other requests and was rolled back.
    pub(super) fn canary_rolled_back(generation: Generation, reason: String) -> Self {
        Self::now(Change::RollBack, Some(generation), Some(reason))
    }

    fn now(change: Change, generation: Option<Generation>, error: Option<String>) -> Self {
        Self { at: seconds_since_1970(), change, seconds: 0.0, generation, error }
    }
}

/// The newest attempts in memory, and all of them in the store, if there is one.
pub(crate) struct History {
    metrics: Arc<Metrics>,
    store: Option<Arc<Store>>,
    /// The newest first.
    attempts: Mutex<VecDeque<Attempt>>,
}

impl History {
    /// A history that continues the one of the store.
    pub(super) fn new(metrics: Arc<Metrics>, store: Option<Arc<Store>>) -> Self {
        let attempts = store.as_ref().map(|store| store.history(KEPT)).unwrap_or_default();
        Self { metrics, store, attempts: Mutex::new(attempts.into()) }
    }

    /// The newest attempts, the newest first.
    pub(crate) fn list(&self) -> Vec<Attempt> {
        lock(&self.attempts).iter().cloned().collect()
    }

    /// Attempts a change, counts it and adds it.
    ///
    /// # Errors
    /// The error of `work`.
    pub(super) fn attempt(
        &self,
        change: Change,
        work: impl FnOnce() -> Result<Generation, DeployError>,
    ) -> Result<Generation, DeployError> {
        let (result, attempt) = self.timed(change, work);
        self.add(attempt);
        result
    }

    /// Attempts a change that is retried again and again: a failure that stands in the history already, with nothing done
    /// since, is counted and not added.
    ///
    /// # Errors
    /// The error of `work`.
    pub(super) fn retry(
        &self,
        change: Change,
        work: impl FnOnce() -> Result<Generation, DeployError>,
    ) -> Result<Generation, DeployError> {
        let (result, attempt) = self.timed(change, work);
        if self.is_repeated_failure(&attempt) {
            self.count(&attempt);
        } else {
            self.add(attempt);
        }
        result
    }

    fn timed(
        &self,
        change: Change,
        work: impl FnOnce() -> Result<Generation, DeployError>,
    ) -> (Result<Generation, DeployError>, Attempt) {
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        result.iter().filter(|_| change.is_of_active()).for_each(|generation| self.metrics.set_active(generation));
        let (generation, error) = (result.as_ref().ok().cloned(), result.as_ref().err().map(ToString::to_string));
        (result, Attempt { seconds, ..Attempt::now(change, generation, error) })
    }

    fn is_repeated_failure(&self, attempt: &Attempt) -> bool {
        let same = |earlier: &Attempt| (earlier.change, &earlier.error) == (attempt.change, &attempt.error);
        !attempt.is_done() && lock(&self.attempts).iter().take_while(|earlier| !earlier.is_done()).any(same)
    }

    fn count(&self, attempt: &Attempt) {
        let seconds = Some(attempt.seconds).filter(|seconds| *seconds > 0.0);
        self.metrics.count_swap(attempt.change.name(), attempt.is_done(), seconds);
    }

    /// Counts an attempt, appends it to the store's history, and adds it in memory.
    pub(super) fn add(&self, attempt: Attempt) {
        self.count(&attempt);
        if let Some(Err(error)) = self.store.as_ref().map(|store| store.append(&attempt)) {
            tracing::error!(%error, "the history of activations could not be written");
        }
        let mut attempts = lock(&self.attempts);
        attempts.push_front(attempt);
        attempts.truncate(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_called_the_same_everywhere() {
        use Change::{Activate, Begin, Canary, Layers, Promote, RollBack, Shadow};
        for change in [Activate, RollBack, Canary, Promote, Shadow, Begin, Layers] {
            assert_eq!(serde_json::to_value(change).unwrap(), change.name());
        }
    }
}
