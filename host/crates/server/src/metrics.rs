//! Metrics in Prometheus' text format, with names and base units by its conventions.

mod register;

use crate::{
    end::End,
    exposition::Format,
    labels::{Names, Text},
    metric_labels::{
        BundleLabels, ConstraintLabels, FailureLabels, JudgementLabels, KindLabels, ModelLabels, RequestLabels,
        ResultLabels, StageLabels, SwapLabels,
    },
    outcome::{decided, ended, finish},
    replica_metrics::Replicas,
    request_line::line,
    totals::Totals,
};
use inferenceguard_host::{Engine, Generation, Models, Output, Profile};
use inferenceguard_model::lock;
use inferenceguard_search::{ConstraintReport, Finish, RoleFailure};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
const STEPS: [f64; 12] = [2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
/// Shares of a budget, from 0 on: a histogram with buckets below zero may have no sum.
const SHARES: [f64; 7] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All metrics of the server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    errors: Family<KindLabels, Counter>,
    connection_errors: Family<KindLabels, Counter>,
    seconds: Histogram,
    first_text: Histogram,
    tokens: Family<KindLabels, Counter>,
    remaining: Histograms<ConstraintLabels>,
    constraints: Names,
    failures: Family<FailureLabels, Counter>,
    swaps: Family<SwapLabels, Counter>,
    swap_seconds: Histogram,
    shadow: Family<ResultLabels, Counter>,
    judgements: Family<JudgementLabels, Counter>,
    judgement_seconds: Histogram,
    generation: Gauge,
    bundle: Family<BundleLabels, Gauge>,
    models: Family<ModelLabels, Gauge>,
    queue: Histogram,
    step: Histogram,
    stages: Family<StageLabels, Counter<f64, AtomicU64>>,
    fuel: Counter,
    reused: Counter,
    lost_rows: Counter,
    lost_spans: Counter,
    replicas: Replicas,
    live: Gauge,
    waiting: Gauge,
    totals: Mutex<Totals>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn shares() -> Histogram {
    Histogram::new(SHARES)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("inferenceguard"),
            requests: Family::default(),
            errors: Family::default(),
            connection_errors: Family::default(),
            seconds: seconds(),
            first_text: seconds(),
            tokens: Family::default(),
            remaining: Family::new_with_constructor(shares),
            constraints: Names::default(),
            failures: Family::default(),
            swaps: Family::default(),
            swap_seconds: seconds(),
            shadow: Family::default(),
            judgements: Family::default(),
            judgement_seconds: seconds(),
            generation: Gauge::default(),
            bundle: Family::default(),
            models: Family::default(),
            queue: seconds(),
            step: Histogram::new(STEPS),
            stages: Family::default(),
            fuel: Counter::default(),
            reused: Counter::default(),
            lost_rows: Counter::default(),
            lost_spans: Counter::default(),
            replicas: Replicas::default(),
            live: Gauge::default(),
            waiting: Gauge::default(),
            totals: Mutex::default(),
        };
        metrics.register_requests().register_policy().register_models()
    }

    /// Counts the end of a request or a choice, with its output and the seconds it took, if there is an output.
    pub(crate) fn count_end(&self, end: End, answer: Option<(&Output, f64)>) {
        let cancelled = ("cancelled", finish(Finish::Cancelled));
        match (end, answer) {
            (end, _) if end.is_error() => drop(self.errors.get_or_create(&KindLabels { kind: end.name() }).inc()),
            (End::Cancelled, _) | (_, None) => self.count_request(cancelled),
            (_, Some((output, _))) => self.count_request((ended(output.status, output.finish), finish(output.finish))),
        }
        line(end, answer);
        lock(&self.totals).take(end, answer);
        let Some((output, seconds)) = answer else { return };
        self.seconds.observe(seconds);
        for constraint in decided(output) {
            let constraint_name = self.constraints.value(&constraint.name);
            self.remaining.get_or_create(&ConstraintLabels { constraint: constraint_name }).observe(left(constraint));
        }
    }

    /// Counts a connection that ended without a whole request.
    pub(crate) fn count_connection_error(&self, kind: &'static str) {
        self.connection_errors.get_or_create(&KindLabels { kind }).inc();
    }

    /// What the server has done since it began.
    pub(crate) fn totals(&self) -> Totals {
        lock(&self.totals).clone()
    }

    fn count_request(&self, (status, finish): (&'static str, &'static str)) {
        self.requests.get_or_create(&RequestLabels { status, finish }).inc();
    }

    /// Counts what an output took, also if its client does not get it.
    pub(crate) fn count_usage(&self, output: &Output) {
        self.observe_profile(&output.profile);
        let usage = &output.usage;
        for (kind, count) in [
            ("prompt", usage.prompt_tokens),
            ("completion", usage.completion_tokens),
            ("sampled", usage.sampled_tokens),
            ("scored", usage.scored_positions),
        ] {
            self.tokens.get_or_create(&KindLabels { kind }).inc_by(count);
        }
        self.lost_rows.inc_by(usage.lost_rows);
        self.count_failures(&output.failures);
    }

    /// Counts components that failed.
    pub(crate) fn count_failures(&self, failures: &[RoleFailure]) {
        for failure in failures {
            let (role, kind) = (failure.role.to_string(), failure.kind.name());
            self.failures.get_or_create(&FailureLabels { role, kind }).inc();
        }
    }

    /// Counts a text of a gateway.
    pub(crate) fn count_judgement(&self, face: &'static str, part: &'static str, status: &'static str) {
        self.judgements.get_or_create(&JudgementLabels { face, part, status }).inc();
    }

    /// The seconds of a judgement.
    pub(crate) fn observe_judgement(&self, seconds: f64) {
        self.judgement_seconds.observe(seconds);
    }

    fn observe_profile(&self, profile: &Profile) {
        self.queue.observe(profile.queue);
        if profile.steps > 0 {
            self.step.observe(profile.model / profile.steps as f64);
        }
        for (stage, seconds) in [
            ("model", profile.model),
            ("sampling", profile.sampling),
            ("scoring", profile.scoring),
            ("components", profile.components),
            ("other", profile.other),
        ] {
            self.stages.get_or_create(&StageLabels { stage }).inc_by(seconds);
        }
    }

    /// The seconds until the first text of a choice.
    pub(crate) fn observe_first_text(&self, seconds: f64) {
        self.first_text.observe(seconds);
    }

    /// Counts an attempt to change what decides, and the seconds it took, if it took any.
    pub(crate) fn count_swap(&self, change: &'static str, done: bool, seconds: Option<f64>) {
        let result = if done { "done" } else { "refused" };
        self.swaps.get_or_create(&SwapLabels { change, result }).inc();
        seconds.into_iter().for_each(|seconds| self.swap_seconds.observe(seconds));
    }

    /// Counts a verdict of the shadow.
    pub(crate) fn count_verdict(&self, result: &'static str) {
        self.shadow.get_or_create(&ResultLabels { result }).inc();
    }

    /// Sets the active generation.
    pub(crate) fn set_active(&self, generation: &Generation) {
        self.generation.set(i64::try_from(generation.number).unwrap_or(i64::MAX));
        let bundle = &generation.bundle;
        self.bundle.clear();
        let [name, version, digest] = [&bundle.name, &bundle.version, &bundle.digest].map(|text| Text::of(text));
        self.bundle.get_or_create(&BundleLabels { name, version, digest }).set(1);
    }

    /// Sets the models.
    pub(crate) fn set_models(&self, models: &Models) {
        let scores = models.scores.iter().map(|(name, one)| ("score", name, one));
        for (role, name, one) in scores.chain([("language", &models.model.name, &models.model)]) {
            let (name, fingerprint) = (Text::of(name), Text::of(&one.fingerprint));
            self.models.get_or_create(&ModelLabels { role, name, fingerprint }).set(1);
        }
    }

    /// The page of all metrics in this format, with the engine's values of this moment.
    pub(crate) fn page(&self, format: Format, engine: &Engine, waiting: usize, lost_spans: u64) -> String {
        self.live.set(i64::try_from(engine.live()).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.fuel.inner().store(engine.fuel(), Ordering::Relaxed);
        self.reused.inner().store(engine.reused_positions(), Ordering::Relaxed);
        self.lost_spans.inner().store(lost_spans, Ordering::Relaxed);
        engine.replicas().iter().for_each(|replica| self.replicas.set(replica));
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &self.registry);
        format.page(text)
    }
}

/// The rest of a budget, as a share from 0 to 1. Clients choose budgets: no budget may make the sum infinite or NaN.
fn left(constraint: &ConstraintReport) -> f64 {
    let share = (constraint.budget - constraint.max_cost) / constraint.budget;
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}
