//! Every misbehaviour of a component is a typed failure, the host survives it, and a good component still answers afterwards.

#[path = "sandbox_support/mod.rs"]
mod support;

use inferenceguard_sandbox::{Limits, Sandbox, SandboxError};
use inferenceguard_search::{BudgetState, Decision, FailureKind, Role, RoleFailure, Steered, Tracked};
use std::time::{Duration, Instant};
use support::{activate, constraint, guest, limits, mode, rows};

/// What a cost does in this mode; afterwards the same sandbox must serve a good one, and the failed one stays dead.
fn price(misdeed: &str) -> Result<Vec<Vec<f64>>, RoleFailure> {
    let active = activate("rogue-cost", misdeed).unwrap();
    let mut cost = active.cost().unwrap();
    let batch = rows(2, active.needs());
    let result = cost.price(&batch);
    if result.is_err() {
        assert_eq!(cost.price(&batch).unwrap_err().kind, FailureKind::Dead, "{misdeed}");
    }
    let good = activate("rogue-cost", "ok").unwrap();
    assert_eq!(good.cost().unwrap().price(&rows(1, good.needs())).unwrap(), [[1.0, 1.0]], "after {misdeed}");
    result
}

fn failure(misdeed: &str) -> FailureKind {
    let failure = price(misdeed).unwrap_err();
    assert_eq!((failure.role, failure.component.as_str()), (Role::Cost, "rogue-cost"));
    failure.kind
}

#[test]
fn an_endless_loop_runs_out_of_fuel() {
    assert_eq!(failure("loop"), FailureKind::OutOfFuel { limit: limits().fuel });
}

#[test]
fn the_deadline_kills_what_fuel_does_not() {
    let sandbox = Sandbox::new(Limits { fuel: u64::MAX, deadline_ms: 100, ..limits() }, None).unwrap();
    let active = sandbox.load("slow", &guest("rogue-cost")).unwrap().activate(&mode("loop")).unwrap();
    let started = Instant::now();
    let failure = active.cost().unwrap().price(&rows(1, active.needs())).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Deadline { millis: 100 });
    assert!(started.elapsed() >= Duration::from_millis(100));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn hoarded_memory_is_denied() {
    assert_eq!(failure("memory"), FailureKind::Memory { limit: limits().memory });
}

#[test]
fn a_panic_is_a_trap_with_its_text() {
    let FailureKind::Trap(text) = failure("panic") else { panic!("no trap") };
    assert!(text.contains("the rogue lost its nerve at row 7"), "{text}");
}

#[test]
fn endless_recursion_overflows_the_guest_and_not_the_host() {
    let FailureKind::Trap(text) = failure("recurse") else { panic!("no trap") };
    // Rust keeps arrays on a stack of its own inside the memory, so either stack may end first.
    assert!(text.contains("stack overflow") || text.contains("out of bounds"), "{text}");
}

#[test]
fn an_error_of_its_own_is_a_refusal() {
    assert_eq!(failure("error"), FailureKind::Refused("I would rather not".to_owned()));
}

#[test]
fn undeclared_reads_fail_the_call_whatever_it_answers() {
    let expected = FailureKind::Read { found: "`text`, which it did not declare".to_owned() };
    for misdeed in ["undeclared", "swallow", "unwrap-read"] {
        assert_eq!(failure(misdeed), expected, "{misdeed}");
    }
    let found = "`scores(harm)`, which it did not declare".to_owned();
    assert_eq!(failure("undeclared-score"), FailureKind::Read { found });
    let found = "`declare-token-latents` outside of `needs`".to_owned();
    assert_eq!(failure("declare-late"), FailureKind::Read { found });
}

#[test]
fn reads_out_of_range_fail_the_call() {
    assert_eq!(failure("row"), FailureKind::Read { found: "row 2, which does not exist".to_owned() });
    assert_eq!(failure("constraint"), FailureKind::Read { found: "constraint 99, which does not exist".to_owned() });
}

#[test]
fn declared_columns_that_are_missing_fail_the_call() {
    let active = activate("rogue-cost", "read-latents").unwrap();
    let mut batch = rows(2, active.needs());
    batch.rows_mut()[1].latent = None;
    let found = "`latents` of row 1, which is not available now".to_owned();
    assert_eq!(active.cost().unwrap().price(&batch).unwrap_err().kind, FailureKind::Read { found });
}

#[test]
fn a_huge_list_is_not_copied() {
    let found = "lists or texts that are too large".to_owned();
    let expected = format!("at most {} bytes in all (limit `output`)", limits().output);
    let too_large = FailureKind::BadOutput { found, expected };
    // Both fit the guest's own memory: one number more than may be copied, and many lists that are empty.
    for misdeed in ["huge", "many-rows"] {
        assert_eq!(failure(misdeed), too_large, "{misdeed}");
    }
}

#[test]
fn numbers_and_lengths_pass_unchecked_to_the_search() {
    assert!(price("nan").unwrap()[0][0].is_nan());
    assert_eq!(price("infinite").unwrap()[0][0], f64::INFINITY);
    assert_eq!(price("short").unwrap(), [[0.0; 0], [0.0; 0]]);
    assert!(price("no-rows").unwrap().is_empty());
}

