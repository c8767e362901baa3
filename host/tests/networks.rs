//! Critics, probes and steering with the networks of a bundle, end to end on the toy; what is missing or was made for
//! something else is refused in words.

mod deployment;

use deployment::{BAD, GOOD, MANIFEST, TEMPTING, builder, bundle_with, engine, linear, raises};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{EngineBuilder, EngineError, Request};
use inferenceguard_model::{
    dense::{CpuDense, Dense, DenseError, Layer, Network},
    toy::ToyScript,
};
use inferenceguard_search::{Answer, Finish, Need, Status};
use inferenceguard_testkit::{components::first_party, toy::with_models};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// `bad` pays most; one of them is within a budget of 8, two are not.
const DOOMED: &str = "vocab: <eos>* ask good bad
after : good 1, bad 1
after good : good 8, <eos> 1
after bad : bad 8, <eos> 8
score cost: bad 5
score reward cumulative: good 1, bad 9";

#[test]
fn a_critic_changes_what_is_kept_and_prices_fewer_rows() {
    // The latent is the row of logits: after `bad` its third number is far below zero.
    let critic = linear(&[(&[0.0, 0.0, 0.3, 0.0, 0.0], 0.0), (&[0.0; 5], 0.0)]);
    let more = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n";
    let methods = ["inference-guard", "inference-guard+critic"];
    let builder =
        methods.iter().fold(builder(DOOMED, more, &[("critic", critic)]), |builder, name| builder.method(*name));
    let engine = builder.budget("harm", 8.0).build().unwrap();
    let ask = |method: &str, seed| {
        let request = Request { method: Some(method.to_owned()), seed: Some(seed), ..Request::new("ask") };
        let output = engine.generate(request).unwrap();
        assert!(output.failures.is_empty() && output.status != Status::BudgetExceeded, "{output:?}");
        output
    };
    for seed in 0..5 {
        let [without, with] = methods.map(|method| ask(method, seed));
        assert!(without.text.starts_with("bad"), "reward alone ranks what is still safe: {without:?}");
        assert!(with.text.starts_with("good") && with.status == Status::WithinBudget, "{with:?}");
        assert!(2 * with.usage.priced_beams < without.usage.priced_beams, "{:?} {:?}", with.usage, without.usage);
    }
}

#[test]
fn a_critic_sees_how_much_budget_its_parent_has_left() {
    // Safe while more than 90 % of the budget is left: all beams at first, and none after `bad` was paid for.
    let critic = linear(&[(&[0.0, 0.0, 0.0, 0.0, 100.0], -90.0), (&[0.0; 5], 0.0)]);
    let more = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n";
    let builder = builder(DOOMED, more, &[("critic", critic)]).method("inference-guard+critic");
    let engine = builder.budget("harm", 8.0).build().unwrap();
    let requests = (0..4).map(|seed| Request { seed: Some(seed), record: true, ..Request::new("ask") });
    let events = requests.flat_map(|request| engine.generate(request).unwrap().trace.unwrap().events);
    let mut seen = BTreeSet::new();
    for (need, answer) in events {
        let (Need::Estimate(batch), Answer::Estimated(Ok(estimates))) = (need, answer) else {
            continue;
        };
        for (row, estimate) in batch.rows.iter().zip(estimates) {
            let left = row.budgets[0].z / 8.0;
            assert_eq!(estimate.safe[0] > 0.5, left > 0.9, "{left}: {estimate:?}");
            seen.insert(left > 0.9);
        }
    }
    assert_eq!(seen, BTreeSet::from([false, true]), "beams before and after `bad` was paid for");
}

/// A bundle whose cost reads a network.
fn probing() -> Bundle {
    let probe = linear(&[(&[0.0, 0.0, 0.0, 2.0], 0.5)]);
    let manifest = MANIFEST.replace(
        "component = \"score-cost.wasm\"\nsettings = { model = \"cost\" }",
        "component = \"linear-cost.wasm\"\nsettings = { network = \"probe\" }",
    );
    assert!(manifest.contains("linear-cost.wasm"));
    let manifest = format!("{manifest}\n[networks.probe]\nfile = \"probe.safetensors\"\n");
    bundle_with(&manifest, &[("probe", probe)])
}

