//! Requests end to end on the toy, with the first-party components in the sandbox.

use inferenceguard_host::{Engine, EngineBuilder, EngineError, LiveBeams, OWN_METHOD, Request};
use inferenceguard_model::toy::ToyScript;
use inferenceguard_search::{Release, Status};
use inferenceguard_testkit::{
    components,
    toy::{SCRIPT, bundle, with_models},
};

const MANIFEST: &str = inferenceguard_testkit::manifest!(
    max_tokens: 12,
    chunk_len: 4,
    budget: 11,
    head: "",
    tail: "\n[methods.best-of-n.settings]\nn = 4\n\n[limits]\ninstances = 32\n",
);

fn builder(manifest: &str) -> EngineBuilder {
    let builder = with_models(EngineBuilder::new().bundle(&bundle(manifest)), SCRIPT);
    components::first_party().iter().fold(builder, |b, (name, bytes)| b.policy_component(name, bytes.clone()))
}

fn engine(methods: &[&str]) -> Engine {
    methods.iter().fold(builder(MANIFEST), |b, method| b.method(*method)).build().unwrap()
}

fn ask(method: &str, seed: u64) -> Request {
    Request { method: Some(method.into()), seed: Some(seed), ..Request::new("good") }
}

fn bad_words(text: &str) -> usize {
    text.split(' ').filter(|word| *word == "bad").count()
}

#[test]
fn the_bundles_own_policy_keeps_the_budget() {
    let engine = engine(&[]);
    assert_eq!(engine.methods(), [OWN_METHOD]);
    for seed in 0..10 {
        let output = engine.generate(Request { seed: Some(seed), ..Request::new("good") }).unwrap();
        assert_eq!(output.status, Status::WithinBudget, "{output:?}");
        assert!(output.failures.is_empty(), "{:?}", output.failures);
        assert!(bad_words(&output.text) <= 2 && output.constraints[0].max_cost < 11.0, "{}", output.text);
        assert!(output.bundle.digest.starts_with("sha256:") && output.bundle.name == "toy");
        assert_eq!(engine.live_beams(), LiveBeams::default());
    }
}

#[test]
fn every_method_answers_and_only_guarded_ones_are_safe() {
    let methods = ["base", "best-of-n", "best-of-n+augmented", "beam+lagrangian", "beam+augmented", "inference-guard"];
    let engine = engine(&methods);
    for method in methods {
        let outputs: Vec<_> = (0..6).map(|seed| engine.generate(ask(method, seed)).unwrap()).collect();
        let guarded = method.contains("augmented") || method == "inference-guard";
        for output in &outputs {
            assert!(output.failures.is_empty(), "{method}: {:?}", output.failures);
            assert_eq!(output.method, method);
            assert!(!guarded || output.status != Status::BudgetExceeded, "{method}: {output:?}");
        }
        if method == "best-of-n" {
            assert!(outputs.iter().any(|o| o.status == Status::BudgetExceeded), "reward alone breaks the budget");
        }
        assert_eq!(engine.live_beams(), LiveBeams::default(), "{method}");
    }
}

#[test]
fn a_committed_answer_is_not_followed_by_a_refusal() {
    let engine = engine(&[]);
    for seed in 0..40 {
        let request = Request { seed: Some(seed), release: Some(Release::Commit(1)), ..Request::new("good") };
        let output = engine.generate(request).unwrap();
        assert_eq!(output.status, Status::WithinBudget, "seed {seed}: {output:?}");
    }
}

#[test]
fn a_method_takes_its_settings_from_the_bundle() {
    let engine = engine(&["best-of-n", "base"]);
    let sampled = |method| engine.generate(ask(method, 1)).unwrap().usage;
    assert!(sampled("best-of-n").sampled_tokens > sampled("base").sampled_tokens);
    // Four candidates, of which the best breaks the budget; one candidate, which keeps it and is priced again in one piece.
    assert_eq!((sampled("best-of-n").priced_beams, sampled("base").priced_beams), (4, 2));
}

#[test]
fn the_same_seed_gives_the_same_tokens_in_another_engine() {
    let (one, other) = (engine(&[]), engine(&[]));
    for seed in 0..4 {
        let request = || Request { seed: Some(seed), ..Request::new("good") };
        assert_eq!(one.generate(request()).unwrap().tokens, other.generate(request()).unwrap().tokens);
    }
}

#[test]
fn what_is_missing_is_named_at_build_time() {
    let refused = |builder: EngineBuilder| builder.build().unwrap_err();
    let unknown = refused(builder(MANIFEST).method("magic"));
    assert!(unknown.to_string().contains("no method `magic`; expected one of: base, "), "{unknown}");
    let critic = refused(builder(MANIFEST).method("inference-guard+critic"));
    assert!(matches!(critic, EngineError::NoCritic { .. }), "{critic}");
    let setting = refused(builder(&MANIFEST.replace("n = 8", "m = 8")));
    assert!(setting.to_string().contains("`policy` has no setting `m`"), "{setting}");
    let value = refused(builder(&MANIFEST.replace("n = 8", "n = \"many\"")));
    assert!(value.to_string().contains("setting `n` of `policy` is a text; expected an integer"), "{value}");
    let role = refused(builder(&MANIFEST.replace("safety-budget.wasm", "base.wasm")));
    assert!(role.to_string().contains("`tracker` fills the role policy; expected tracker"), "{role}");
    let scores = refused(builder(&MANIFEST.replace("model = \"cost\"", "model = \"gone\"")));
    assert!(scores.to_string().contains("cost `harm` reads the score model `gone`"), "{scores}");
    let kind = refused(builder(&MANIFEST.replace(", kind = \"task\"", "")));
    assert!(kind.to_string().contains("a cost of kind Task"), "{kind}");
}

#[test]
fn a_policy_without_its_component_is_named() {
    let toy = ToyScript::parse(SCRIPT).unwrap();
    let builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle(MANIFEST)).method("base");
    let error = builder.build().unwrap_err();
    assert!(error.to_string().contains("`base` needs the policy component `base`"), "{error}");
}
