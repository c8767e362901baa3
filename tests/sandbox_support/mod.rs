//! Guests by name, a sandbox for all tests of a file, and rows to ask about.

#![allow(dead_code, reason = "each test file uses a part")]

use inferenceguard_sandbox::{Activation, Component, Limits, Sandbox, SandboxError, SettingValue};
use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Constraint, ConstraintMode, CostClip, Moment, Needs, RowScores,
};
use inferenceguard_testkit::components;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// The bytes of a guest's component.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    components::guests()[name].clone()
}

/// The bytes of a first-party component.
pub(crate) fn first_party(name: &str) -> Vec<u8> {
    components::first_party()[name].clone()
}

/// Small limits, so that excess is found quickly.
pub(crate) fn limits() -> Limits {
    Limits { fuel: 200_000_000, memory: 16 << 20, tensors: 4 << 20, instances: 64, ..Limits::default() }
}

pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(limits(), None).expect("a sandbox"))
}

pub(crate) fn load(name: &str) -> Component {
    sandbox().load(name, &guest(name)).expect("a component that loads")
}

pub(crate) fn mode(mode: &str) -> BTreeMap<String, SettingValue> {
    BTreeMap::from([("mode".to_owned(), SettingValue::Text(mode.to_owned()))])
}

pub(crate) fn activate(name: &str, misdeed: &str) -> Result<Activation, SandboxError> {
    load(name).activate(&mode(misdeed))
}

pub(crate) fn constraint() -> Constraint {
    let (clip, mode) = (CostClip::Capped, ConstraintMode::Anytime);
    Constraint { name: "harm".to_owned(), budget: 10.0, gamma: 1.0, clip, mode }
}

/// Rows of two tokens each, every column filled.
pub(crate) fn rows(count: u64, needs: &Needs) -> Batch {
    let moment = Moment { chunk: 2, attempt: 1, depth: 8, max_depth: 32, last: false, unranked: false };
    let rows = (0..count).map(row).collect();
    Batch { moment, constraints: Arc::new([constraint()]), prompt: "How?".into(), needs: needs.clone(), rows }
}

fn row(n: u64) -> BatchRow {
    let scores = RowScores { tokens: vec![0.5, n as f32], end: 1.5 };
    BatchRow {
        id: n + 100,
        parent: n,
        length: 8,
        tokens: vec![1, 2],
        text: "ab".to_owned(),
        text_ends: vec![1, 2],
        lookback: "so far".to_owned(),
        logprobs: vec![-0.5, -0.25],
        top_k: Some((0..64).map(|token| (token, -1.0)).collect()),
        logits: Some((0..64_u8).map(f32::from).collect()),
        latent: Some([n as f32 + 1.0, 0.5, -0.5, 2.0].into()),
        scores: BTreeMap::from([("harm".to_owned(), scores)]),
        priced: true,
        safe: true,
        budgets: vec![BudgetState { z: 7.0, memory: vec![1.0] }],
        margins: vec![7.0],
        spent: vec![3.0],
        task_cost: Some(-1.0),
        ..BatchRow::default()
    }
}