#[test]
fn chatter_is_dropped_and_does_no_harm() {
    // Ten thousand bytes a line: what is not dropped is cut; fuel ends it at the latest.
    let result = price("chatter");
    assert!(matches!(&result, Ok(_) | Err(RoleFailure { kind: FailureKind::OutOfFuel { .. }, .. })), "{result:?}");
}

#[test]
fn a_policy_passes_what_the_search_must_refuse() {
    let plan =
        |misdeed| activate("rogue-policy", misdeed).unwrap().policy().unwrap().plan(&rows(1, &Default::default()));
    assert_eq!(plan("option").unwrap().unknown_options, ["warp-speed"]);
    assert!(matches!(plan("panic").unwrap_err().kind, FailureKind::Trap(_)));
    let select =
        |misdeed| activate("rogue-policy", misdeed).unwrap().policy().unwrap().select(&rows(2, &Default::default()));
    assert_eq!(select("unknown-row").unwrap(), Decision::Keep(vec![9]));
    assert_eq!(select("twice").unwrap(), Decision::Keep(vec![0, 0]));
    assert!(matches!(select("nan-retry").unwrap(), Decision::Retry(retry) if retry.penalty.is_nan()));
}

#[test]
fn a_tracker_passes_what_the_search_must_refuse_and_fails_in_kind() {
    let row = Tracked { state: BudgetState { z: 1.0, memory: vec![] }, costs: vec![1.0], ended: false };
    let advance = |misdeed| {
        let mut tracker = activate("rogue-tracker", misdeed).unwrap().tracker().unwrap();
        tracker.advance(&constraint(), std::slice::from_ref(&row))
    };
    assert!(advance("nan").unwrap()[0].state.z.is_nan());
    assert!(advance("short").unwrap()[0].trace.is_empty());
    assert!(advance("no-rows").unwrap().is_empty());
    assert_eq!(advance("loop").unwrap_err().kind, FailureKind::OutOfFuel { limit: limits().fuel });
    assert_eq!(advance("loop").unwrap_err().role, Role::Tracker);
    let start = activate("rogue-tracker", "hoard").unwrap().tracker().unwrap().start(&constraint()).unwrap();
    assert_eq!(start.memory.len(), 1000);
}

#[test]
fn a_critic_fails_in_kind() {
    let estimate = |misdeed| {
        let active = activate("rogue-critic", misdeed).unwrap();
        active.critic().unwrap().estimate(&rows(2, active.needs()))
    };
    assert!(estimate("nan").unwrap()[0].safe[0].is_nan());
    assert!(estimate("short").unwrap().is_empty());
    let found = "`latents`, which is not declared".to_owned();
    assert_eq!(estimate("undeclared").unwrap_err().kind, FailureKind::Read { found });
    let found = "`network(value)`, which is not declared".to_owned();
    assert_eq!(estimate("undeclared-network").unwrap_err().kind, FailureKind::Read { found });
    for (misdeed, words) in [("tensors", "Memory"), ("shape", "Shape"), ("network", "NoNetwork")] {
        let FailureKind::Refused(text) = estimate(misdeed).unwrap_err().kind else { panic!("{misdeed}") };
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_steering_passes_what_the_search_must_refuse() {
    let steer = |misdeed| {
        let active = activate("rogue-steering", misdeed).unwrap();
        active.steering().unwrap().steer(&rows(2, active.needs())).unwrap()
    };
    assert_eq!(steer("unknown-row"), Steered::Rows(vec![(2, vec![0.0; 4])]));
    assert_eq!(steer("short"), Steered::Rows(vec![(0, vec![])]));
    assert!(matches!(steer("nan"), Steered::Rows(rows) if rows[0].1[0].is_nan()));
}

#[test]
fn configuring_may_not_loop_or_panic() {
    let kind = |misdeed| match activate("rogue-cost", misdeed).unwrap_err() {
        SandboxError::Failed { function: "configure", kind, .. } => kind,
        other => panic!("{other}"),
    };
    assert_eq!(kind("loop-in-configure"), FailureKind::OutOfFuel { limit: limits().fuel });
    assert!(matches!(kind("panic-in-configure"), FailureKind::Trap(text) if text.contains("no settings, please")));
}

#[test]
fn needs_and_prices_that_make_no_sense_are_refused() {
    let error = |misdeed| activate("rogue-cost", misdeed).unwrap_err().to_string();
    assert_eq!(error("many-top-k"), "`rogue-cost` describes the need top-k(5000); expected top-k of 1 to 1,024");
    assert!(error("two-latents").contains("expected latents of one place only"));
    assert!(error("declare-twice").contains("expected token-latents of each place once"));
    assert!(error("declare-many").contains("expected token-latents of 8 places at most"));
    assert_eq!(error("task-per-token"), "`rogue-cost` describes a task cost per token; expected a task cost per chunk");
}
