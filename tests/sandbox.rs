//! Components play every role, read what they declared, and share nothing.

#[path = "sandbox_support/mod.rs"]
mod support;

use inferenceguard_model::dense::{CpuDense, Dense, Layer, LayerActivation, Networks};
use inferenceguard_sandbox::{Limits, Sandbox, SandboxError, SettingValue, Shape};
use inferenceguard_search::{
    BudgetState, Constraint, Decision, FailureKind, Needs, Note, Role, SearchLimits, Steered, Tracked,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use support::{activate, constraint, first_party, guest, limits, load, mode, rows, sandbox};

/// A deployment's networks: this one, under the name `value`.
fn networks(layers: Vec<Layer>) -> Networks {
    Networks::from([("value".to_owned(), CpuDense.load("value", &layers.into()).unwrap())])
}

#[test]
fn a_policy_plans_and_selects() {
    let active = activate("rogue-policy", "ok").unwrap();
    let mut policy = active.policy().unwrap();
    let plan = policy.plan(&rows(3, active.needs())).unwrap();
    assert_eq!((plan.candidates, plan.chunk_len, plan.task_cost), (vec![2, 2, 2], 4, true));
    assert_eq!(policy.select(&rows(2, active.needs())).unwrap(), Decision::Keep(vec![0, 1]));
}

#[test]
fn a_tracker_advances_and_keeps_its_memory_on_the_host() {
    let mut tracker = activate("rogue-tracker", "ok").unwrap().tracker().unwrap();
    let start = tracker.start(&constraint()).unwrap();
    assert_eq!(start, BudgetState { z: 10.0, memory: vec![] });
    let state = BudgetState { z: 10.0, memory: vec![4.0, 5.0] };
    let row = Tracked { state, costs: vec![3.0, 9.0], ended: true };
    let advanced = tracker.advance(&constraint(), &[row]).unwrap();
    assert_eq!(advanced[0].state, BudgetState { z: -2.0, memory: vec![4.0, 5.0] });
    assert_eq!((advanced[0].safe, advanced[0].trace.clone()), (false, vec![7.0, -2.0]));
}

#[test]
fn a_cost_reads_what_it_declared() {
    let expected = [
        ("read-text", vec![12.0, 12.0]),
        ("read-top-k", vec![-64.0]),
        ("read-latents", vec![1.0]),
        ("read-scores", vec![0.5, 0.0]),
    ];
    for (mode, prices) in expected {
        let active = activate("rogue-cost", mode).unwrap();
        let answer = active.cost().unwrap().price(&rows(2, active.needs())).unwrap();
        assert_eq!(answer[0], prices, "{mode}");
        assert_eq!(answer.len(), 2);
    }
}

#[test]
fn what_a_network_computes_counts_as_fuel() {
    let sandbox = Sandbox::new(Limits { fuel: 1_000_000, ..limits() }, None).unwrap();
    let estimate = |hidden: usize| {
        let width = rows(1, &Needs::default()).rows[0].latent.as_ref().unwrap().len();
        let layer = |inputs: usize, outputs: usize| Layer {
            weights: vec![0.0; inputs * outputs],
            bias: vec![0.0; outputs],
            activation: LayerActivation::Identity,
        };
        let layers = vec![layer(width, hidden), layer(hidden, 1)];
        let networks = Arc::new(networks(layers));
        let component = sandbox.load("rogue-critic", &guest("rogue-critic")).unwrap();
        let active = component.activate_with(&mode("network"), networks).unwrap();
        active.critic().unwrap().estimate(&rows(2, active.needs()))
    };
    estimate(100).unwrap();
    // Some instructions, and 4 x a million and more multiply-adds at 8 for one unit of fuel.
    let kind = estimate(1_000_000).unwrap_err().kind;
    assert_eq!(kind, FailureKind::OutOfFuel { limit: 1_000_000 });
}

#[test]
fn a_critic_uses_the_networks_of_the_deployment() {
    let layer = Layer { weights: vec![1.0, 2.0, 3.0, 4.0], bias: vec![0.5], activation: LayerActivation::Identity };
    let active = load("rogue-critic").activate_with(&mode("network"), Arc::new(networks(vec![layer]))).unwrap();
    let estimates = active.critic().unwrap().estimate(&rows(2, active.needs())).unwrap();
    // Row n: (n + 1) + 2 * 0.5 - 3 * 0.5 + 4 * 2 + 0.5; the gradient's first number twice.
    assert_eq!((estimates[0].safe.clone(), estimates[0].cost_to_go), (vec![9.0], 2.0));
    assert_eq!(estimates[1].safe, vec![10.0]);
}

#[test]
fn a_steering_gives_nothing_or_a_tensor() {
    let active = activate("rogue-steering", "ok").unwrap();
    assert_eq!(active.steering().unwrap().steer(&rows(1, active.needs())).unwrap(), Steered::Unchanged);
    let active = activate("rogue-steering", "tensor").unwrap();
    let mut steering = active.steering().unwrap();
    let expected = Steered::All(vec![2.0, 1.0, -1.0, 4.0]);
    assert_eq!(steering.steer(&rows(1, active.needs())).unwrap(), expected);
    assert_eq!(steering.steer(&rows(1, active.needs())).unwrap(), expected);
}

#[test]
fn instances_share_nothing_and_move_between_threads() {
    let active = activate("rogue-cost", "counter").unwrap();
    let batch = rows(1, active.needs());
    let mut first = active.cost().unwrap();
    assert_eq!(first.price(&batch).unwrap(), [[0.0, 0.0]]);
    let second = std::thread::spawn({
        let (active, batch) = (active.clone(), batch.clone());
        move || active.cost().unwrap().price(&batch).unwrap()
    });
    assert_eq!(second.join().unwrap(), [[0.0, 0.0]]);
    assert_eq!(first.price(&batch).unwrap(), [[1.0, 1.0]]);
}

#[test]
fn settings_are_checked_against_the_description() {
    let cost = load("rogue-cost");
    let given = |name: &str, value| cost.activate(&BTreeMap::from([(name.to_owned(), value)])).unwrap_err().to_string();
    let unknown = given("mood", SettingValue::Flag(true));
    assert_eq!(unknown, "`rogue-cost` has no setting `mood`; it has `mode`, `words`");
    let wrong = given("mode", SettingValue::Integer(3));
    assert_eq!(wrong, "setting `mode` of `rogue-cost` is an integer; expected a text");
    assert!(cost.activate(&BTreeMap::from([("words".to_owned(), SettingValue::Texts(vec!["a".into()]))])).is_ok());
    let refused = activate("rogue-cost", "refuse-settings").unwrap_err().to_string();
    let words = "found the mode `refuse-settings`; expected another";
    assert_eq!(refused, format!("`rogue-cost` refuses its settings: {words}"));
}

#[test]
fn a_role_is_played_only_by_its_own_component() {
    let active = activate("rogue-cost", "ok").unwrap();
    let error = active.policy().err().unwrap();
    let expected =
        SandboxError::WrongRole { component: "rogue-cost".to_owned(), found: Role::Cost, expected: Role::Policy };
    assert_eq!(error, expected);
}

#[test]
fn a_dry_pool_is_an_error_and_not_a_wait() {
    let sandbox = Sandbox::new(Limits { instances: 2, ..limits() }, None).unwrap();
    let active = sandbox.load("tracker", &guest("rogue-tracker")).unwrap().activate(&mode("ok")).unwrap();
    let held = (active.tracker().unwrap(), active.tracker().unwrap());
    let error = active.tracker().err().unwrap();
    assert!(matches!(error, SandboxError::PoolDry { .. }), "{error}");
    drop(held);
    assert!(active.tracker().is_ok());
}

#[test]
fn limits_of_one_component_are_not_those_of_another() {
    let first = Sandbox::new(limits(), None).unwrap();
    let bytes = guest("rogue-cost");
    let price = |sandbox: &Sandbox| {
        let active = sandbox.load("cost", &bytes).and_then(|cost| cost.activate(&mode("hungry"))).unwrap();
        let prices = active.cost().unwrap().price(&rows(2, active.needs()));
        (active, prices.map_err(|failure| failure.kind))
    };
    let low = first.with_limits(&Limits { fuel: 1_000_000, ..limits() }).unwrap();
    assert_eq!(price(&low).1, Err(FailureKind::OutOfFuel { limit: 1_000_000 }));
    assert!(price(&first).1.is_ok(), "the other sandbox goes on by its own limits");
    // Other room: a pool of its own.
    let narrow = first.with_limits(&Limits { instances: 1, ..limits() }).unwrap();
    let (active, _) = price(&narrow);
    let held = active.cost().unwrap();
    assert!(matches!(active.cost().err(), Some(SandboxError::PoolDry { .. })));
    assert!(price(&first).1.is_ok() && price(&narrow.with_limits(&limits()).unwrap()).1.is_ok());
    drop(held);
    assert!(narrow.fuel() > 0 && narrow.fuel() == first.fuel(), "one count for all");
    assert!(first.with_limits(&Limits { fuel: 0, ..limits() }).is_err());
}

#[test]
fn a_component_that_cannot_work_under_its_limits_is_found_before_a_request() {
    let shape = Shape::default();
    for (name, misdeeds) in [
        ("rogue-cost", &["loop", "memory", "panic", "nan", "infinite", "short", "no-rows", "undeclared"][..]),
        ("rogue-policy", &["loop", "panic", "unknown-row", "twice", "nan-retry"]),
        ("rogue-tracker", &["loop", "panic", "nan", "short", "hoard"]),
        ("rogue-critic", &["loop", "panic", "nan", "short"]),
        ("rogue-steering", &["loop", "panic", "nan", "short"]),
    ] {
        for misdeed in misdeeds {
            let error = activate(name, misdeed).unwrap().rehearse(&shape).unwrap_err();
            assert!(matches!(error, SandboxError::Failed { .. }), "{name}, {misdeed}: {error}");
        }
    }
    // A component may not like made-up rows.
    for (name, misdeed) in [("rogue-cost", "ok"), ("rogue-cost", "error"), ("rogue-policy", "ok")] {
        activate(name, misdeed).unwrap().rehearse(&shape).unwrap();
    }
}

#[test]
fn a_rehearsal_has_rows_of_the_deployments_shape() {
    let named = |name: &str| Constraint { name: name.to_owned(), ..Shape::default().constraints.remove(0) };
    let two = vec![named("harm"), named("privacy")];
    let wide =
        Shape { hidden: 4096, vocabulary: 3, constraints: two, unranked: false, limits: SearchLimits::default() };
    for mode in ["read-latents", "read-top-k", "ok"] {
        activate("rogue-cost", mode).unwrap().rehearse(&wide).unwrap();
    }
    // The policy plans more candidates than this deployment allows.
    let narrow = Shape { limits: SearchLimits { candidates: 1, ..SearchLimits::default() }, ..wide };
    let error = activate("rogue-policy", "ok").unwrap().rehearse(&narrow).unwrap_err();
    assert!(error.to_string().contains("candidates"), "{error}");
}

#[test]
fn compiled_code_is_kept_in_the_folder_given() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = guest("rogue-tracker");
    let load = || {
        let sandbox = Sandbox::new(limits(), Some(folder.path())).unwrap();
        sandbox.load("tracker", &bytes).unwrap().activate(&mode("ok")).unwrap().tracker().unwrap();
        std::fs::read_dir(folder.path()).unwrap().count()
    };
    assert!(load() > 0);
    load();
}

