//! The same component code in WebAssembly and as plain Rust, on the same 32 rows of 32 tokens.
//!
//! The time in WebAssembly includes the crossings; plain Rust reads a batch that lies beside it.

use crate::{
    native_support::{Settings, activate, dense, double, native},
    question::{self, ROWS},
    stopwatch::{Stopwatch, ratio},
};
use inferenceguard_guarantee_tests::guest_constraint;
use inferenceguard_guest as guest;
use inferenceguard_guest::{Critic as _, Policy as _, Steering as _, Tracker as _};
use inferenceguard_sandbox::SettingValue;
use std::hint::black_box;

/// Milliseconds in WebAssembly, then in plain Rust.
type Pair = (f64, f64);

const MOST: f64 = 2.0;

pub(crate) fn measure(watch: Stopwatch) {
    let words = [("words", question::words())];
    let text = |text: &str| SettingValue::Text(text.to_owned());
    let task = [("model", text("reward")), ("kind", text("task"))];
    let pairs = [
        ("inference-guard", policy(watch)),
        ("safety-budget", tracker(watch)),
        ("latent-critic", critic(watch)),
        ("re-control", steering(watch)),
        ("score-cost, safety", cost::<score_cost::ScoreCost>(watch, "score-cost", &[])),
        ("score-cost, task", cost::<score_cost::ScoreCost>(watch, "score-cost", &task)),
        ("keyword-cost, 300 phrases", cost::<keyword_cost::KeywordCost>(watch, "keyword-cost", &words)),
        ("pattern-cost", cost::<pattern_cost::PatternCost>(watch, "pattern-cost", &[])),
    ];
    for (name, pair) in &pairs {
        show(name, *pair);
    }
    show("all of these", pairs.iter().fold((0.0, 0.0), |sum, (_, pair)| (sum.0 + pair.0, sum.1 + pair.1)));
}

fn show(name: &str, (wasm, native): Pair) {
    ratio(&format!("{name}: {wasm:.4} ms in wasm, {native:.4} ms native"), wasm / native, MOST);
}

fn policy(watch: Stopwatch) -> Pair {
    let active = activate("inference-guard", &[]);
    let rows = question::batch(ROWS, active.needs());
    let mut policy = active.policy().expect("a policy");
    let wasm = watch.time(|| drop(black_box(policy.select(black_box(&rows)).expect("a decision"))));
    let mut policy = native::<inference_guard::InferenceGuard>(&[]);
    let rows = double(&rows);
    (wasm, watch.time(|| drop(black_box(policy.select(black_box(&rows)).expect("a decision")))))
}

fn tracker(watch: Stopwatch) -> Pair {
    let constraint = &question::constraints()[0];
    let mut wasm = activate("safety-budget", &[]).tracker().expect("a tracker");
    let rows = question::tracked(&wasm.start(constraint).expect("a state"));
    let wasm = watch.time(|| drop(black_box(wasm.advance(constraint, black_box(&rows)).expect("states"))));
    let (tracker, constraint) = (native::<safety_budget::SafetyBudget>(&[]), guest_constraint(constraint));
    let state = tracker.start(&constraint).expect("a state");
    let row = |costs: &Vec<f64>| guest::Tracked { state: state.clone(), costs: costs.clone(), ended: false };
    let advance = |costs: &Vec<f64>| tracker.advance(&constraint, row(costs)).expect("a state");
    let costs: Vec<Vec<f64>> = rows.into_iter().map(|row| row.costs).collect();
    (wasm, watch.time(|| drop(black_box(costs.iter().map(advance).collect::<Vec<_>>()))))
}

fn critic(watch: Stopwatch) -> Pair {
    let active = activate("latent-critic", &[]);
    let rows = question::batch(ROWS, active.needs());
    let mut critic = active.critic().expect("a critic");
    let wasm = watch.time(|| drop(black_box(critic.estimate(black_box(&rows)).expect("estimates"))));
    let critic = native::<latent_critic::LatentCritic>(&[]);
    let (rows, dense) = (double(&rows), dense(&rows));
    (wasm, watch.time(|| drop(black_box(critic.estimate(black_box(&rows), &dense).expect("estimates")))))
}

fn steering(watch: Stopwatch) -> Pair {
    let active = activate("re-control", &[]);
    let rows = question::batch(ROWS, active.needs());
    let mut steering = active.steering().expect("a steering");
    let wasm = watch.time(|| drop(black_box(steering.steer(black_box(&rows)).expect("latents"))));
    let steering = native::<re_control::ReControl>(&[]);
    let (rows, dense) = (double(&rows), dense(&rows));
    (wasm, watch.time(|| drop(black_box(steering.steer(black_box(&rows), &dense).expect("latents")))))
}

fn cost<C: guest::BatchCost>(watch: Stopwatch, package: &str, settings: Settings<'_>) -> Pair {
    let active = activate(package, settings);
    let rows = question::batch(ROWS, active.needs());
    let mut cost = active.cost().expect("a cost");
    let wasm = watch.time(|| drop(black_box(cost.price(black_box(&rows)).expect("prices"))));
    let cost = native::<C>(settings);
    let (rows, dense) = (double(&rows), dense(&rows));
    (wasm, watch.time(|| drop(black_box(cost.price_all(black_box(&rows), &dense).expect("prices")))))
}
