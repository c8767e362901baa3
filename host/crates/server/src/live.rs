//! The list of running requests, for the status page and to cancel them.

use inferenceguard_host::{CancelToken, Progress};
use inferenceguard_model::lock;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

/// A running request as administrators see it, without prompt and answer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LiveRequest {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) seconds: f64,
    /// None before its first decision.
    pub(crate) progress: Option<Progress>,
    #[serde(skip)]
    since: Instant,
    #[serde(skip)]
    cancel: CancelToken,
}

/// All running requests by their numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<BTreeMap<u64, LiveRequest>>>);

/// A request's entry in the list. Dropping it removes the entry and cancels the request.
#[derive(Debug)]
pub(crate) struct Entry {
    live: Live,
    number: u64,
    pub(crate) cancel: CancelToken,
}

impl Live {
    pub(crate) fn enter(&self, number: u64, id: &str, client: &str) -> Entry {
        let (id, client) = (id.to_owned(), client.to_owned());
        let cancel = CancelToken::new();
        let (since, kept) = (Instant::now(), cancel.clone());
        self.lock().insert(number, LiveRequest { id, client, seconds: 0.0, progress: None, since, cancel: kept });
        Entry { live: self.clone(), number, cancel }
    }

    pub(crate) fn advance(&self, number: u64, progress: Progress) {
        if let Some(request) = self.lock().get_mut(&number) {
            request.progress = Some(progress);
        }
    }

    pub(crate) fn list(&self) -> Vec<LiveRequest> {
        self.lock()
            .values()
            .map(|one| LiveRequest { seconds: one.since.elapsed().as_secs_f64(), ..one.clone() })
            .collect()
    }

    /// Cancels every running request. Text that was released stays released.
    pub(crate) fn cancel_all(&self) {
        self.lock().values().for_each(|one| one.cancel.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, LiveRequest>> {
        lock(&self.0)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.lock().remove(&self.number);
        // A request that has ended ignores this.
        self.cancel.cancel();
    }
}
