//! When the replicas of a fleet are checked, and what a check changes.

use crate::{
    Deadlines, Fault, Remote, RemoteError,
    engine::all,
    fleet::{Check, Fleet, Shared},
    http::Http,
    replica::{Replica, Standing, Task},
    worker::Worker,
};
use inferenceguard_model::Cancel;
use std::{
    sync::{Arc, Weak, atomic::Ordering},
    time::Duration,
};
use tokio::time::{sleep, timeout};

impl<C: Check> Fleet<C> {
    /// A fleet after a first check of its replicas; further checks go on for as long as it is there. `agree`
    /// merges the facts of all replicas.
    pub(crate) fn start<T>(
        worker: &Worker,
        remote: &Remote,
        check: C,
        agree: impl FnOnce(&Self, Vec<C::Facts>) -> Result<T, Fault>,
    ) -> Result<(Shared<C>, T), RemoteError> {
        let setting = remote.setting();
        let begun = worker.wait(&Cancel::new(), async move {
            let fleet = Arc::new(Self::new(setting, check)?);
            let found = fleet.begin().await?;
            Ok::<_, RemoteError>((fleet, found))
        });
        let (fleet, found) = begun.map_err(|fault| fault.at("(this side)"))??;
        let agreed = agree(&fleet, found).map_err(|fault| fault.at(fleet.names()))?;
        worker.spawn(Self::watch(Arc::downgrade(&fleet), remote.deadlines));
        Ok((fleet, agreed))
    }

    /// Checks all replicas at once. At least one must answer; every replica that answers must serve the right
    /// model.
    async fn begin(self: &Arc<Self>) -> Result<Vec<C::Facts>, RemoteError> {
        let checks = (0..self.replicas.len()).map(|i| Self::begun(Arc::clone(self), i)).collect();
        let done = all(checks).await.ok_or_else(|| Fault::Cancelled.at(self.names()))?;
        let mut found = Vec::new();
        for (replica, result) in self.replicas.iter().zip(done) {
            match result {
                Ok(facts) => found.push(facts),
                Err(fault) if fault.is_absence() && self.replicas.len() > 1 => {}
                Err(fault) => return Err(fault.at(&replica.endpoint)),
            }
        }
        if found.is_empty() { Err(self.no_replica()) } else { Ok(found) }
    }

    /// The first check of a replica. It has the deadline of rows: an engine that has just begun may compile for minutes, and no
    /// request waits yet.
    async fn begun(fleet: Arc<Self>, i: usize) -> Result<C::Facts, Fault> {
        match fleet.replicas.get(i) {
            Some(replica) => fleet.examine(replica, &fleet.http).await,
            None => Err(Fault::Cancelled),
        }
    }

    /// What is known of a replica that may be used. A replica that was not checked is checked first; a busy replica is looked
    /// at. A replica that is down stays down until [`Fleet::watch`] finds it again, so that no request waits for it.
    pub(crate) async fn ready(&self, replica: &Replica<C::Facts>) -> Result<C::Facts, Fault> {
        let every = self.http.deadlines().check;
        match replica.standing(every) {
            Standing::Ready(facts) => return Ok(facts),
            Standing::Down(fault) => return Err(fault),
            Standing::Due | Standing::Doubted(_) => {}
        }
        let _one = replica.checking.lock().await;
        match replica.standing(every) {
            Standing::Ready(facts) => Ok(facts),
            Standing::Down(fault) => Err(fault),
            Standing::Due => self.examine(replica, &self.checks).await,
            Standing::Doubted(facts) => self.look(replica, facts).await,
        }
    }

    /// A whole check, within the time for a whole row.
    async fn examine(&self, replica: &Replica<C::Facts>, http: &Http) -> Result<C::Facts, Fault> {
        let Deadlines { whole, recheck, .. } = *self.http.deadlines();
        let checked = timeout(whole, self.check.check(http, &replica.endpoint)).await;
        let result = checked.unwrap_or(Err(Fault::Silent { part: "the end of a check", waited: whole }));
        if replica.take_check(result.clone(), recheck) {
            self.count_change();
        }
        result
    }

    /// A short look at a replica that was checked; a whole check if it does not find the same model.
    async fn look(&self, replica: &Replica<C::Facts>, facts: C::Facts) -> Result<C::Facts, Fault> {
        let whole = self.http.deadlines().whole;
        match timeout(whole, self.check.look(&self.checks, &replica.endpoint, &facts)).await {
            Ok(Ok(true)) => {
                replica.note_look();
                Ok(facts)
            }
            // It is busy still, which says nothing about its model.
            Ok(Err(fault @ Fault::Unavailable { .. })) => Err(fault),
            _ => self.examine(replica, &self.checks).await,
        }
    }

    /// A call failed so that another process may answer the next one.
    pub(crate) fn suspect(&self, replica: &Replica<C::Facts>) {
        if replica.suspect() {
            self.count_change();
        }
    }

    fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// How often a replica that was in use could no longer be used unchecked. What was read under an older number may come from
    /// another model.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Checks each replica for as long as the fleet is there. A check that hangs does not delay the others.
    async fn watch(fleet: Weak<Self>, deadlines: Deadlines) {
        let count = fleet.upgrade().map_or(0, |fleet| fleet.replicas.len());
        drop(all((0..count).map(|i| Self::watch_one(Weak::clone(&fleet), i, deadlines)).collect()).await);
    }

    async fn watch_one(fleet: Weak<Self>, i: usize, deadlines: Deadlines) {
        let shortest = deadlines.recheck.min(deadlines.check).min(deadlines.look);
        loop {
            sleep(shortest.max(Duration::from_millis(1))).await;
            let Some(fleet) = fleet.upgrade() else { return };
            let Some(replica) = fleet.replicas.get(i) else { return };
            if replica.due(&deadlines).is_some() {
                fleet.do_due(replica, &deadlines).await;
            }
        }
    }

    async fn do_due(&self, replica: &Replica<C::Facts>, deadlines: &Deadlines) {
        let _one = replica.checking.lock().await;
        match (replica.due(deadlines), replica.standing(deadlines.check)) {
            (Some(Task::Look), Standing::Ready(facts) | Standing::Doubted(facts)) => {
                drop(self.look(replica, facts).await);
            }
            (Some(_), _) => drop(self.examine(replica, &self.checks).await),
            (None, _) => {}
        }
    }
}
