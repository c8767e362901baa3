//! Costs that read the latents of every token: what a token costs depends neither on how long chunks are, nor on the other
//! candidates, nor on the way by which it came. Engines without such latents are refused by name.

mod deployment;

use deployment::{MANIFEST, bundle_with, linear};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{CancelToken, EngineBuilder, EngineError, LiveBeams, Output, Request};
use inferenceguard_model::{
    Abilities, BackEnd, BeamId, Caller, LatentSelector, LockedBackEnd, Model, ModelError, Rows, Token,
    dense::{CpuDense, Dense},
    fake::FakeEngine,
    toy::{ToyModel, ToyScript},
};
use inferenceguard_sandbox::{Limits, Sandbox};
use inferenceguard_search::{Answer, Finish, Need, Needs, Status};
use inferenceguard_testkit::{
    components::first_party,
    hooked::{Hooked, Hooks},
    toy::with_models,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Tokens differ in the latents after them, and answers in their tokens.
const SCRIPT: &str = "vocab: <eos>* ask good bad
after : good 3, bad 2
after good : good 4, bad 2, <eos> 1
after bad : bad 1, good 3, <eos> 1
score cost: bad 5
score reward cumulative: good 1, bad 2";

/// The weights of the probe, and its bias.
const WEIGHTS: [f32; 4] = [0.03, -0.01, 0.02, 0.05];
const BIAS: f32 = 0.25;
/// The discount of the deployment's constraint.
const GAMMA: f64 = 0.999;

/// A bundle whose cost prices every token by its latent, with chunks of `chunk` tokens and `n` candidates.
fn probing(settings: &str, chunk: u32, n: u32) -> Bundle {
    let manifest = MANIFEST.replace(
        "component = \"score-cost.wasm\"\nsettings = { model = \"cost\" }",
        &format!("component = \"linear-cost.wasm\"\nsettings = {{ network = \"probe\"{settings} }}"),
    );
    let manifest = manifest.replace("max_tokens = 6", "max_tokens = 11").replace("budget = 4", "budget = 1000");
    let policy = manifest.lines().find(|line| line.contains("chunk-len")).expect("the policy's settings").to_owned();
    let manifest = manifest.replace(&policy, &format!("settings = {{ n = {n}, chunk-len = {chunk}, retries = 1 }}"));
    let manifest = format!("{manifest}\n[networks.probe]\nfile = \"probe.safetensors\"\n");
    bundle_with(&manifest, &[("probe", linear(&[(&WEIGHTS, BIAS)]))])
}

fn builder(bundle: &Bundle) -> EngineBuilder {
    let builder = with_models(EngineBuilder::new().bundle(bundle), SCRIPT);
    builder.policy_component("base", first_party()["base"].clone()).method("bundle").method("base")
}

/// What these tokens cost, by the latents of a model of its own that reads them one by one.
fn by_hand(tokens: &[Token]) -> f64 {
    let back_end = LockedBackEnd::new(Box::new(ToyScript::parse(SCRIPT).unwrap().model()));
    let mut handle = back_end.handle(&Caller::default());
    let prompt = ToyScript::parse(SCRIPT).unwrap().model().encode_prompt("ask").unwrap();
    let beam = handle.open(&prompt).unwrap();
    let price = |(at, token): (i32, &Token)| {
        handle.append(&[(beam, *token)]).unwrap();
        let latent = handle.latents(&[beam], LatentSelector::FinalNorm).unwrap().remove(0);
        let output = WEIGHTS.iter().zip(latent.iter()).map(|(weight, x)| weight * x).sum::<f32>() + BIAS;
        GAMMA.powi(at) * f64::from(output)
    };
    (0..).zip(tokens).map(price).sum()
}

fn ask(engine: &inferenceguard_host::Engine, method: &str, seed: u64) -> Output {
    let method = Some(method.to_owned());
    let request = Request { method, seed: Some(seed), record: true, ..Request::new("ask") };
    let output = engine.generate(request).unwrap();
    assert!(output.failures.is_empty(), "{:?}", output.failures);
    output
}

#[test]
fn a_token_costs_the_same_whatever_the_chunks_and_the_other_candidates() {
    let mut lengths = Vec::new();
    let engine = builder(&probing("", 4, 4)).build().unwrap();
    let judge = engine.prepare(&probing("", 4, 4)).unwrap();
    for (chunk, n) in [(1, 1), (1, 6), (2, 4), (3, 5), (5, 2), (11, 3), (64, 8)] {
        engine.activate(&probing("", chunk, n)).unwrap();
        for (seed, method) in (0..6).flat_map(|seed| [(seed, "bundle"), (seed, "base")]) {
            let output = ask(&engine, method, seed);
            assert_eq!(output.status, Status::WithinBudget);
            let (found, expected) = (output.constraints[0].cost, by_hand(&output.tokens));
            assert!((found - expected).abs() < 1e-5, "chunks of {chunk}, n = {n}: {found} {expected}");
            // The same ids, taken from elsewhere: the same price to the last bit.
            let judged = engine.judge_tokens(&judge, &Request::new("ask"), &output.tokens).unwrap();
            assert_eq!(judged.constraints[0].cost.to_bits(), found.to_bits(), "chunks of {chunk}, n = {n}");
            lengths.push(output.tokens.len());
        }
    }
    assert!(lengths.contains(&11) && lengths.iter().any(|length| *length < 11), "{lengths:?}");
}

/// The model says `bad` in two pieces. In one piece, the word makes `ok` likely.
const SPELLED: &str = "vocab: <eos>* ask ba +d bad ok
after : ba 1
after ba : +d 1
after +d : <eos> 1
after bad : ok 1
score cost: ok 1
score reward: +d 1";

/// A bundle whose cost finds the whole word out.
fn spelling() -> Bundle {
    // A hazard with x = the logit of `ok` + 9: next to nothing where `ok` has no weight, and 9 after the whole word.
    let probe = linear(&[(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0], 9.0)]);
    let manifest = MANIFEST.replace(
        "component = \"score-cost.wasm\"\nsettings = { model = \"cost\" }",
        "component = \"linear-cost.wasm\"\nsettings = { network = \"probe\", form = \"hazard\" }",
    );
    let once = manifest.replace("chunk-len = 1 }", "chunk-len = 1, retries = 0 }");
    assert!(once != manifest && manifest.contains("linear-cost.wasm"), "{manifest}");
    let manifest = format!("{once}\n[networks.probe]\nfile = \"probe.safetensors\"\n");
    bundle_with(&manifest, &[("probe", probe)])
}

