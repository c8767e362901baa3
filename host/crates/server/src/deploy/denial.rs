//! The operator's denial of all requests.

use inferenceguard_model::lock;
use std::sync::Mutex;

/// Whether requests are denied, and why. Its lock is held for a moment only: every request reads it.
#[derive(Debug, Default)]
pub(crate) struct Denial(Mutex<Option<String>>);

/// The operator denies all requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the operator denies all requests: {reason}")]
pub(crate) struct Denied {
    reason: String,
}

impl Denial {
    pub(super) fn new(reason: Option<String>) -> Self {
        Self(Mutex::new(reason))
    }

    /// The reason, if all requests are denied.
    pub(crate) fn reason(&self) -> Option<String> {
        lock(&self.0).clone()
    }

    /// Denies all requests that begin from now on, or none. Saves nothing.
    pub(super) fn set(&self, reason: Option<String>) {
        *lock(&self.0) = reason;
    }

    /// # Errors
    /// [`Denied`] with the operator's reason.
    pub(crate) fn check(&self) -> Result<(), Denied> {
        self.reason().map_or(Ok(()), |reason| Err(Denied { reason }))
    }
}