/// The reference, which says that its rounding moves sums of costs by this part of `1 + budget`.
struct Rounds(f64);

impl Dense for Rounds {
    fn load(&self, name: &str, layers: &Arc<[Layer]>) -> Result<Arc<dyn Network>, DenseError> {
        CpuDense.load(name, layers)
    }

    fn rounding(&self) -> f64 {
        self.0
    }
}

#[test]
fn the_audit_keeps_the_rounding_of_the_device_that_runs_the_networks_of_costs() {
    let probing = probing();
    let with = |bundle: &Bundle, part| {
        with_models(EngineBuilder::new().bundle(bundle), DOOMED).dense(Arc::new(Rounds(part))).method("bundle").build()
    };
    let margin = |bundle: &Bundle, part| {
        let output = with(bundle, part).unwrap().generate(Request { record: true, ..Request::new("ask") }).unwrap();
        output.recorded.unwrap().inputs.config.margin
    };
    assert_eq!(margin(&probing, 0.25), 0.25);
    let least = margin(&probing, 0.0);
    assert!(least < 1e-3, "{least}");
    // Of a budget of 4, four fifths of 5 are everything.
    let error = with(&probing, 0.8).unwrap_err();
    assert!(matches!(error, EngineError::BudgetWithinMargin { found: 4.0, margin: 0.8, .. }), "{error}");
    // A cost that opens no network is as exact as what it reads, even where the critic opens one.
    let critic = linear(&[(&[0.0; 5], 1.0), (&[0.0; 5], 0.0)]);
    let more = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n[networks.critic]\nfile = \"critic.safetensors\"\n";
    let scoring = bundle_with(&format!("{MANIFEST}{more}"), &[("critic", critic)]);
    assert_eq!(margin(&scoring, 0.8), least);
}

#[test]
fn a_probe_on_latents_prices_tokens_and_guards() {
    // 2 · the logit of `bad` + 0.5: 2 · ln 8 + 0.5 after `bad`, and far below zero after `good`.
    let bundle = probing();
    let builder = with_models(EngineBuilder::new().bundle(&bundle), DOOMED);
    let builder = builder.policy_component("base", first_party()["base"].clone());
    let engine = builder.method("bundle").method("base").build().unwrap();
    let expected = f64::from(2.0 * 8.0_f32.ln() + 0.5);
    let mut bad = 0;
    for seed in 0..8 {
        let ask = |method: &str| {
            let request = Request {
                max_tokens: Some(1),
                method: Some(method.to_owned()),
                seed: Some(seed),
                ..Request::new("ask")
            };
            let output = engine.generate(request).unwrap();
            assert!(output.failures.is_empty(), "{:?}", output.failures);
            output
        };
        let base = ask("base");
        if base.text == "bad" {
            bad += 1;
            let cost = base.constraints[0].cost;
            assert!((cost - expected).abs() < 1e-5, "{cost} {expected}");
            assert_eq!(base.status, Status::BudgetExceeded);
        }
        let guarded = ask("bundle");
        assert_eq!((guarded.text.as_str(), guarded.status), ("good", Status::WithinBudget));
    }
    assert!(bad > 0, "the base model says `bad` at times");
}

