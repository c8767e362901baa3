//! Who a handle works for, and how its calls are stopped from another thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Stops the calls of handles from another thread. Clones are the same signal; it is never taken back.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Calls that run end soon with [`ModelError::Cancelled`](crate::ModelError::Cancelled), later ones at once.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether [`Cancel::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl From<Arc<AtomicBool>> for Cancel {
    /// The signal of a flag that the caller has already.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

/// Who a handle works for: one request.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Requests of different tenants share no cache that one could probe by timing.
    pub tenant: Option<String>,
    /// Ends what the handle computes. Beams can still be released.
    pub cancel: Cancel,
}
