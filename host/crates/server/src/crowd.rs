//! How many choices are under way, and how many more may wait.

use crate::error::ApiError;
use axum::http::StatusCode;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for choices: those that run, and those that wait.
#[derive(Debug)]
pub(crate) struct Crowd {
    free: Arc<Semaphore>,
    all: usize,
    at_once: usize,
}

impl Crowd {
    pub(crate) fn new(at_once: usize, max_waiting: usize) -> Self {
        let all = at_once.saturating_add(max_waiting).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(all)), all, at_once }
    }

    /// Choices of clients that wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        (self.all - self.free.available_permits()).saturating_sub(self.at_once)
    }

    /// A place for each of so many choices; each counts until it is dropped.
    pub(crate) fn enter(&self, choices: u32) -> Result<Vec<OwnedSemaphorePermit>, ApiError> {
        if choices as usize > self.all {
            return Err(ApiError::bad("n", format!("found {choices}; this server takes at most {}", self.all)));
        }
        let full = |_| {
            let message = format!("{} choices are waiting already; come back a little later", self.waiting());
            ApiError::later(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message, 1)
        };
        let mut places = Arc::clone(&self.free).try_acquire_many_owned(choices).map_err(full)?;
        Ok((0..choices).filter_map(|_| places.split(1)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_counted_and_not_requests() {
        let crowd = Crowd::new(2, 3);
        let first = crowd.enter(4).unwrap();
        assert_eq!((first.len(), crowd.waiting()), (4, 2));
        let error = crowd.enter(2).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code, error.retry_after), (503, "overloaded", Some(1)));
        let second = crowd.enter(1).unwrap();
        assert_eq!(crowd.waiting(), 3);
        drop((first, second));
        assert_eq!(crowd.waiting(), 0);
        assert!(crowd.enter(5).is_ok());
        assert_eq!(crowd.enter(6).unwrap_err().status.as_u16(), 400, "it would never fit");
    }

    #[test]
    fn any_number_may_wait() {
        assert!(Crowd::new(8, usize::MAX).enter(8).is_ok());
    }
}
