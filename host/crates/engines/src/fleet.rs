//! The replicas of one engine: which one a call goes to, when it is sent again, and when a replica is checked.

use crate::{
    Deadlines, Endpoint, Fault, Key, Lie, RemoteError,
    hashes::weight,
    http::{Call, Failed, Http},
    replica::{Replica, Standing},
};
use std::{cmp::Reverse, future::Future, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How often a busy replica is asked again, and a broken connection is made again.
const RETRIES: u32 = 4;

/// How a replica is recognised.
pub(crate) trait Check: Send + Sync + 'static {
    /// What a check finds.
    type Facts: Clone + PartialEq + Send + Sync + 'static;

    /// Checks that a replica is the engine and the model that this side expects.
    fn check(&self, http: &Http, at: &Endpoint) -> impl Future<Output = Result<Self::Facts, Fault>> + Send;

    /// The mark by which a replica shows in each answer that it is the process that was checked.
    fn mark(facts: &Self::Facts) -> Option<&str>;
}

/// An answer that was read and checked.
pub(crate) struct Read<T> {
    pub(crate) value: T,
    /// The mark of the process that gave it.
    pub(crate) mark: Option<String>,
}

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) key: Option<Key>,
    pub(crate) deadlines: Deadlines,
    /// The most rows in flight at one replica.
    pub(crate) places: usize,
}

/// Replicas of one engine.
pub(crate) struct Fleet<C: Check> {
    http: Http,
    replicas: Vec<Replica<C::Facts>>,
    check: C,
}

impl<C: Check> Fleet<C> {
    /// Must be called inside a runtime.
    pub(crate) fn new(setting: Setting, check: C) -> Result<Self, RemoteError> {
        let Setting { endpoints, key, deadlines, places } = setting;
        if endpoints.is_empty() {
            return Err(Fault::Setup { reason: "name at least one URL".into() }.at("(no URL)"));
        }
        let http = Http::new(&endpoints, key, deadlines)?;
        let replicas = endpoints.into_iter().map(|endpoint| Replica::new(endpoint, places.max(1))).collect();
        Ok(Self { http, replicas, check })
    }

    pub(crate) fn check(&self) -> &C {
        &self.check
    }

    /// Checks every replica. At least one must be there, and none may be there and be another model.
    pub(crate) async fn begin(&self) -> Result<Vec<C::Facts>, RemoteError> {
        let mut found = Vec::new();
        for replica in &self.replicas {
            match self.ready(replica).await {
                Ok(facts) => found.push(facts),
                Err(fault) if is_absent(&fault) && self.replicas.len() > 1 => {}
                Err(fault) => return Err(fault.at(&replica.endpoint)),
            }
        }
        if found.is_empty() { Err(self.no_replica()) } else { Ok(found) }
    }

    /// Sends a call to the replica of the session; if that one fails and nothing was lost, again, and then to the next one.
    pub(crate) async fn call<T>(
        &self,
        session: &str,
        call: Call<'_>,
        read: impl Fn(&[u8]) -> Result<Read<T>, Fault>,
    ) -> Result<T, RemoteError> {
        let whole = self.http.deadlines().whole;
        let call = Call { session: Some(session), ..call };
        match timeout(whole, self.somewhere(session, call, read)).await {
            Ok(done) => done,
            Err(_) => Err(Fault::Silent { part: "the whole answer", waited: whole }.at(self.names())),
        }
    }

    async fn somewhere<T>(
        &self,
        session: &str,
        call: Call<'_>,
        read: impl Fn(&[u8]) -> Result<Read<T>, Fault>,
    ) -> Result<T, RemoteError> {
        let mut last = None;
        for replica in self.ranked(session) {
            match self.here(replica, call, &read).await {
                Ok(value) => return Ok(value),
                Err(fault) if fault.is_retried() || replica.fault().is_some() => {
                    last = Some(fault.at(&replica.endpoint))
                }
                Err(fault) => return Err(fault.at(&replica.endpoint)),
            }
        }
        // With one replica its own fault says most.
        Err(last.filter(|_| self.replicas.len() == 1).unwrap_or_else(|| self.no_replica()))
    }

