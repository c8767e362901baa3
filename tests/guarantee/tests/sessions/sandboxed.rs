//! The same requests with the components in the sandbox: they end the same. Only z may differ in its last bits, because
//! γ^t comes from another library there.

use crate::{
    case::{Case, Player},
    cast::{Cast, Settings},
    is_guarded, played,
    verdict::Tally,
};
use inferenceguard_guest::Value;
use inferenceguard_host::Output;
use inferenceguard_sandbox::{Activation, Component, Limits, Sandbox, SettingValue};
use inferenceguard_search::{Cost, Policy, Tracker};
use inferenceguard_testkit::components::first_party;
use std::{collections::BTreeMap, sync::Arc};

const PACKAGES: [&str; 9] = [
    "base",
    "beam-search",
    "best-of-n",
    "dynamic-abstention",
    "inference-guard",
    "keyword-cost",
    "safety-budget",
    "score-cost",
    "value-filtered-decoding",
];

/// Components, loaded once.
struct InSandbox(BTreeMap<&'static str, Component>);

impl InSandbox {
    fn load() -> Self {
        // Wall-clock time says nothing on a busy machine; fuel is the fence that counts.
        let limits = Limits { deadline_ms: 60_000, ..Limits::default() };
        let sandbox = Sandbox::new(limits, None).expect("a sandbox");
        let load = |name| (name, sandbox.load(name, &first_party()[name]).expect("a component of the contract"));
        Self(PACKAGES.into_iter().map(load).collect())
    }

    fn activate(&self, component: &str, settings: &Settings<'_>) -> Activation {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), setting(value))).collect();
        self.0[component].activate(&settings).expect("settings in range")
    }
}

fn setting(value: &Value) -> SettingValue {
    match value {
        Value::Flag(value) => SettingValue::Flag(*value),
        Value::Integer(value) => SettingValue::Integer(*value),
        Value::Number(value) => SettingValue::Number(*value),
        Value::Text(value) => SettingValue::Text(value.clone()),
        Value::Texts(value) => SettingValue::Texts(value.clone()),
        Value::Weighted(value) => SettingValue::Weighted(value.clone()),
    }
}

impl Cast for InSandbox {
    fn policy(&self, component: &str, settings: &Settings<'_>) -> Box<dyn Policy> {
        self.activate(component, settings).policy().expect("an instance")
    }

    fn tracker(&self, component: &str) -> Box<dyn Tracker> {
        self.activate(component, &[]).tracker().expect("an instance")
    }

    fn cost(&self, component: &str, settings: &Settings<'_>) -> Box<dyn Cost> {
        self.activate(component, settings).cost().expect("an instance")
    }
}

/// Every z, in order.
fn traces(output: &Output) -> Vec<f64> {
    output.constraints.iter().flat_map(|constraint| constraint.z.clone()).collect()
}

/// An output without the time it took and where it went, without z, and without notes, which the host takes from components
/// alone.
fn bare(mut output: Output) -> String {
    (output.seconds, output.profile) = Default::default();
    output.z.clear();
    output.notes.clear();
    output.constraints.iter_mut().for_each(|constraint| constraint.z.clear());
    format!("{output:?}")
}

fn same(there: Output, here: Output, case: &Case) {
    let (far, near) = (traces(&there), traces(&here));
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * (1.0 + b.abs());
    assert!(far.len() == near.len() && far.iter().zip(&near).all(close), "{far:?} {near:?}\n{case:#?}");
    assert_eq!(bare(there), bare(here), "{case:#?}");
}

#[test]
fn in_the_sandbox_requests_end_the_same() {
    let sandbox: Arc<dyn Cast> = Arc::new(InSandbox::load());
    let mut tally = Tally::default();
    for (which, name) in (1_u64..).zip(played()) {
        let count = if is_guarded(name) { 60 } else { 20 };
        for i in 0..count {
            let case = Case::draw((which << 32) + i, Player::Method(name), false);
            let there = case.engine_of(Arc::clone(&sandbox));
            let there = tally.play(&case, &there).expect("an answer");
            let here = Tally::default().play(&case, &case.engine()).expect("an answer");
            same(there, here, &case);
        }
    }
    tally.demand(&[("within", 100), ("exceeded", 50), ("refused", 10), ("retried", 20), ("trajectories", 2_000)]);
}
