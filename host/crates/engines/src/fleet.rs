//! The replicas of one engine: which one a call goes to, and when it is sent again.

use crate::{
    Authority, Contradiction, Deadlines, Endpoint, Fault, Key, RemoteError,
    http::{Call, Failed, Http},
    identity::weight,
    replica::Replica,
};
use inferenceguard_model::{Drain, ReplicaReport, ReplicaRole, lock};
use std::{
    cmp::Reverse,
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, atomic::AtomicU64},
    task::Poll,
};
use tokio::time::{sleep, timeout};

/// How often a busy replica is asked again, and a broken connection is made again.
const RETRIES: u32 = 4;

/// How a replica is checked.
pub(crate) trait Check: Send + Sync + 'static {
    /// What a check finds.
    type Facts: Clone + PartialEq + Send + Sync + 'static;

    /// Checks that a replica is the engine and the model that this side expects.
    fn check(&self, http: &Http, at: &Endpoint) -> impl Future<Output = Result<Self::Facts, Fault>> + Send;

    /// Whether a replica that was checked still serves the same model, as far as one or two short calls show it.
    fn look(&self, http: &Http, at: &Endpoint, facts: &Self::Facts)
    -> impl Future<Output = Result<bool, Fault>> + Send;

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
    pub(crate) authority: Option<Authority>,
    pub(crate) deadlines: Deadlines,
    /// The most rows in flight at one replica.
    pub(crate) places: usize,
}

/// Replicas of one engine.
pub(crate) struct Fleet<C: Check> {
    pub(crate) http: Http,
    /// The same connections with the shorter deadline of checks.
    pub(crate) checks: Http,
    pub(crate) replicas: Vec<Replica<C::Facts>>,
    pub(crate) check: C,
    pub(crate) changes: AtomicU64,
    /// One order to drain at a time, so that two orders do not take out the last two replicas.
    draining: Mutex<()>,
}

impl<C: Check> Fleet<C> {
    /// Must be called inside a runtime.
    pub(crate) fn new(setting: Setting, check: C) -> Result<Self, RemoteError> {
        let Setting { endpoints, key, authority, deadlines, places } = setting;
        if endpoints.is_empty() {
            return Err(Fault::Setup { reason: "name at least one URL".into() }.at("(no URL)"));
        }
        let http = Http::new(&endpoints, (key, authority), deadlines)?;
        let replicas = endpoints.into_iter().map(|endpoint| Replica::new(endpoint, places.max(1))).collect();
        let checks = http.within(deadlines.check_byte);
        Ok(Self { http, checks, replicas, check, changes: AtomicU64::new(0), draining: Mutex::default() })
    }

    pub(crate) fn check(&self) -> &C {
        &self.check
    }

