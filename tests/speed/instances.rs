//! The time before the first token of a request: an instance of every role, configured, up to its first answer.

use crate::{
    native_support::activate,
    question,
    stopwatch::{Stopwatch, limited, plain},
};
use inferenceguard_sandbox::{Activation, SettingValue};
use inferenceguard_search::Role;
use std::hint::black_box;

pub(crate) fn measure(watch: Stopwatch) {
    let (roles, more) = (one_of_each_role(), more_costs());
    for active in roles.iter().chain(&more) {
        plain(&format!("a {} up to its first answer: {}", active.role(), active.name()), once(watch, active));
    }
    let all = watch.time(|| roles.iter().for_each(first_answer));
    limited("instances of all five roles up to their first answer", all, 0.25);
    let all = watch.time(|| roles.iter().chain(&more).for_each(first_answer));
    plain("the same with a task cost, 300 phrases and patterns", all);
}

fn one_of_each_role() -> Vec<Activation> {
    let names = ["inference-guard", "safety-budget", "latent-critic", "re-control", "score-cost"];
    names.into_iter().map(|name| activate(name, &[])).collect()
}

/// A task cost, and costs that search the text in their first answer.
fn more_costs() -> Vec<Activation> {
    let task = [("model", SettingValue::Text("reward".to_owned())), ("kind", SettingValue::Text("task".to_owned()))];
    vec![
        activate("score-cost", &task),
        activate("keyword-cost", &[("words", question::words())]),
        activate("pattern-cost", &[]),
    ]
}

fn once(watch: Stopwatch, active: &Activation) -> f64 {
    watch.time(|| first_answer(active))
}

/// One row, as at the start of a request.
fn first_answer(active: &Activation) {
    let batch = question::batch(1, active.needs());
    match active.role() {
        Role::Policy => drop(black_box(active.policy().expect("a policy").plan(&batch).expect("a plan"))),
        Role::Tracker => {
            let constraint = &question::constraints()[0];
            drop(black_box(active.tracker().expect("a tracker").start(constraint).expect("a state")));
        }
        Role::Critic => drop(black_box(active.critic().expect("a critic").estimate(&batch).expect("estimates"))),
        Role::Steering => drop(black_box(active.steering().expect("a steering").steer(&batch).expect("latents"))),
        Role::Cost => drop(black_box(active.cost().expect("a cost").price(&batch).expect("prices"))),
        // No component plays it.
        Role::Model => {}
    }
}
