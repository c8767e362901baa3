//! Calls that wait for a back end are made together: whoever gets it next does the work of all who wait.

use crate::ModelError;
use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

type Slot<T> = Arc<Mutex<Option<Result<T, ModelError>>>>;

/// One waiting call: its rows, and where its answer goes.
pub(crate) struct Job<R, T> {
    pub(crate) rows: Vec<R>,
    slot: Slot<T>,
}

impl<R, T> Job<R, T> {
    pub(crate) fn answer(self, answer: Result<T, ModelError>) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

/// The calls that wait.
pub(crate) struct Waiting<R, T>(Mutex<Vec<Job<R, T>>>);

impl<R, T> Default for Waiting<R, T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

/// The place of a call that waits.
pub(crate) struct Ticket<T>(Slot<T>);

impl<T> Ticket<T> {
    /// The answer, if somebody did the work meanwhile.
    pub(crate) fn take(&self) -> Option<Result<T, ModelError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<R, T> Waiting<R, T> {
    pub(crate) fn join(&self, rows: Vec<R>) -> Ticket<T> {
        let slot = Slot::default();
        let job = Job { rows, slot: Arc::clone(&slot) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(job);
        Ticket(slot)
    }

    /// All who wait, in order of arrival.
    pub(crate) fn drain(&self) -> Vec<Job<R, T>> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The same failure for every call that was part of it.
pub(crate) fn fail_all<R, T>(jobs: Vec<Job<R, T>>, error: ModelError) {
    let (count, text) = (jobs.len(), error.to_string());
    let mut error = Some(error);
    for job in jobs {
        let own = || ModelError::Backend(format!("{text} (in a call shared by {count} requests)").into());
        job.answer(Err(error.take().unwrap_or_else(own)));
    }
}