    /// Sends a call to the replica of the session; if that one fails and nothing was lost, again, and then to the next one.
    pub(crate) async fn call<T>(
        &self,
        session: &str,
        call: Call<'_>,
        read: impl Fn(&C::Facts, &[u8]) -> Result<Read<T>, Fault>,
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
        read: impl Fn(&C::Facts, &[u8]) -> Result<Read<T>, Fault>,
    ) -> Result<T, RemoteError> {
        let mut last = None;
        for replica in self.ranked(session) {
            match self.here(replica, call, &read).await {
                Ok(value) => return Ok(value),
                Err(fault) if fault.is_retried() || !replica.is_usable() => last = Some(fault.at(&replica.endpoint)),
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
        read: &impl Fn(&C::Facts, &[u8]) -> Result<Read<T>, Fault>,
    ) -> Result<T, Fault> {
        let mut backoff = self.http.deadlines().backoff;
        for retry in 0.. {
            let Failed { fault, wait } = match self.ready(replica).await {
                Ok(facts) => match self.once(replica, &facts, call, read).await {
                    Ok(value) => return Ok(value),
                    Err(failed) => failed,
                },
                Err(fault) if replica.fault().is_some() => return Err(fault),
                Err(fault) => fault.into(),
            };
            if fault == Fault::Drained {
                return Err(fault);
            }
            replica.count_failure();
            self.note(replica, &fault);
            if !fault.is_retried() || retry >= RETRIES {
                return Err(fault);
            }
            sleep(wait.unwrap_or(backoff)).await;
            backoff *= 2;
        }
        Err(Fault::Cancelled)
    }

    /// What a fault says about the replica.
    fn note(&self, replica: &Replica<C::Facts>, fault: &Fault) {
        if fault.is_suspect() {
            self.suspect(replica);
        } else if matches!(fault, Fault::Unavailable { .. }) {
            replica.doubt();
        }
    }

    async fn once<T>(
        &self,
        replica: &Replica<C::Facts>,
        facts: &C::Facts,
        call: Call<'_>,
        read: &impl Fn(&C::Facts, &[u8]) -> Result<Read<T>, Fault>,
    ) -> Result<T, Failed> {
        let place = replica.places.acquire().await.map_err(|_| Fault::Cancelled)?;
        if replica.is_drained() {
            return Err(Fault::Drained.into());
        }
        replica.count_call();
        let bytes = first(self.http.bytes(&replica.endpoint, call), self.lost(replica)).await?;
        drop(place);
        let Read { value, mark } = read(facts, &bytes)?;
        // Another process answers at this URL: its answers count only once it was checked.
        if mark.as_deref() != C::mark(facts) {
            self.suspect(replica);
            let now = self.ready(replica).await?;
            if mark.as_deref() != C::mark(&now) {
                return Err(Fault::from(Contradiction::Process).into());
            }
        }
        Ok(value)
    }

    /// Ends a call to a replica once a check finds that its answer would not count, or that it does not answer and another one
    /// could. The same row with the same seed then goes to the other one.
    async fn lost<T>(&self, replica: &Replica<C::Facts>) -> Result<T, Failed> {
        let fault = replica.falls().await;
        if fault.is_absence() && !self.replicas.iter().any(Replica::is_usable) {
            return pending().await;
        }
        Err(fault.into())
    }

    /// Replicas by the weight that they have for this session, without those that are drained.
    fn ranked(&self, session: &str) -> Vec<&Replica<C::Facts>> {
        let mut all: Vec<_> = self.replicas.iter().filter(|replica| !replica.is_drained()).collect();
        all.sort_by_cached_key(|replica| Reverse(weight(session, &replica.endpoint.to_string())));
        all
    }

    /// Why no replica can be used, if none can.
    pub(crate) fn broken(&self) -> Option<String> {
        let usable = self.replicas.iter().any(Replica::is_usable);
        (!usable).then(|| self.no_replica().to_string())
    }

    pub(crate) fn no_replica(&self) -> RemoteError {
        let why = |replica: &Replica<C::Facts>| replica.fault().or(replica.is_drained().then_some(Fault::Drained));
        let known = self.replicas.iter().filter_map(|replica| Some((replica, why(replica)?)));
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

    /// What is known of each replica.
    pub(crate) fn report(&self, role: ReplicaRole, model: &str) -> Vec<ReplicaReport> {
        let one = |(at, replica): (usize, &Replica<C::Facts>)| ReplicaReport {
            role,
            model: model.to_owned(),
            number: at + 1,
            url: replica.endpoint.to_string(),
            state: replica.report_state(),
            drained: replica.is_drained(),
            calls: replica.calls(),
            failures: replica.failures(),
            rows: replica.rows(),
        };
        self.replicas.iter().enumerate().map(one).collect()
    }

    /// As [`BackEnd::drain`](inferenceguard_model::BackEnd::drain).
    pub(crate) fn drain(&self, url: &str, drained: bool) -> Drain {
        let _one = lock(&self.draining);
        let found = self.replicas.iter().position(|replica| replica.endpoint.to_string() == url);
        let Some(found) = found else { return Drain::Unknown };
        let mut others = self.replicas.iter().enumerate().filter(|(at, _)| *at != found);
        if drained && !others.any(|(_, other)| other.is_usable()) {
            return Drain::Last;
        }
        self.replicas[found].drain(drained);
        Drain::Done
    }
}

/// The value of the future that ends first.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(value),
        Poll::Pending => other.as_mut().poll(context),
    })
    .await
}

/// A fleet that several parts of a back end use.
pub(crate) type Shared<C> = Arc<Fleet<C>>;
