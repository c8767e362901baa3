//! Admits a number of requests at once, in the order they came.

use crate::{
    CancelToken, EngineError,
    watched::{End, Watched},
};
use std::{collections::VecDeque, sync::Arc};

#[derive(Default)]
struct Queue {
    /// Requests inside.
    live: usize,
    /// The number of the next arrival.
    next: u64,
    /// Numbers of the requests that wait, oldest first.
    waiting: VecDeque<u64>,
}

impl Queue {
    /// The number of an arrival, which waits from now on.
    fn arrive(&mut self) -> u64 {
        self.next += 1;
        self.waiting.push_back(self.next);
        self.next
    }

    /// Moves this number inside, if it is the oldest and there is room.
    fn admit(&mut self, number: u64, most: usize) -> Option<()> {
        if self.live >= most || self.waiting.front() != Some(&number) {
            return None;
        }
        self.waiting.pop_front();
        self.live += 1;
        Some(())
    }
}

/// Limits running requests; others queue.
pub(crate) struct Gate {
    most: usize,
    queue: Arc<Watched<Queue>>,
}

/// One request that may run; ends when dropped.
pub(crate) struct Admission<'a>(&'a Gate);

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        self.0.queue.change(|queue| queue.live -= 1);
    }
}

impl Gate {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), queue: Arc::default() }
    }

    /// How many may be inside.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Requests inside, and those that wait.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let queue = self.queue.lock();
        (queue.live, queue.waiting.len())
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`EngineError::CancelledWaiting`].
    pub(crate) fn enter(&self, cancel: &CancelToken) -> Result<Admission<'_>, EngineError> {
        self.enter_until(End::Cancelled(cancel))
    }

    /// Waits for a place until the wait ends.
    ///
    /// # Errors
    /// [`EngineError::CancelledWaiting`].
    pub(crate) fn enter_until(&self, end: End<'_>) -> Result<Admission<'_>, EngineError> {
        let number = self.queue.lock().arrive();
        let admitted = self.queue.wait(end, |queue| queue.admit(number, self.most));
        // Whether it is inside or gone: the next one in the queue looks again.
        self.queue.change(|queue| queue.waiting.retain(|other| *other != number));
        admitted.map(|()| Admission(self)).ok_or(EngineError::CancelledWaiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::{Duration, Instant},
    };

    #[test]
    fn no_more_are_inside_than_allowed_and_all_get_in() {
        let (gate, inside, most) = (Gate::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    let _admission = gate.enter(&CancelToken::new()).unwrap();
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

    #[test]
    fn a_wait_that_ends_by_itself_leaves_the_queue_too() {
        let gate = Gate::new(1);
        let _admission = gate.enter(&CancelToken::new()).unwrap();
        assert!(gate.enter_until(End::At(Instant::now() + Duration::from_millis(5))).is_err());
        assert_eq!(gate.counts(), (1, 0));
    }

    #[test]
    fn the_first_to_come_is_the_first_inside_also_behind_a_request_that_left() {
        let (gate, order, gone) = (Gate::new(1), Mutex::new(Vec::new()), CancelToken::new());
        let place = gate.enter(&CancelToken::new()).unwrap();
        thread::scope(|scope| {
            let cancelled = scope.spawn(|| gate.enter(&gone).map(drop));
            for number in 1..=8 {
                while gate.counts().1 < number {
                    thread::yield_now();
                }
                let (gate, order) = (&gate, &order);
                scope.spawn(move || {
                    let _admission = gate.enter(&CancelToken::new()).unwrap();
                    order.lock().unwrap().push(number);
                });
            }
            while gate.counts().1 < 9 {
                thread::yield_now();
            }
            gone.cancel();
            assert!(cancelled.join().unwrap().is_err());
            drop(place);
        });
        assert_eq!(order.into_inner().unwrap(), (1..=8).collect::<Vec<_>>());
    }
}
