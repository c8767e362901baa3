//! Metrics of replicas. A replica's label is its place in the operator's list: a URL is not a label.

use crate::labels::Text;
use inferenceguard_host::model::{ReplicaReport, ReplicaState};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::sync::atomic::Ordering;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    role: &'static str,
    model: Text,
    replica: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    role: &'static str,
    model: Text,
    replica: usize,
    state: &'static str,
}

/// What the page of metrics says about replicas.
#[derive(Debug, Default)]
pub(crate) struct Replicas {
    calls: Family<Labels, Counter>,
    failures: Family<Labels, Counter>,
    rows: Family<Labels, Gauge>,
    drained: Family<Labels, Gauge>,
    state: Family<StateLabels, Gauge>,
}

impl Replicas {
    pub(crate) fn register(&self, r: &mut Registry) {
        r.register("replica_calls", "Calls for requests that were sent to a replica of an engine", self.calls.clone());
        let help = "Those that failed, also where they succeeded when they were sent again";
        r.register("replica_call_failures", help, self.failures.clone());
        let help = "Calls that a replica computes now: rows of language models, texts of score models";
        r.register("replica_rows", help, self.rows.clone());
        r.register("replica_drained", "Whether an operator has taken a replica out", self.drained.clone());
        r.register(
            "replica_state",
            "What the last check of a replica found: ready, unchecked, down",
            self.state.clone(),
        );
    }

    /// Sets the values of one replica.
    pub(crate) fn set(&self, one: &ReplicaReport) {
        let (role, model, replica) = (one.role.name(), Text::of(&one.model), one.number);
        let labels = Labels { role, model: model.clone(), replica };
        self.calls.get_or_create(&labels).inner().store(one.calls, Ordering::Relaxed);
        self.failures.get_or_create(&labels).inner().store(one.failures, Ordering::Relaxed);
        self.rows.get_or_create(&labels).set(i64::try_from(one.rows).unwrap_or(i64::MAX));
        self.drained.get_or_create(&labels).set(i64::from(one.drained));
        for state in ReplicaState::NAMES {
            let labels = StateLabels { role, model: model.clone(), replica, state };
            self.state.get_or_create(&labels).set(i64::from(one.state.name() == state));
        }
    }
}
