//! Admission: which requests may run or wait, and which are sent away.
//!
//! A request passes these limits in turn: the open connections of its listener (`connections`), its client's key
//! (`middleware`), then here the operator's denial, the choices over all requests ([`Capacity`]) and those of its client
//! ([`Quota`](crate::quota::Quota)). Of the admitted choices the engine runs as many as it can at once; the others wait in its
//! queue.

use crate::{
    auth::Client,
    deploy::Denial,
    error::ApiError,
    live::{Entry, Live},
    quota::QuotaSlot,
};
use axum::http::StatusCode;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Admits requests, and lists those that were admitted.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) capacity: Capacity,
    pub(crate) live: Live,
    /// The number of the next request.
    next: AtomicU64,
}

/// An admitted request. Its `entry` cancels it when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// Requests are numbered in the order in which they are admitted.
    pub(crate) number: u64,
    /// Its id in answers.
    pub(crate) id: String,
    /// One slot for each choice.
    pub(crate) slots: Vec<Slot>,
    pub(crate) entry: Entry,
    /// How many choices waited when it came.
    pub(crate) waiting: usize,
}

/// Room for one choice, among all choices and among those of its client. Free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _capacity: OwnedSemaphorePermit,
    _quota: QuotaSlot,
}

impl Admission {
    /// Admits as many choices as run at once, and `max_waiting` more.
    pub(crate) fn new(at_once: usize, max_waiting: usize) -> Self {
        Self { capacity: Capacity::new(at_once, max_waiting), live: Live::default(), next: AtomicU64::new(1) }
    }

    /// Admits a request with this many choices; its id begins with `prefix`.
    ///
    /// # Errors
    /// 503 while requests are denied or too many wait, 429 beyond the client's limits, 400 for more choices than could ever be
    /// admitted.
    pub(crate) fn admit(
        &self,
        denial: &Denial,
        client: &Arc<Client>,
        prefix: &str,
        choices: u32,
    ) -> Result<Admitted, ApiError> {
        denial.check()?;
        let waiting = self.capacity.waiting();
        let capacity = self.capacity.reserve(choices)?;
        let quota = client.quota.reserve(choices)?;
        let slots = capacity.into_iter().zip(quota).map(|(_capacity, _quota)| Slot { _capacity, _quota }).collect();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{prefix}-{number}");
        let entry = self.live.enter(number, &id, &client.name);
        // A denial cancels the requests that are listed when it begins. If it began after the first check and before this request
        // was listed, it did not cancel this request, and this check refuses it.
        denial.check()?;
        Ok(Admitted { number, id, slots, entry, waiting })
    }
}

/// Room for choices over all requests: for those that run, and for those that wait.
#[derive(Debug)]
pub(crate) struct Capacity {
    free: Arc<Semaphore>,
    total: usize,
    at_once: usize,
}

impl Capacity {
    fn new(at_once: usize, max_waiting: usize) -> Self {
        let total = at_once.saturating_add(max_waiting).min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(total)), total, at_once }
    }

    /// How many choices wait.
    pub(crate) fn waiting(&self) -> usize {
        (self.total - self.free.available_permits()).saturating_sub(self.at_once)
    }

    /// Room for each of these choices, until it is dropped.
    fn reserve(&self, choices: u32) -> Result<Vec<OwnedSemaphorePermit>, ApiError> {
        if choices as usize > self.total {
            return Err(ApiError::bad("n", format!("found {choices}; this server takes at most {}", self.total)));
        }
        let full = |_| {
            let message = format!("{} choices are waiting already; come back a little later", self.waiting());
            ApiError::later(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message, 1)
        };
        let mut permits = Arc::clone(&self.free).try_acquire_many_owned(choices).map_err(full)?;
        Ok((0..choices).filter_map(|_| permits.split(1)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_counted_and_not_requests() {
        let capacity = Capacity::new(2, 3);
        let first = capacity.reserve(4).unwrap();
        assert_eq!((first.len(), capacity.waiting()), (4, 2));
        let error = capacity.reserve(2).unwrap_err();
        assert_eq!((error.status.as_u16(), error.code, error.retry_after), (503, "overloaded", Some(1)));
        let second = capacity.reserve(1).unwrap();
        assert_eq!(capacity.waiting(), 3);
        drop((first, second));
        assert_eq!(capacity.waiting(), 0);
        assert!(capacity.reserve(5).is_ok());
        assert_eq!(capacity.reserve(6).unwrap_err().status.as_u16(), 400, "it would never fit");
    }

    #[test]
    fn any_number_may_wait() {
        assert!(Capacity::new(8, usize::MAX).reserve(8).is_ok());
    }
}