#[test]
fn another_spelling_is_priced_by_the_latents_of_a_second_reading() {
    let bundle = spelling();
    let ask = |budget: f64| {
        let builder = with_models(EngineBuilder::new().bundle(&bundle), SPELLED);
        let engine = builder.method("bundle").budget("harm", budget).build().unwrap();
        let output = engine.generate(Request { record: true, ..Request::new("ask") }).unwrap();
        assert!(output.failures.is_empty(), "{:?}", output.failures);
        assert_eq!(engine.live_beams(), LiveBeams::default(), "no beam is left behind");
        output
    };
    let kept = ask(100.0);
    assert_eq!((kept.text.as_str(), kept.status), ("bad", Status::WithinBudget));
    assert!(kept.constraints[0].cost < 0.1, "{:?}", kept.constraints);
    // The spelling in one piece costs 9.
    assert_eq!(ask(4.0).status, Status::NoSafeCandidate);
}

/// Cancels the request at the step that reads this token, and counts the steps after it.
struct CancelsAt {
    token: Token,
    cancel: CancelToken,
    later: Arc<AtomicUsize>,
}

impl Hooks for CancelsAt {
    fn step(&mut self, model: &mut ToyModel, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        self.later.fetch_add(usize::from(self.cancel.is_cancelled()), Ordering::SeqCst);
        if rows.iter().any(|(_, token)| *token == self.token) {
            self.cancel.cancel();
        }
        model.step(rows)
    }
}

