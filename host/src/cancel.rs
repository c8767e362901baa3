//! Cancels a request from another thread, and wakes what it waits for.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

type Wake = Arc<dyn Fn() + Send + Sync>;

/// The calls that a cancellation makes, by number.
#[derive(Default)]
struct Wakes {
    last: u64,
    all: BTreeMap<u64, Wake>,
}

#[derive(Default)]
struct Inner {
    cancelled: AtomicBool,
    wakes: Mutex<Wakes>,
}

impl Inner {
    fn wakes(&self) -> MutexGuard<'_, Wakes> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cancels a running request from another thread. Clones cancel the same request.
#[derive(Clone, Default)]
pub struct CancelToken(Arc<Inner>);

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken").field(&self.is_cancelled()).finish()
    }
}

/// Removes its call from a token when it is dropped.
pub(crate) struct OnCancel<'a> {
    token: &'a CancelToken,
    number: u64,
}

impl Drop for OnCancel<'_> {
    fn drop(&mut self) {
        self.token.0.wakes().all.remove(&self.number);
    }
}

impl CancelToken {
    /// A token that nothing has cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the request at the next step of the model, and at once where it waits; what was released stays.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        // Called outside of the lock: each may take locks of its own.
        let wakes: Vec<Wake> = self.0.wakes().all.values().map(Arc::clone).collect();
        wakes.iter().for_each(|wake| wake());
    }

    /// Whether [`CancelToken::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Calls `wake` on the thread that cancels, or now if the token is cancelled already, until the result is dropped. `wake`
    /// may be called more than once and must not wait.
    pub(crate) fn on_cancel(&self, wake: Wake) -> OnCancel<'_> {
        let number = {
            let mut wakes = self.0.wakes();
            wakes.last += 1;
            let number = wakes.last;
            wakes.all.insert(number, Arc::clone(&wake));
            number
        };
        // A cancellation that began before the call was added may have missed it.
        if self.is_cancelled() {
            wake();
        }
        OnCancel { token: self, number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_cancellation_calls_those_that_are_there_and_no_others() {
        let (token, calls) = (CancelToken::new(), Arc::new(AtomicUsize::new(0)));
        let count = || -> Wake {
            let calls = Arc::clone(&calls);
            Arc::new(move || drop(calls.fetch_add(1, Ordering::SeqCst)))
        };
        drop(token.on_cancel(count()));
        let kept = token.on_cancel(count());
        token.clone().cancel();
        assert_eq!(calls.load(Ordering::SeqCst), 1, "the dropped one is not called");
        let late = token.on_cancel(count());
        assert_eq!(calls.load(Ordering::SeqCst), 2, "the token was cancelled already");
        drop((kept, late));
        assert!(token.is_cancelled() && token.0.wakes().all.is_empty());
    }
}
