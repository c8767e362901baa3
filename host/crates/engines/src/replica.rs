//! One replica: whether it may be used, and how many rows it computes for this side.

use crate::{Deadlines, Endpoint, Fault};
use inferenceguard_model::{ReplicaState, lock};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, Semaphore};

/// What is known of a replica.
#[derive(Debug, Clone)]
enum State<F> {
    /// Nothing, since the start or since its connection failed.
    Unchecked,
    /// It was checked. `looked` is when it was last seen to serve the same model; nothing since it was busy, because another
    /// process may begin behind the same URL.
    Ready { facts: F, at: Instant, looked: Option<Instant> },
    /// It cannot be used, and is checked again at this time.
    Down { fault: Fault, until: Instant },
}

/// One replica of an engine. `F` is what a check finds.
pub(crate) struct Replica<F> {
    pub(crate) endpoint: Endpoint,
    state: Mutex<State<F>>,
    /// One check at a time; others wait for its result.
    pub(crate) checking: tokio::sync::Mutex<()>,
    pub(crate) places: Semaphore,
    /// How many places there are.
    most: usize,
    /// Whether an operator has taken it out.
    drained: AtomicBool,
    /// Wakes calls that wait for it, when a check finds that it cannot be used.
    fell: Notify,
    calls: AtomicU64,
    failures: AtomicU64,
}

/// Whether a replica may be used.
pub(crate) enum Standing<F> {
    Ready(F),
    /// It was checked, and was busy since: a short look must find the same model.
    Doubted(F),
    /// It must be checked first.
    Due,
    /// It cannot be used.
    Down(Fault),
}

/// What is due without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// A whole check.
    Check,
    /// A short look.
    Look,
}

impl<F: Clone> Replica<F> {
    pub(crate) fn new(endpoint: Endpoint, places: usize) -> Self {
        let (state, checking) = (Mutex::new(State::Unchecked), tokio::sync::Mutex::new(()));
        Self {
            endpoint,
            state,
            checking,
            places: Semaphore::new(places),
            most: places,
            drained: AtomicBool::new(false),
            fell: Notify::new(),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State<F>> {
        lock(&self.state)
    }

    /// A check that is older than twice `every` does not count any more. A request never checks a replica that is down.
    pub(crate) fn standing(&self, every: Duration) -> Standing<F> {
        match &*self.state() {
            State::Unchecked => Standing::Due,
            State::Ready { at, .. } if at.elapsed() >= every.saturating_mul(2) => Standing::Due,
            State::Ready { facts, looked: None, .. } => Standing::Doubted(facts.clone()),
            State::Ready { facts, .. } => Standing::Ready(facts.clone()),
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

    /// Takes the result of a check. A fault holds until a later check succeeds; the next one is due after `recheck`.
    /// Returns true if the replica was usable until now and is no more.
    pub(crate) fn take_check(&self, result: Result<F, Fault>, recheck: Duration) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let was_down = matches!(*state, State::Down { .. });
        *state = match result {
            Ok(facts) => State::Ready { facts, at: now, looked: Some(now) },
            Err(fault) => State::Down { fault, until: now + recheck },
        };
        let is_down = matches!(*state, State::Down { .. });
        drop(state);
        if is_down {
            self.fell.notify_waiters();
        }
        !was_down && is_down
    }

    /// Waits until a check finds that it cannot be used; why.
    pub(crate) async fn falls(&self) -> Fault {
        loop {
            // Made before the look, so that no fall between the two is missed.
            let fell = self.fell.notified();
            if let Some(fault) = self.fault() {
                return fault;
            }
            fell.await;
        }
    }

    /// A short look found the same model.
    pub(crate) fn note_look(&self) {
        if let State::Ready { looked, .. } = &mut *self.state() {
            *looked = Some(Instant::now());
        }
    }

    /// It was busy or not ready: another process may answer next.
    pub(crate) fn doubt(&self) {
        if let State::Ready { looked, .. } = &mut *self.state() {
            *looked = None;
        }
    }

    /// Its connection failed: it may be another process now. Returns true if the replica was usable until
    /// now.
    pub(crate) fn suspect(&self) -> bool {
        let mut state = self.state();
        let was_ready = matches!(*state, State::Ready { .. });
        if was_ready {
            *state = State::Unchecked;
        }
        was_ready
    }

    /// What is due now, without a request.
    pub(crate) fn due(&self, deadlines: &Deadlines) -> Option<Task> {
        match &*self.state() {
            State::Unchecked => Some(Task::Check),
            State::Ready { at, .. } if at.elapsed() >= deadlines.check => Some(Task::Check),
            State::Ready { looked, .. } => {
                looked.is_none_or(|looked| looked.elapsed() >= deadlines.look).then_some(Task::Look)
            }
            State::Down { until, .. } => (Instant::now() >= *until).then_some(Task::Check),
        }
    }

    /// Takes it out, or uses it again.
    pub(crate) fn drain(&self, drained: bool) {
        self.drained.store(drained, Ordering::SeqCst);
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::SeqCst)
    }

    /// Whether calls go to it now.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_drained() && self.fault().is_none()
    }

    /// Calls that it computes now.
    pub(crate) fn rows(&self) -> usize {
        self.most.saturating_sub(self.places.available_permits())
    }

    /// Its state, for operators.
    pub(crate) fn report_state(&self) -> ReplicaState {
        match &*self.state() {
            State::Unchecked => ReplicaState::Unchecked,
            State::Ready { .. } => ReplicaState::Ready,
            State::Down { fault, .. } => ReplicaState::Down(fault.to_string()),
        }
    }

    pub(crate) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }
}