#[test]
fn a_cancelled_request_does_not_go_on_with_a_second_reading() {
    let toy = ToyScript::parse(SPELLED).unwrap();
    // Only the second reading has the word in one piece; the end token comes behind it.
    let token = toy.tokenizer().id("bad").unwrap();
    for scheduled in [true, false] {
        let (cancel, later) = (CancelToken::new(), Arc::new(AtomicUsize::new(0)));
        let hooks = CancelsAt { token, cancel: cancel.clone(), later: Arc::clone(&later) };
        let model = Box::new(Hooked::new(toy.model(), hooks));
        let builder = EngineBuilder::new().bundle(&spelling());
        let builder = match scheduled {
            true => builder.model(model),
            false => builder.back_end(Arc::new(LockedBackEnd::new(model))),
        };
        let builder = toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(score)));
        let engine = builder.method("bundle").budget("harm", 100.0).build().unwrap();
        let output = engine.stream(Request::new("ask"), &cancel, |_| {}).unwrap();
        assert!(cancel.is_cancelled(), "there was a second reading");
        assert_eq!((output.finish, later.load(Ordering::SeqCst)), (Finish::Cancelled, 0), "scheduled: {scheduled}");
        assert_eq!(engine.live_beams(), LiveBeams::default(), "no beam is left behind");
    }
}

#[test]
fn what_was_recorded_is_priced_again_to_the_same_prices() {
    let bundle = probing(", form = \"hazard\"", 3, 4);
    let engine = builder(&bundle).build().unwrap();
    let sandbox = Sandbox::new(Limits::default(), None).unwrap();
    let cost = sandbox.load("linear-cost", &first_party()["linear-cost"]).unwrap();
    let network = CpuDense.load("probe", &linear(&[(&WEIGHTS, BIAS)]).layers).unwrap();
    let networks = Arc::new(BTreeMap::from([("probe".to_owned(), network)]));
    let cost = cost.activate_with(&bundle.manifest().costs["harm"].settings, networks).unwrap();
    let mut chunks = BTreeSet::new();
    for event in (0..4).flat_map(|seed| ask(&engine, "bundle", seed).trace.unwrap().events) {
        let (Need::Price { cost: name, batch }, answer) = event else { continue };
        if name == "harm" {
            assert_eq!(Answer::Priced(cost.cost().unwrap().price(&batch)), answer);
            chunks.insert(batch.moment.chunk);
        }
    }
    assert!(chunks.len() > 1, "several chunks: {chunks:?}");
}

#[test]
fn needs_of_older_records_are_read_and_written_as_they_were() {
    let old = r#"{"prompt":true,"text":false,"lookback":3,"logprobs":false,"top_k":0,"logits":false,"latents":{"layer":2},"scores":["cost"],"networks":[]}"#;
    let needs: Needs = serde_json::from_str(old).unwrap();
    assert_eq!((needs.latents, needs.token_latents.len()), (Some(LatentSelector::Layer(2)), 0));
    assert_eq!(serde_json::to_string(&needs).unwrap(), old);
}

#[test]
fn an_engine_that_keeps_no_latents_of_tokens_is_refused_by_name() {
    let toy = ToyScript::parse(SCRIPT).unwrap();
    let whole = LockedBackEnd::new(Box::new(toy.model()));
    let all = whole.abilities().clone();
    let layers = Abilities { layers: false, ..all.clone() };
    let none = Abilities { token_latents: false, ..all };
    for (settings, abilities, named) in
        [("", none, "reads the latents of every token"), (", latent = \"layer:0\"", layers, "reads latents of layer 0")]
    {
        let inner: Arc<dyn BackEnd> = Arc::new(LockedBackEnd::new(Box::new(toy.model())));
        let engine = FakeEngine::new(inner, "").unwrap().with_abilities(abilities);
        let mut builder = EngineBuilder::new().back_end(Arc::new(engine)).bundle(&probing(settings, 2, 2));
        for score in toy.scores() {
            builder = builder.score_model(Box::new(score));
        }
        let error = builder.method("bundle").build().unwrap_err();
        assert!(matches!(error, EngineError::Unable { .. }) && error.to_string().contains(named), "{error}");
    }
}
