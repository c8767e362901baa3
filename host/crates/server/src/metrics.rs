//! What is counted, in Prometheus' text format. Names and base units follow its conventions.

use crate::{
    end::End,
    exposition::Format,
    labels::{Names, Text},
};
use inferenceguard_host::{Engine, Generation, Models, Output, Profile};
use inferenceguard_search::{ConstraintReport, Finish, Status};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use std::sync::atomic::{AtomicU64, Ordering};

const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
const STEPS: [f64; 12] = [2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
/// Shares of a budget. None is below zero: a histogram with such buckets may have no sum.
const SHARES: [f64; 7] = [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    status: &'static str,
    finish: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Constraint {
    constraint: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failure {
    role: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Swapped {
    change: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Bundle {
    name: Text,
    version: Text,
    digest: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Model {
    role: &'static str,
    name: Text,
    fingerprint: Text,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// All of them.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Ended, Counter>,
    errors: Family<Kind, Counter>,
    seconds: Histogram,
    first_text: Histogram,
    tokens: Family<Kind, Counter>,
    remaining: Histograms<Constraint>,
    constraints: Names,
    failures: Family<Failure, Counter>,
    swaps: Family<Swapped, Counter>,
    swap_seconds: Histogram,
    shadow: Family<Result, Counter>,
    generation: Gauge,
    bundle: Family<Bundle, Gauge>,
    models: Family<Model, Gauge>,
    queue: Histogram,
    step: Histogram,
    stages: Family<Stage, Counter<f64, AtomicU64>>,
    fuel: Counter,
    lost_spans: Counter,
    live: Gauge,
    waiting: Gauge,
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
            seconds: seconds(),
            first_text: seconds(),
            tokens: Family::default(),
            remaining: Family::new_with_constructor(shares),
            constraints: Names::default(),
            failures: Family::default(),
            swaps: Family::default(),
            swap_seconds: seconds(),
            shadow: Family::default(),
            generation: Gauge::default(),
            bundle: Family::default(),
            models: Family::default(),
            queue: seconds(),
            step: Histogram::new(STEPS),
            stages: Family::default(),
            fuel: Counter::default(),
            lost_spans: Counter::default(),
            live: Gauge::default(),
            waiting: Gauge::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("requests", "Choices that were answered, refused or cancelled", self.requests.clone());
        r.register(
            "request_errors",
            "Requests, and choices of them, that ended with an error, by kind",
            self.errors.clone(),
        );
        r.register_with_unit("request", "From the request to its end", Unit::Seconds, self.seconds.clone());
        r.register_with_unit(
            "first_text",
            "From the request to its first text",
            Unit::Seconds,
            self.first_text.clone(),
        );
        r.register("tokens", "Tokens: prompt, completion, sampled, scored", self.tokens.clone());
        let help = "What was left of the budget, as a share of it; 0 where it was exceeded";
        r.register_with_unit("safety_budget_remaining", help, Unit::Ratios, self.remaining.clone());
        r.register("policy_failures", "Components that failed, by role and kind", self.failures.clone());
        r.register(
            "policy_swaps",
            "Attempts to change what decides, by kind: activate, canary, shadow, promote, roll_back, begin",
            self.swaps.clone(),
        );
        r.register_with_unit("policy_swap", "Time of an activation", Unit::Seconds, self.swap_seconds.clone());
        r.register("shadow_answers", "What the shadow would have said, against what was said", self.shadow.clone());
        r.register("policy_generation", "The active generation", self.generation.clone());
        r.register("policy_bundle_info", "The active bundle", self.bundle.clone());
        r.register("model_info", "The models: the language model and the score models", self.models.clone());
        r.register_with_unit("queue", "Waiting for a place among the running", Unit::Seconds, self.queue.clone());
        let help = "A step of the language model, the mean of each request";
        r.register_with_unit("model_step", help, Unit::Seconds, self.step.clone());
        let help = "Where the time of requests went; steps of different requests overlap";
        r.register_with_unit("stage", help, Unit::Seconds, self.stages.clone());
        r.register("policy_fuel", "Fuel that components used", self.fuel.clone());
        r.register("spans_lost", "Spans that the collector did not take", self.lost_spans.clone());
        r.register("requests_running", "Requests under way", self.live.clone());
        r.register("requests_waiting", "Choices of clients that wait for their turn", self.waiting.clone());
        self
    }

    /// A request or a choice ended; with the output that was said and how long it took, if there is one.
    pub(crate) fn ended(&self, end: End, said: Option<(&Output, f64)>) {
        let cancelled = ("cancelled", finish(Finish::Cancelled));
        match (end, said) {
            (end, _) if end.is_error() => drop(self.errors.get_or_create(&Kind { kind: end.name() }).inc()),
            (End::Cancelled, _) | (_, None) => self.counted(cancelled),
            (_, Some((output, _))) => self.counted((status(output.status), finish(output.finish))),
        }
        let Some((output, seconds)) = said else { return };
        self.seconds.observe(seconds);
        for constraint in decided(output) {
            let constraint_name = self.constraints.value(&constraint.name);
            self.remaining.get_or_create(&Constraint { constraint: constraint_name }).observe(left(constraint));
        }
    }

    fn counted(&self, (status, finish): (&'static str, &'static str)) {
        self.requests.get_or_create(&Ended { status, finish }).inc();
    }

    /// What an output took, whether it was said or not.
    pub(crate) fn used(&self, output: &Output) {
        self.profiled(&output.profile);
        let usage = &output.usage;
        for (kind, count) in [
            ("prompt", usage.prompt_tokens),
            ("completion", usage.completion_tokens),
            ("sampled", usage.sampled_tokens),
            ("scored", usage.scored_positions),
        ] {
            self.tokens.get_or_create(&Kind { kind }).inc_by(count);
        }
        for failure in &output.failures {
            let (role, kind) = (failure.role.to_string(), failure.kind.name());
            self.failures.get_or_create(&Failure { role, kind }).inc();
        }
    }

    fn profiled(&self, profile: &Profile) {
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
            self.stages.get_or_create(&Stage { stage }).inc_by(seconds);
        }
    }

    pub(crate) fn first_text(&self, seconds: f64) {
        self.first_text.observe(seconds);
    }

    /// An attempt to change what decides; how long it took, if it took any time.
    pub(crate) fn swapped(&self, change: &'static str, done: bool, seconds: Option<f64>) {
        let result = if done { "done" } else { "refused" };
        self.swaps.get_or_create(&Swapped { change, result }).inc();
        seconds.into_iter().for_each(|seconds| self.swap_seconds.observe(seconds));
    }

    pub(crate) fn shadowed(&self, result: &'static str) {
        self.shadow.get_or_create(&Result { result }).inc();
    }

    pub(crate) fn active(&self, generation: &Generation) {
        self.generation.set(i64::try_from(generation.number).unwrap_or(i64::MAX));
        let bundle = &generation.bundle;
        self.bundle.clear();
        let [name, version, digest] = [&bundle.name, &bundle.version, &bundle.digest].map(|text| Text::of(text));
        self.bundle.get_or_create(&Bundle { name, version, digest }).set(1);
    }

    /// Which models these are.
    pub(crate) fn models(&self, models: &Models) {
        let scores = models.scores.iter().map(|(name, one)| ("score", name, one));
        for (role, name, one) in scores.chain([("language", &models.model.name, &models.model)]) {
            let (name, fingerprint) = (Text::of(name), Text::of(&one.fingerprint));
            self.models.get_or_create(&Model { role, name, fingerprint }).set(1);
        }
    }

    /// The page of all in this format, with what the engine knows as it is now.
    pub(crate) fn page(&self, format: Format, engine: &Engine, waiting: usize, lost_spans: u64) -> String {
        self.live.set(i64::try_from(engine.live()).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.fuel.inner().store(engine.fuel(), Ordering::Relaxed);
        self.lost_spans.inner().store(lost_spans, Ordering::Relaxed);
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &self.registry);
        format.page(text)
    }
}

/// What is left of a budget, as a share from 0 to 1: clients choose budgets, and none of them may spoil a sum.
fn left(constraint: &ConstraintReport) -> f64 {
    let share = (constraint.budget - constraint.max_cost) / constraint.budget;
    if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
}

/// The budgets of an answer that was decided; one that was refused, cut off or failed has spent of none.
pub(crate) fn decided(output: &Output) -> &[ConstraintReport] {
    if is_decided(output) { &output.constraints } else { &[] }
}

/// Whether an answer was emitted, within budget or not.
pub(crate) fn is_decided(output: &Output) -> bool {
    matches!(output.status, Status::WithinBudget | Status::BudgetExceeded)
}

pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::WithinBudget => "within_budget",
        Status::BudgetExceeded => "budget_exceeded",
        Status::NoSafeCandidate => "no_safe_candidate",
        Status::Failed => "failed",
    }
}

fn finish(finish: Finish) -> &'static str {
    match finish {
        Finish::Eos => "eos",
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::Refused => "refused",
        Finish::Failed => "failed",
        Finish::Cancelled => "cancelled",
    }
}
