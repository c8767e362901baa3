//! Requests under way, for the status page, and those who leave early.

use inferenceguard_host::{CancelToken, Progress};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// One request as administrators see it. No text of anybody is kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) client: String,
    pub(crate) seconds: f64,
    /// Where it stands; nothing before its first decision.
    pub(crate) progress: Option<Progress>,
    #[serde(skip)]
    since: Instant,
    #[serde(skip)]
    cancel: CancelToken,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<BTreeMap<u64, Seen>>>);

/// One request's place in the list; gone, and the request cancelled, when it is dropped.
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
        self.lock().insert(number, Seen { id, client, seconds: 0.0, progress: None, since, cancel: kept });
        Entry { live: self.clone(), number, cancel }
    }

    pub(crate) fn advance(&self, number: u64, progress: Progress) {
        if let Some(seen) = self.lock().get_mut(&number) {
            seen.progress = Some(progress);
        }
    }

    pub(crate) fn list(&self) -> Vec<Seen> {
        self.lock().values().map(|seen| Seen { seconds: seen.since.elapsed().as_secs_f64(), ..seen.clone() }).collect()
    }

    /// Cancels every request under way; what was released stays released.
    pub(crate) fn cancel_all(&self) {
        self.lock().values().for_each(|seen| seen.cancel.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.lock().remove(&self.number);
        // Of no effect on a request that is done.
        self.cancel.cancel();
    }
}
