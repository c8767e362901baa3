//! A state that threads wait on until it changes, without looking at it in between.

use crate::CancelToken;
use inferenceguard_model::{lock, unpoisoned};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Instant,
};

/// What ends a wait beside the change that it waits for.
#[derive(Clone, Copy)]
pub(crate) enum End<'a> {
    /// A cancellation.
    Cancelled(&'a CancelToken),
    /// This moment.
    At(Instant),
}

/// A state behind a lock. Every change wakes the threads that wait.
#[derive(Default)]
pub(crate) struct Watched<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T: Send + 'static> Watched<T> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        lock(&self.state)
    }

    /// Changes the state and wakes all that wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `ready` gives a result; nothing if the wait ends before. `ready` is asked at once and after every change; what
    /// it changes wakes nobody.
    pub(crate) fn wait<R>(self: &Arc<Self>, end: End<'_>, mut ready: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let _waking = match end {
            End::Cancelled(token) => Some(token.on_cancel(self.waker())),
            End::At(_) => None,
        };
        let mut state = self.lock();
        loop {
            if let Some(result) = ready(&mut state) {
                return Some(result);
            }
            state = self.woken(state, end)?;
        }
    }

    /// The state after something woke this thread; nothing if the wait ends.
    fn woken<'a>(&'a self, state: MutexGuard<'a, T>, end: End<'_>) -> Option<MutexGuard<'a, T>> {
        match end {
            End::Cancelled(token) if token.is_cancelled() => None,
            End::Cancelled(_) => Some(unpoisoned(self.changed.wait(state))),
            End::At(moment) => {
                let left = moment.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
                Some(unpoisoned(self.changed.wait_timeout(state, left)).0)
            }
        }
    }

    /// Wakes all that wait. It takes the lock first: a thread that has looked and does not wait yet would miss it otherwise.
    fn waker(self: &Arc<Self>) -> impl Fn() + Send + Sync + 'static {
        let watched = Arc::clone(self);
        move || watched.change(|_| ())
    }
}
