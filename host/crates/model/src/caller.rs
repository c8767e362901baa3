//! Who a handle works for, and how its calls and waits are ended from another thread.

use crate::lock;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

type Call = Arc<dyn Fn() + Send + Sync>;

/// What a cancellation calls, by number.
#[derive(Default)]
struct Calls {
    last: u64,
    all: BTreeMap<u64, Call>,
}

#[derive(Default)]
struct Signal {
    cancelled: AtomicBool,
    calls: Mutex<Calls>,
}

impl Signal {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.calls)
    }
}

/// Cancels a request from another thread. Clones are the same signal; it is never taken back.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Signal>);

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// A call that a cancellation makes, until this is dropped.
#[derive(Debug)]
pub struct OnCancel {
    cancel: Cancel,
    number: u64,
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        self.cancel.0.calls().all.remove(&self.number);
    }
}

impl Cancel {
    /// A signal that nobody has given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the request: at once where it waits, and within one step where a model computes for it
    /// ([`ModelError::Cancelled`](crate::ModelError::Cancelled)). What was released stays.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        // Made outside of the lock: a call may take locks of its own.
        let calls: Vec<Call> = self.0.calls().all.values().map(Arc::clone).collect();
        calls.iter().for_each(|call| call());
    }

    /// Whether [`Cancel::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Refuses to go on once the request is cancelled.
    ///
    /// # Errors
    /// [`ModelError::Cancelled`](crate::ModelError::Cancelled).
    pub fn check(&self) -> Result<(), crate::ModelError> {
        if self.is_cancelled() { Err(crate::ModelError::Cancelled) } else { Ok(()) }
    }

    /// Makes this call when the request is cancelled, on the thread that cancels it; now, if it is cancelled already. It may be
    /// made more than once, and must not wait.
    #[must_use]
    pub fn on_cancel(&self, call: impl Fn() + Send + Sync + 'static) -> OnCancel {
        let call: Call = Arc::new(call);
        let number = self.add(Arc::clone(&call));
        // A cancellation that began before the call was added may have missed it.
        if self.is_cancelled() {
            call();
        }
        OnCancel { cancel: self.clone(), number }
    }

    fn add(&self, call: Call) -> u64 {
        let mut calls = self.0.calls();
        calls.last += 1;
        let number = calls.last;
        calls.all.insert(number, call);
        number
    }
}

/// Who a handle works for: one request.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Whose request it is. Engines elsewhere keep the prefix caches of tenants apart, so that no tenant can probe those of another
    /// by timing. The prompt cache of the built-in engine is shared by all tenants.
    pub tenant: Option<String>,
    /// Ends what the handle computes. Beams can still be released.
    pub cancel: Cancel,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_cancellation_makes_the_calls_that_are_there_and_no_others() {
        let (cancel, made) = (Cancel::new(), Arc::new(AtomicUsize::new(0)));
        let count = || {
            let made = Arc::clone(&made);
            move || {
                made.fetch_add(1, Ordering::SeqCst);
            }
        };
        drop(cancel.on_cancel(count()));
        let kept = cancel.on_cancel(count());
        cancel.clone().cancel();
        assert_eq!(made.load(Ordering::SeqCst), 1, "the dropped one is not made");
        let late = cancel.on_cancel(count());
        assert_eq!(made.load(Ordering::SeqCst), 2, "the request was cancelled already");
        drop((kept, late));
        assert!(cancel.is_cancelled() && cancel.0.calls().all.is_empty());
    }
}