    async fn here<T>(
        &self,
        replica: &Replica<C::Facts>,
        call: Call<'_>,
        read: &impl Fn(&[u8]) -> Result<Read<T>, Fault>,
    ) -> Result<T, Fault> {
        let mut backoff = self.http.deadlines().backoff;
        for retry in 0.. {
            let facts = self.ready(replica).await?;
            let Failed { fault, wait } = match self.once(replica, &facts, call, read).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            replica.failed();
            if fault.is_suspect() {
                replica.suspect();
            }
            if !fault.is_retried() || retry >= RETRIES {
                return Err(fault);
            }
            sleep(wait.unwrap_or(backoff)).await;
            backoff *= 2;
        }
        Err(Fault::Cancelled)
    }

    async fn once<T>(
        &self,
        replica: &Replica<C::Facts>,
        facts: &C::Facts,
        call: Call<'_>,
        read: &impl Fn(&[u8]) -> Result<Read<T>, Fault>,
    ) -> Result<T, Failed> {
        let place = replica.places.acquire().await.map_err(|_| Fault::Cancelled)?;
        let bytes = self.http.bytes(&replica.endpoint, call).await?;
        drop(place);
        let Read { value, mark } = read(&bytes)?;
        // Another process answers at this URL: its answers count only once it was checked.
        if mark.as_deref() != C::mark(facts) {
            replica.suspect();
            let now = self.ready(replica).await?;
            if mark.as_deref() != C::mark(&now) {
                return Err(Fault::from(Lie::Process).into());
            }
        }
        Ok(value)
    }

    /// What is known of a replica that may be used; checks it if that is due.
    async fn ready(&self, replica: &Replica<C::Facts>) -> Result<C::Facts, Fault> {
        if let Some(known) = known(replica) {
            return known;
        }
        let _one = replica.checking.lock().await;
        if let Some(known) = known(replica) {
            return known;
        }
        self.examine(replica).await
    }

    async fn examine(&self, replica: &Replica<C::Facts>) -> Result<C::Facts, Fault> {
        let result = self.check.check(&self.http, &replica.endpoint).await;
        replica.checked(result.clone(), self.http.deadlines().recheck);
        result
    }

    /// Replicas by the weight that they have for this session.
    fn ranked(&self, session: &str) -> Vec<&Replica<C::Facts>> {
        let mut all: Vec<_> = self.replicas.iter().collect();
        all.sort_by_cached_key(|replica| Reverse(weight(session, &replica.endpoint.to_string())));
        all
    }

    /// Checks replicas for as long as the fleet is there.
    pub(crate) async fn watch(fleet: std::sync::Weak<Self>, deadlines: Deadlines) {
        let tick = deadlines.recheck.min(deadlines.check).max(Duration::from_millis(1));
        loop {
            sleep(tick).await;
            let Some(fleet) = fleet.upgrade() else { return };
            for replica in fleet.replicas.iter().filter(|replica| replica.is_due(deadlines.check)) {
                let _one = replica.checking.lock().await;
                drop(fleet.examine(replica).await);
            }
        }
    }

    /// Why no replica can be used, if none can.
    pub(crate) fn broken(&self) -> Option<String> {
        let all = self.replicas.iter().all(|replica| replica.fault().is_some());
        all.then(|| self.no_replica().to_string())
    }

    fn no_replica(&self) -> RemoteError {
        let known = self.replicas.iter().filter_map(|replica| Some((replica, replica.fault()?)));
        let mut each: Vec<RemoteError> = known.map(|(replica, fault)| fault.at(&replica.endpoint)).collect();
        if each.len() == 1 && self.replicas.len() == 1 {
            return each.remove(0);
        }
        let each = each.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let each = if each.is_empty() { "each failed when it was asked".to_owned() } else { each };
        Fault::NoReplica { each }.at(self.names())
    }

    /// The URLs, for errors and records.
    pub(crate) fn names(&self) -> String {
        self.replicas.iter().map(|replica| replica.endpoint.to_string()).collect::<Vec<_>>().join(", ")
    }

    /// How many calls failed, by URL.
    pub(crate) fn failures(&self) -> Vec<(String, u64)> {
        self.replicas.iter().map(|replica| (replica.endpoint.to_string(), replica.failures())).collect()
    }
}

fn known<F: Clone>(replica: &Replica<F>) -> Option<Result<F, Fault>> {
    match replica.standing() {
        Standing::Ready(facts) => Some(Ok(facts)),
        Standing::Down(fault) => Some(Err(fault)),
        Standing::Due => None,
    }
}

/// Whether a replica is not there, or not yet, which may end by itself.
fn is_absent(fault: &Fault) -> bool {
    fault.is_retried() || matches!(fault, Fault::Silent { .. })
}

/// A fleet that several parts of a back end use.
pub(crate) type Shared<C> = Arc<Fleet<C>>;
