//! A toy deployment with all roles in the sandbox, for tests of methods and of networks.
#![allow(dead_code, reason = "every test file uses another part")]

use crate::components::{self, bundle_with, linear};
use inferenceguard_bundle::Network;
use inferenceguard_host::{Engine, EngineBuilder, Held, Output, Request};
use inferenceguard_model::toy::ToyScript;

pub(crate) const MANIFEST: &str = r#"
name = "toy"
version = "0.1.0"
task = "reward"
max_tokens = 6

[policy]
component = "inference-guard.wasm"
settings = { n = 8, keep = 2, chunk-len = 1 }

[tracker]
component = "safety-budget.wasm"

[costs.harm]
component = "score-cost.wasm"
settings = { model = "cost" }

[costs.reward]
component = "score-cost.wasm"
settings = { model = "reward", kind = "task" }

[[constraints]]
name = "harm"
cost = "harm"
budget = 4
clip = "none"

[limits]
instances = 64
"#;

/// With more lines at the end, and these networks in `[networks]`.
pub(crate) fn builder(script: &str, more: &str, networks: &[(&str, Network)]) -> EngineBuilder {
    let files = networks.iter().map(|(name, _)| format!("\n[networks.{name}]\nfile = \"{name}.safetensors\"\n"));
    let manifest = format!("{MANIFEST}{more}{}", files.collect::<String>());
    let toy = ToyScript::parse(script).unwrap();
    let bundle = bundle_with(&manifest, networks);
    let mut builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle);
    for score in toy.scores() {
        builder = builder.score_model(Box::new(score));
    }
    components::components().iter().fold(builder, |builder, (name, bytes)| match name.as_str() {
        "re-control" => builder.steering_component(name, bytes.clone()),
        _ => builder.policy_component(name, bytes.clone()),
    })
}

pub(crate) fn engine(script: &str, more: &str, networks: &[(&str, Network)], methods: &[&str]) -> Engine {
    methods.iter().fold(builder(script, more, networks), |builder, method| builder.method(*method)).build().unwrap()
}

/// Answers, and leaves nothing behind.
pub(crate) fn answer(engine: &Engine, method: &str) -> Output {
    let request = Request { method: Some(method.to_owned()), record: true, ..Request::new("ask") };
    let output = engine.generate(request).unwrap();
    assert!(output.failures.is_empty(), "{method}: {:?}", output.failures);
    assert_eq!(engine.held(), Held::default(), "{method}");
    output
}

/// `bad` is likelier, pays more and costs more than allowed; either word ends the answer.
pub(crate) const TEMPTING: &str = "vocab: <eos>* ask good bad
after : good 2, bad 3, <eos> 1
after good : <eos> 1
after bad : <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 3";

/// A value that grows with the logit of one word by this much.
pub(crate) fn raises(word: usize, slope: f32) -> Network {
    let mut weights = [0.0; 4];
    weights[word] = slope;
    linear(&[(&weights, 0.0)])
}

pub(crate) const GOOD: usize = 2;
pub(crate) const BAD: usize = 3;