#[test]
fn a_reward_on_latents_ranks_answers_without_a_reward_model() {
    let by_model = "component = \"score-cost.wasm\"\nsettings = { model = \"reward\", kind = \"task\" }";
    let by_latents = "component = \"linear-cost.wasm\"\nsettings = { network = \"reward\", kind = \"task\" }";
    assert!(MANIFEST.contains(by_model));
    let manifest = MANIFEST.replace(by_model, by_latents);
    let manifest = format!("{manifest}\n[networks.reward]\nfile = \"reward.safetensors\"\n");
    // After `good` the logit of `good` is high, and after `bad` that of `bad`.
    for (word, text) in [(GOOD, "good"), (BAD, "bad")] {
        let bundle = bundle_with(&manifest, &[("reward", raises(word, 1.0))]);
        let builder = with_models(EngineBuilder::new().bundle(&bundle), DOOMED);
        let engine = builder.method("bundle").budget("harm", 1000.0).build().unwrap();
        let chosen = |seed: &u64| {
            let request = Request { max_tokens: Some(1), seed: Some(*seed), ..Request::new("ask") };
            let output = engine.generate(request).unwrap();
            assert!(output.failures.is_empty(), "{:?}", output.failures);
            output.text == text
        };
        // Of eight candidates one in 256 times none is the right one.
        assert!((0..8).filter(chosen).count() > 6, "{text}");
    }
}

fn refused(builder: EngineBuilder) -> EngineError {
    builder.build().unwrap_err()
}

