//! Every first-party component gives the same answers in WebAssembly and as plain Rust, on random rows, call by call. So unit
//! tests in plain Rust hold for the component.

#[path = "native_support/mod.rs"]
mod support;

use inferenceguard_guarantee_tests::guest_constraint;
use inferenceguard_guest as guest;
use inferenceguard_guest::{Critic as _, Steering as _, Tracker as _};
use inferenceguard_sandbox::SettingValue;
use inferenceguard_search::{Batch, Steered, Tracked};
use proptest::{collection::vec, prelude::*};
use support::{Settings, activate, agree, all_close, decision, dense, double, native, plan, rows};

/// Calls as they come in a request: a plan, then two decisions, by the same instance.
fn policy<P: guest::Policy>(package: &str, settings: Settings<'_>, rows: &[Batch; 3]) {
    let active = activate(package, settings);
    let (mut wasm, mut native) = (active.policy().unwrap(), native::<P>(settings));
    let [first, rest @ ..] = rows.clone().map(|rows| Batch { needs: active.needs().clone(), ..rows });
    agree(wasm.plan(&first), native.plan(&double(&first)), |wasm, native| assert_eq!(wasm, plan(native)));
    for rows in &rest {
        let same = |wasm, native| assert_eq!(wasm, decision(native));
        if !agree(wasm.select(rows), native.select(&double(rows)), same) {
            return;
        }
    }
}

fn cost<C: guest::BatchCost>(package: &str, settings: Settings<'_>, rows: &Batch) {
    let (active, native) = (activate(package, settings), native::<C>(settings));
    let rows = Batch { needs: active.needs().clone(), ..rows.clone() };
    let native = native.price_all(&double(&rows), &dense(&rows));
    agree(active.cost().unwrap().price(&rows), native, |wasm, native| {
        assert_eq!(wasm.len(), native.len());
        wasm.iter().zip(&native).for_each(|(wasm, native)| all_close(wasm, native));
    });
}

fn text(text: &str) -> SettingValue {
    SettingValue::Text(text.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn policies((one, two, three) in (rows(), rows(), rows())) {
        let rows = [one, two, three];
        policy::<base::Base>("base", &[], &rows);
        for objective in ["reward", "lagrangian", "augmented"] {
            let settings = [("objective", text(objective)), ("lambda", SettingValue::Number(0.5))];
            policy::<best_of_n::BestOfN>("best-of-n", &settings, &rows);
            policy::<beam_search::BeamSearch>("beam-search", &settings, &rows);
        }
        for critic in [false, true] {
            let settings = [("critic", SettingValue::Flag(critic)), ("keep", SettingValue::Integer(2))];
            policy::<inference_guard::InferenceGuard>("inference-guard", &settings, &rows);
            let settings = [("critic", SettingValue::Flag(critic)), ("threshold", SettingValue::Number(0.6))];
            policy::<value_filtered_decoding::ValueFilteredDecoding>("value-filtered-decoding", &settings, &rows);
            policy::<dynamic_abstention::DynamicAbstention>("dynamic-abstention", &settings, &rows);
        }
    }

    #[test]
    fn args_with_and_without_what_it_reads((one, two, three) in (rows(), rows(), rows()), whole: bool) {
        // Half the time all is there, else rows may lack a logit or a task cost: errors are the same too.
        let rows = [one, two, three].map(|mut batch| {
            for row in batch.rows_mut().iter_mut().filter(|_| whole) {
                row.expansion_logit.get_or_insert(0.5);
                row.task_cost.get_or_insert(1.5);
            }
            batch
        });
        for objective in ["reward", "lagrangian", "cost"] {
            let settings = [("objective", text(objective)), ("lambda", SettingValue::Number(0.5))];
            policy::<args::Args>("args", &settings, &rows);
        }
    }

    #[test]
    fn costs(rows in rows()) {
        cost::<score_cost::ScoreCost>("score-cost", &[("scale", SettingValue::Number(0.3))], &rows);
        let task = [("model", text("reward")), ("kind", text("task"))];
        cost::<score_cost::ScoreCost>("score-cost", &task, &rows);
        let words = SettingValue::Texts(vec!["bomb".to_owned(), "how to*".to_owned()]);
        cost::<keyword_cost::KeywordCost>("keyword-cost", &[("words", words)], &rows);
        cost::<pattern_cost::PatternCost>("pattern-cost", &[], &rows);
        cost::<linear_cost::LinearCost>("linear-cost", &[("shift", SettingValue::Number(0.1))], &rows);
        let hazard = [("form", text("hazard")), ("scale", SettingValue::Number(2.0))];
        cost::<linear_cost::LinearCost>("linear-cost", &hazard, &rows);
        cost::<linear_cost::LinearCost>("linear-cost", &[("per", text("chunk"))], &rows);
        cost::<linear_cost::LinearCost>("linear-cost", &[("kind", text("task"))], &rows);
    }

    #[test]
    fn the_critic(rows in rows()) {
        let (active, native) = (activate("latent-critic", &[]), native::<latent_critic::LatentCritic>(&[]));
        let rows = Batch { needs: active.needs().clone(), ..rows };
        let native = native.estimate(&double(&rows), &dense(&rows));
        let answered = agree(active.critic().unwrap().estimate(&rows), native, |wasm, native| {
            assert_eq!(wasm.len(), native.len());
            for (wasm, native) in wasm.iter().zip(native) {
                all_close(&wasm.safe, &native.safe);
                all_close(&[wasm.cost_to_go], &[native.cost_to_go]);
            }
        });
        prop_assert_eq!(answered, !rows.rows.is_empty(), "without rows there are no latents");
    }

    #[test]
    fn the_steering(rows in rows()) {
        let (active, native) = (activate("re-control", &[]), native::<re_control::ReControl>(&[]));
        let rows = Batch { needs: active.needs().clone(), ..rows };
        let native = native.steer(&double(&rows), &dense(&rows));
        agree(active.steering().unwrap().steer(&rows), native, |wasm, native| {
            let (Steered::All(wasm), guest::Steered::All(native)) = (wasm, native) else { panic!("expected all rows") };
            assert_eq!(wasm, native.to_vec().unwrap());
        });
    }

    #[test]
    fn the_tracker(rows in rows(), costs in vec(-3.0..9.0, 0..6), ended: bool) {
        let mut wasm = activate("safety-budget", &[]).tracker().unwrap();
        let native = native::<safety_budget::SafetyBudget>(&[]);
        for constraint in rows.constraints.iter() {
            let (state, start) = (wasm.start(constraint).unwrap(), native.start(&guest_constraint(constraint)).unwrap());
            assert_eq!((state.z, &state.memory), (start.z, &start.memory));
            let row = guest::Tracked { state: start, costs: costs.clone(), ended };
            let wasm = wasm.advance(constraint, &[Tracked { state, costs: costs.clone(), ended }]);
            agree(wasm, native.advance(&guest_constraint(constraint), row), |wasm, native| {
                assert_eq!((wasm.len(), wasm[0].safe), (1, native.safe));
                all_close(&wasm[0].trace, &native.trace);
                all_close(&wasm[0].state.memory, &native.state.memory);
            });
        }
    }
}
