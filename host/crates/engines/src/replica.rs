//! One replica: whether it may be used, and how many rows it computes for this side.

use crate::{Endpoint, Fault};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// What is known of a replica.
#[derive(Debug, Clone)]
enum State<F> {
    /// Nothing, since the start or since its connection failed.
    Unchecked,
    /// It was checked.
    Ready { facts: F, at: Instant },
    /// It cannot be used before this time.
    Down { fault: Fault, until: Instant },
}

/// One replica of an engine. `F` is what a check finds.
pub(crate) struct Replica<F> {
    pub(crate) endpoint: Endpoint,
    state: Mutex<State<F>>,
    /// One check at a time; others wait for its result.
    pub(crate) checking: tokio::sync::Mutex<()>,
    pub(crate) places: Semaphore,
    failures: AtomicU64,
}

/// Whether a replica may be used.
pub(crate) enum Standing<F> {
    Ready(F),
    /// It must be checked first.
    Due,
    /// It cannot be used.
    Down(Fault),
}

impl<F: Clone> Replica<F> {
    pub(crate) fn new(endpoint: Endpoint, places: usize) -> Self {
        let (state, checking) = (Mutex::new(State::Unchecked), tokio::sync::Mutex::new(()));
        Self { endpoint, state, checking, places: Semaphore::new(places), failures: AtomicU64::new(0) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn standing(&self) -> Standing<F> {
        match &*self.state() {
            State::Unchecked => Standing::Due,
            State::Ready { facts, .. } => Standing::Ready(facts.clone()),
            State::Down { until, .. } if Instant::now() >= *until => Standing::Due,
            State::Down { fault, .. } => Standing::Down(fault.clone()),
        }
    }

    /// Why it cannot be used, also while it is about to be checked again.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match &*self.state() {
            State::Down { fault, .. } => Some(fault.clone()),
            State::Unchecked | State::Ready { .. } => None,
        }
    }

    /// Takes the result of a check. A fault holds until `recheck` has passed.
    pub(crate) fn checked(&self, result: Result<F, Fault>, recheck: Duration) {
        let now = Instant::now();
        *self.state() = match result {
            Ok(facts) => State::Ready { facts, at: now },
            Err(fault) => State::Down { fault, until: now + recheck },
        };
    }

    /// Its connection failed: it may be another process now.
    pub(crate) fn suspect(&self) {
        let mut state = self.state();
        if matches!(*state, State::Ready { .. }) {
            *state = State::Unchecked;
        }
    }

    /// Whether a check that nobody asked for is due.
    pub(crate) fn is_due(&self, every: Duration) -> bool {
        match &*self.state() {
            State::Unchecked => true,
            State::Ready { at, .. } => at.elapsed() >= every,
            State::Down { until, .. } => Instant::now() >= *until,
        }
    }

    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