#[test]
fn what_a_method_lacks_is_named_at_build_time() {
    let toy = || builder(TEMPTING, "", &[]);
    let error = refused(toy().method("inference-guard+critic"));
    assert!(matches!(error, EngineError::NoCritic { .. }), "{error}");
    assert!(
        error.to_string().contains("add `[critic]`") && error.to_string().contains("latent-critic.wasm"),
        "{error}"
    );

    for (method, network) in [("re-control", "value"), ("re-control+lagrangian", "value-lagrangian")] {
        let error = refused(toy().method(method));
        assert!(matches!(error, EngineError::NoNetwork { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains(&format!("in the method `{method}`, steering `steering` opens the network `{network}`"))
        );
        assert!(
            message.contains("the bundle has: none") && message.contains(&format!("Add `[networks.{network}]`")),
            "{message}"
        );
    }
    let critic = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n";
    let error = refused(builder(TEMPTING, critic, &[("value", raises(GOOD, 1.0))]));
    let message = error.to_string();
    assert!(message.contains("critic `critic` opens the network `critic`; the bundle has: value."), "{message}");

    let bundle = bundle_with(MANIFEST, &[]);
    let toy = ToyScript::parse(TEMPTING).unwrap();
    let bare = |method: &str| EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle).method(method);
    let error = refused(bare("re-control").policy_component("base", first_party()["base"].clone()));
    let words =
        "`re-control` needs the steering component `re-control`; give it with `EngineBuilder::steering_component`";
    assert!(error.to_string().contains(words), "{error}");
    let error = refused(bare("args"));
    assert!(error.to_string().contains("`args` needs the policy component `args`"), "{error}");
}

#[test]
fn settings_of_methods_are_checked() {
    let with = |more: &str| refused(builder(TEMPTING, more, &[("value", raises(GOOD, 1.0))]).method("re-control"));
    let error = with("\n[methods.beam]\nsteering = { steps = 3 }\n");
    assert!(matches!(error, EngineError::NotSteered { .. }), "{error}");
    let error = with("\n[methods.re-control]\nsteering = { pace = 3 }\n").to_string();
    assert!(error.contains("`steering` has no setting `pace`; it has `network`, `steps`, `step-size`"), "{error}");
    for (key, line) in [
        ("policy", "policy = \"base.wasm\"\ncandidates = \"n\""),
        ("settings", "candidates = \"n\"\nsettings = { n = 3 }"),
        ("steering", "steering = { steps = 3 }"),
    ] {
        let error = with(&format!("\n[methods.bundle]\n{line}\n"));
        assert!(matches!(error, EngineError::OwnMethod { key: found } if found == key), "{line}: {error}");
        assert!(error.to_string().contains(&format!("`[methods.bundle]` gives `{key}`")), "{error}");
    }
    let error = with("\n[methods.re-control]\nsettings = { n = 3 }\n").to_string();
    assert!(error.contains("`policy` has no setting `n`"), "{error}");
    let error = with("\n[methods.re-control]\nsteering = { network = \"lost\" }\n").to_string();
    assert!(error.contains("opens the network `lost`; the bundle has: value."), "{error}");
}

#[test]
fn a_network_of_another_deployment_is_refused_in_words() {
    let critic = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n";
    let made_for = |key: &str, text: &str| {
        let mut network = linear(&[(&[0.0; 5], 1.0), (&[0.0; 5], 0.0)]);
        network.metadata.insert(key.to_owned(), text.to_owned());
        builder(TEMPTING, critic, &[("critic", network)]).method("inference-guard+critic").build()
    };
    let toy = ToyScript::parse(TEMPTING).unwrap().model();
    let fingerprint = inferenceguard_model::Model::info(&toy).fingerprint.clone();
    for (key, fine, wrong, expected) in [
        ("model", fingerprint.as_str(), "another", format!("expected `{fingerprint}` or `toy`")),
        ("model", "toy", "toys", format!("expected `{fingerprint}` or `toy`")),
        ("hidden", "4", "4096", "expected `4`".to_owned()),
        ("latent", "final-norm", "layer:3", "expected `final-norm`".to_owned()),
        ("constraints", "harm", "harm, privacy", "expected `harm`".to_owned()),
        ("gamma", "0.999", "1", "expected `0.999`".to_owned()),
        ("clip", " none ", "capped", "expected `none`".to_owned()),
        ("mode", "anytime", "terminal", "expected `anytime`".to_owned()),
        ("budgets", "2..40", "2..40,1..3", "expected `1 ranges such as 2..40`".to_owned()),
        ("budgets", "4..4", "4", "expected `a range such as 2..40`".to_owned()),
        ("budgets", "0.5 .. 4.0", "x..y", "expected `a range such as 2..40`".to_owned()),
        ("note", "anything", "", String::new()),
    ] {
        assert!(made_for(key, fine).is_ok(), "{key} = {fine}");
        if wrong.is_empty() {
            continue;
        }
        let error = made_for(key, wrong).unwrap_err();
        assert!(matches!(error, EngineError::WrongNetwork { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(&format!("critic `critic` was made for {key} `{wrong}`; {expected}")), "{message}");
    }
}

#[test]
fn a_budget_outside_of_the_training_is_refused() {
    let critic = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n";
    let trained = |range: &str| {
        let mut network = linear(&[(&[0.0; 5], 1.0), (&[0.0; 5], 0.0)]);
        network.metadata.insert("budgets".to_owned(), range.to_owned());
        builder(TEMPTING, critic, &[("critic", network)])
    };
    let error = refused(trained("5..40").method("inference-guard+critic"));
    let words = "the network `critic` was trained for budgets of 5..40 of the constraint `harm`; found 4";
    assert!(error.to_string().contains(words), "{error}");

    let engine = trained("2..6").method("inference-guard+critic").method("inference-guard").build().unwrap();
    let ask = |method: &str, budget| {
        let budgets = BTreeMap::from([("harm".to_owned(), budget)]);
        engine.generate(Request { method: Some(method.to_owned()), budgets, ..Request::new("ask") })
    };
    let error = ask("inference-guard+critic", 1.5).unwrap_err();
    assert!(matches!(error, EngineError::UntrainedBudget { found: 1.5, .. }) && error.is_callers_fault(), "{error}");
    assert!(ask("inference-guard+critic", 2.0).is_ok());
    assert!(ask("inference-guard", 1.5).is_ok(), "without the critic its training does not matter");
}

#[test]
fn a_network_that_does_not_fit_its_component_makes_no_answer_safe() {
    let narrow = linear(&[(&[0.0; 4], 1.0), (&[0.0; 4], 0.0)]);
    let critic = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n";
    let engine = engine(TEMPTING, critic, &[("critic", narrow)], &["inference-guard+critic"]);
    let output = engine.generate(Request::new("ask")).unwrap();
    assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed));
    let message = output.failures[0].to_string();
    assert!(message.contains("maps 4 numbers to 2; expected 5 (latent and budgets) to 2"), "{message}");
}
