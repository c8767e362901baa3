//! Admits a number of requests at once, in the order they came.

use crate::{CancelToken, EngineError};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a waiting request sleeps before it looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Queue {
    /// Inside.
    live: usize,
    /// The number the next one draws.
    next: u64,
    /// Numbers of those who wait, oldest first.
    waiting: std::collections::VecDeque<u64>,
}

/// A door with a queue.
pub(crate) struct Gate {
    most: usize,
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// A place inside; given back when dropped.
pub(crate) struct Place<'a>(&'a Gate);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().live -= 1;
        self.0.changed.notify_all();
    }
}

impl Gate {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), queue: Mutex::default(), changed: Condvar::new() }
    }

    /// How many may be inside.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Requests inside, and those who wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.live, queue.waiting.len())
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`EngineError::CancelledWaiting`].
    pub(crate) fn enter(&self, cancel: &CancelToken) -> Result<Place<'_>, EngineError> {
        self.enter_unless(|| cancel.is_cancelled())
    }

    /// Waits for a place until this says that the wait is given up.
    ///
    /// # Errors
    /// [`EngineError::CancelledWaiting`].
    pub(crate) fn enter_unless(&self, given_up: impl Fn() -> bool) -> Result<Place<'_>, EngineError> {
        let mut queue = self.lock();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push_back(number);
        while queue.live >= self.most || queue.waiting.front() != Some(&number) {
            if given_up() {
                queue.waiting.retain(|other| *other != number);
                self.changed.notify_all();
                return Err(EngineError::CancelledWaiting);
            }
            let waited = self.changed.wait_timeout(queue, LOOK);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.waiting.pop_front();
        queue.live += 1;
        self.changed.notify_all();
        Ok(Place(self))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    #[test]
    fn no_more_are_inside_than_allowed_and_all_get_in() {
        let (gate, inside, most) = (Gate::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    let _place = gate.enter(&CancelToken::new()).unwrap();
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!((most.into_inner(), gate.counts()), (3, (0, 0)));
    }

    #[test]
    fn who_is_cancelled_leaves_the_queue() {
        let gate = Gate::new(1);
        let place = gate.enter(&CancelToken::new()).unwrap();
        let cancel = CancelToken::new();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| gate.enter(&cancel).map(drop));
            while gate.counts() != (1, 1) {
                thread::yield_now();
            }
            cancel.cancel();
            assert!(matches!(waiting.join().unwrap(), Err(EngineError::CancelledWaiting)));
        });
        assert_eq!(gate.counts(), (1, 0));
        drop(place);
        assert!(gate.enter(&CancelToken::new()).is_ok());
    }
}