#[test]
fn limits_are_checked() {
    let error = Sandbox::new(Limits { deadline_ms: 0, ..limits() }, None).err().unwrap();
    assert_eq!(error.to_string(), "limit `deadline-ms` is 0; expected 1 to 3600000");
}

#[test]
fn the_clock_stops_with_the_sandbox() {
    // A clock that did not stop would hang the join in its drop.
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(Sandbox::new(limits(), None).unwrap());
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(30)).unwrap();
}

#[test]
fn a_cost_notes_what_it_found_and_its_notes_are_taken_once() {
    let component = sandbox().load("keyword-cost", &first_party("keyword-cost")).unwrap();
    let words = SettingValue::Weighted(vec![("bomb*".to_owned(), 2.0), ("a".to_owned(), 0.0)]);
    let activation = component.activate(&BTreeMap::from([("words".to_owned(), words)])).unwrap();
    let mut cost = activation.cost().unwrap();
    let mut batch = rows(2, &cost.needs().clone());
    for row in batch.rows_mut() {
        (row.text, row.text_ends, row.lookback) = ("a bombs".to_owned(), vec![1, 7], "so ".to_owned());
    }
    assert_eq!(cost.price(&batch).unwrap(), [[0.0, 2.0], [0.0, 2.0]]);
    let note = |row| Note { row, token: 1, found: "bomb*".to_owned() };
    assert_eq!(cost.notes(), [note(0), note(1)], "what costs nothing is not noted");
    assert!(cost.notes().is_empty(), "they are taken");
}
