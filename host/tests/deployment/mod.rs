//! A toy deployment with all roles in the sandbox, for tests of methods and of networks.
#![allow(dead_code, reason = "every test file uses another part")]

use inferenceguard_bundle::{
    Bundle, Network,
    network::{Layer, LayerActivation},
};
use inferenceguard_host::{Engine, EngineBuilder, LiveBeams, Output, Request};
use inferenceguard_testkit::{components, toy::with_models};
use std::collections::BTreeMap;

pub(crate) const MANIFEST: &str = inferenceguard_testkit::manifest!(
    max_tokens: 6,
    chunk_len: 1,
    budget: 4,
    head: "",
    tail: "clip = \"none\"\n\n[limits]\ninstances = 64\n",
);

/// A bundle with these networks, each in the file `NAME.safetensors`.
pub(crate) fn bundle_with(manifest: &str, networks: &[(&str, Network)]) -> Bundle {
    let mut files = components::files().clone();
    files.extend(networks.iter().map(|(name, one)| (format!("{name}.safetensors"), one.to_bytes().unwrap())));
    Bundle::from_parts(manifest, &files).unwrap()
}

/// One linear layer: a row of weights per output, and its bias; made for nothing in particular.
pub(crate) fn linear(rows: &[(&[f32], f32)]) -> Network {
    let (weights, bias) = rows.iter().map(|(weights, bias)| (weights.to_vec(), *bias)).unzip::<_, _, Vec<_>, _>();
    let layer = Layer { weights: weights.concat(), bias, activation: LayerActivation::Identity };
    Network { layers: [layer].into(), metadata: BTreeMap::new() }
}

/// With more lines at the end, and these networks in `[networks]`.
pub(crate) fn builder(script: &str, more: &str, networks: &[(&str, Network)]) -> EngineBuilder {
    let files = networks.iter().map(|(name, _)| format!("\n[networks.{name}]\nfile = \"{name}.safetensors\"\n"));
    let manifest = format!("{MANIFEST}{more}{}", files.collect::<String>());
    let builder = with_models(EngineBuilder::new().bundle(&bundle_with(&manifest, networks)), script);
    components::first_party().iter().fold(builder, |builder, (name, bytes)| match name.as_str() {
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
    assert_eq!(engine.live_beams(), LiveBeams::default(), "{method}");
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
