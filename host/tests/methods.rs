//! Every method of the table, end to end on the toy, with all roles in the sandbox: cases where the right answer
//! is known.

mod deployment;

use deployment::{BAD, GOOD, TEMPTING, answer, engine, linear, raises};
use inferenceguard_host::{LiveBeams, Request, methods::Methods};
use inferenceguard_model::dense::{CpuDense, Dense, DenseError, Layer, Network};
use inferenceguard_search::{Answer, Decision, Finish, Need, ROOT, Status};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The most likely token everywhere.
const GREEDY: &str = "\n[sampling]\ntemperature = 0.0\n";

#[test]
fn every_method_answers_under_its_name() {
    let critic = linear(&[(&[0.0; 5], 1.0), (&[0.0; 5], 0.0)]);
    let networks = [("critic", critic), ("value", raises(GOOD, 0.1)), ("value-lagrangian", raises(GOOD, 0.1))];
    let more = "\n[critic]\ncomponent = \"latent-critic.wasm\"\n";
    let table = Methods::default();
    let methods: Vec<&str> = table.names().collect();
    let engine = engine(TEMPTING, more, &networks, &methods);
    let expected: BTreeSet<String> = methods.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(engine.methods().into_iter().collect::<BTreeSet<_>>(), expected);
    for method in methods {
        let output = answer(&engine, method);
        let guarded = method.contains("augmented") || method.contains("inference-guard");
        assert_eq!(output.method, method);
        assert!(!guarded || output.status == Status::WithinBudget, "{method}: {output:?}");
    }
}

#[test]
fn re_control_turns_the_first_token_and_every_later_one() {
    let networks = [("value", raises(GOOD, 0.1))];
    let both = engine(TEMPTING, GREEDY, &networks, &["base", "re-control"]);
    let base = answer(&both, "base");
    assert_eq!((base.text.as_str(), base.status), ("bad", Status::BudgetExceeded));
    let steered = answer(&both, "re-control");
    assert_eq!((steered.text.as_str(), steered.status, steered.finish), ("good", Status::WithinBudget, Finish::Eos));

    // 30 · 0.5 · 0.5 = 7.5 is more than the end token is ahead by after `good` here: the answer goes on to its end.
    let talkative = TEMPTING.replace("after good : <eos> 1", "after good : <eos> 9, good 1");
    let pushed = engine(&talkative, GREEDY, &[("value", raises(GOOD, 0.5))], &["re-control"]);
    assert_eq!(answer(&pushed, "re-control").text, ["good"; 6].join(" "));
}

#[test]
fn steps_and_step_size_come_from_the_bundle() {
    let networks = [("value", raises(GOOD, 0.1))];
    // The lead of `bad` is ln 3 - ln 2 = 0.41; eight steps of 0.5 · 0.1 do not reach it, nine do.
    for (settings, text) in [
        ("steps = 8", "bad"),
        ("steps = 9", "good"),
        ("steps = 9, step-size = 0.4", "bad"),
        ("steps = 0", "bad"),
        ("network = \"value\"", "good"),
    ] {
        let more = format!("{GREEDY}\n[methods.re-control]\nsteering = {{ {settings} }}\n");
        assert_eq!(answer(&engine(TEMPTING, &more, &networks, &["re-control"]), "re-control").text, text, "{settings}");
    }
    // The bundle's own steering component lends its settings too, and its own policy is steered by it.
    let more = format!("{GREEDY}\n[steering]\ncomponent = \"re-control.wasm\"\nsettings = {{ steps = 8 }}\n");
    assert_eq!(answer(&engine(TEMPTING, &more, &networks, &["re-control"]), "re-control").text, "bad");
}

#[test]
fn a_bundle_brings_a_method_of_its_own() {
    let more = "\n[methods.cautious]\npolicy = \"best-of-n.wasm\"\ncandidates = \"n\"\n\
                settings = { n = 16, objective = \"augmented\" }\n";
    let both = engine(TEMPTING, more, &[], &["cautious", "base"]);
    let cautious = answer(&both, "cautious");
    assert_eq!((cautious.method.as_str(), cautious.status), ("cautious", Status::WithinBudget));
    assert!(cautious.usage.sampled_tokens >= 16, "{:?}", cautious.usage);
    assert_eq!(both.methods(), ["base", "cautious"]);
}

/// The reference, with a count of the gradients that it computes.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

struct Counted(Arc<dyn Network>, Arc<AtomicUsize>);

impl Dense for Counting {
    fn load(&self, name: &str, layers: &Arc<[Layer]>) -> Result<Arc<dyn Network>, DenseError> {
        Ok(Arc::new(Counted(CpuDense.load(name, layers)?, Arc::clone(&self.0))))
    }

    fn rounding(&self) -> f64 {
        CpuDense.rounding()
    }
}

impl Network for Counted {
    fn inputs(&self) -> usize {
        self.0.inputs()
    }

    fn outputs(&self) -> usize {
        self.0.outputs()
    }

    fn multiply_adds(&self) -> u64 {
        self.0.multiply_adds()
    }

    fn forward(&self, input: &[f32]) -> Result<Vec<f32>, String> {
        self.0.forward(input)
    }

    fn value_and_gradient(&self, input: &[f32]) -> Result<(Vec<f32>, Vec<f32>), String> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.value_and_gradient(input)
    }
}

#[test]
fn re_control_takes_its_thirty_steps_on_the_device_of_the_engine() {
    let (device, networks) = (Counting::default(), [("value", raises(GOOD, 0.1))]);
    let builder = deployment::builder(TEMPTING, GREEDY, &networks).method("re-control");
    let engine = builder.dense(Arc::new(device.clone())).build().unwrap();
    device.0.store(0, Ordering::Relaxed);
    assert_eq!(answer(&engine, "re-control").text, "good");
    let gradients = device.0.load(Ordering::Relaxed);
    assert!(gradients > 0 && gradients.is_multiple_of(30), "{gradients}");
}

#[test]
fn the_lagrangian_variant_steers_by_its_own_network() {
    let networks = [("value", raises(BAD, 0.1)), ("value-lagrangian", raises(GOOD, 0.1))];
    let both = engine(TEMPTING, GREEDY, &networks, &["re-control", "re-control+lagrangian"]);
    assert_eq!(answer(&both, "re-control").text, "bad");
    assert_eq!(answer(&both, "re-control+lagrangian").text, "good");
}

#[test]
fn steering_that_diverges_makes_its_beams_unsafe() {
    let networks = [("value", raises(GOOD, 3e38))];
    let engine = engine(TEMPTING, GREEDY, &networks, &["re-control"]);
    let request = Request { method: Some("re-control".to_owned()), ..Request::new("ask") };
    let output = engine.generate(request).unwrap();
    assert_ne!(output.status, Status::WithinBudget, "{output:?}");
    assert!(output.failures[0].to_string().contains("finite numbers"), "{:?}", output.failures);
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

/// `good` pays, though `bad` is likelier; after two of them the end token pays most.
const PAYING: &str = "vocab: <eos>* ask good bad
after : good 1, bad 4, <eos> 1
after good good : good 1, bad 1, <eos> 9
score cost: bad 5
score reward: good 2, good good good -9, <eos> 1";

#[test]
fn args_chooses_by_reward_over_logit_and_stops_at_the_end_token() {
    let methods = ["base", "args"];
    let guided = engine(PAYING, GREEDY, &[], &methods);
    assert_eq!(answer(&guided, "base").text, ["bad"; 6].join(" "));
    let output = answer(&guided, "args");
    assert_eq!((output.text.as_str(), output.finish, output.tokens.len()), ("good good", Finish::Eos, 3));
    assert_eq!(output.status, Status::WithinBudget);
    assert_eq!(output.usage.sampled_tokens, 0, "candidates are forced, not drawn");

    let more = "\n[methods.args]\nsettings = { omega = 0.1 }\n";
    let output = answer(&engine(PAYING, more, &[], &["args"]), "args");
    assert_eq!((output.text, output.finish), (["bad"; 6].join(" "), Finish::Length));
    let more = "\n[methods.args]\nsettings = { k = 1 }\n";
    let output = answer(&engine(PAYING, more, &[], &["args"]), "args");
    assert_eq!(output.text, ["bad"; 6].join(" "), "only the likeliest token is tried");
}

#[test]
fn args_scores_every_candidate_once_and_from_its_parent() {
    let output = answer(&engine(PAYING, "", &[], &["args"]), "args");
    // Three tokens of four candidates (the whole vocabulary), by two score models; then the answer in one piece, by its cost.
    assert_eq!((output.usage.scored_positions, output.usage.priced_beams), (24 + 3, 12 + 1));
    let (mut kept, mut calls, mut whole) = (ROOT, 0, 0);
    for (need, answer) in &output.trace.unwrap().events {
        match (need, answer) {
            (Need::Score(needs), _) if calls == 6 => {
                let [need] = &needs[..] else { panic!("{needs:?}") };
                let found = (need.model.as_str(), need.anchor, need.tokens.len(), need.ended);
                assert_eq!(found, ("cost", ROOT, 3, true));
                whole += 1;
            }
            (Need::Score(needs), _) => {
                assert!(needs.iter().all(|need| need.tokens.len() == 1 && need.anchor == kept), "{needs:?}");
                let beams: BTreeSet<_> = needs.iter().map(|need| (need.beam, &need.model)).collect();
                assert_eq!((needs.len(), beams.len()), (4, 4));
                calls += 1;
            }
            (Need::Select(batch), Answer::Decided(Ok(Decision::Keep(rows)))) => {
                kept = batch.rows[rows[0] as usize].id;
            }
            _ => {}
        }
    }
    assert_eq!((calls, whole), (6, 1), "one for each score model, at each of three tokens; then the whole answer");
}

/// One token; `bad` pays most, `plain` costs least.
const PRICED: &str = "vocab: <eos>* ask good bad plain
after : good 1, bad 1, plain 1
score cost: bad 5, plain -1
score reward: good 1, bad 3";

#[test]
fn args_by_lagrangian_and_by_cost() {
    let methods = ["args", "args+lagrangian", "args+cost"];
    let one = "\n[methods.\"args+lagrangian\"]\nsettings = { lambda = 0.1 }\n";
    for (more, lagrangian) in [("", "plain"), (one, "bad")] {
        let engine = engine(PRICED, more, &[], &methods);
        let texts = methods.map(|method| {
            let request = Request { max_tokens: Some(1), method: Some(method.to_owned()), ..Request::new("ask") };
            engine.generate(request).unwrap().text
        });
        assert_eq!(texts, ["bad", lagrangian, "plain"]);
    }
    // 3 - 0.45 · 5 < 1 - 0 and 0 + 0.45.
    let between = "\n[methods.\"args+lagrangian\"]\nsettings = { lambda = 0.45 }\n";
    let engine = engine(PRICED, between, &[], &["args+lagrangian"]);
    let output = engine.generate(Request { max_tokens: Some(1), ..Request::new("ask") }).unwrap();
    assert_eq!(output.text, "good");
}

#[test]
fn args_sees_a_word_that_a_score_model_of_another_tokenizer_withholds() {
    let methods = ["args", "args+lagrangian", "args+cost"];
    let withheld = PRICED.replace("score cost", "score cost withheld").replace("score reward", "score reward withheld");
    let end = "\n[methods.\"args+lagrangian\"]\nsettings = { lagrangian-cost = \"end\" }\n";
    for (script, more) in [(PRICED, ""), (&*withheld, ""), (&*withheld, end)] {
        let engine = engine(script, more, &[], &methods);
        let outputs = methods.map(|method| {
            let request = Request { max_tokens: Some(3), method: Some(method.to_owned()), ..Request::new("ask") };
            engine.generate(request).unwrap()
        });
        assert!(outputs.iter().all(|output| output.failures.is_empty()), "{outputs:?}");
        let texts = outputs.map(|output| output.text);
        assert_eq!(texts, ["bad bad bad", "plain plain plain", "plain plain plain"]);
        assert_eq!(engine.live_beams(), inferenceguard_host::LiveBeams::default(), "tails are released");
    }
}

/// Two answers of two tokens: `a x` costs 4 in sum and ends at -1, `b b` costs nothing.
const SUMMED: &str = "vocab: <eos>* ask a b x
after : a 1, b 1
after a : x 1
after b : b 1
score cost: a 5, x -1
score reward: x 1, b 1";

#[test]
fn lambda_weighs_the_sum_over_the_tokens_or_the_score_of_the_answer() {
    for method in ["best-of-n+lagrangian", "beam+lagrangian"] {
        for (cost, text) in [("sum", "b b"), ("end", "a x")] {
            let more = format!(
                "\n[methods.\"{method}\"]\nsettings = {{ n = 32, lambda = 1.0, lagrangian-cost = \"{cost}\" }}\n"
            );
            let engine = engine(SUMMED, &more, &[], &[method]);
            let output = engine.generate(Request { max_tokens: Some(2), ..Request::new("ask") }).unwrap();
            assert_eq!(output.text, text, "{method}, {cost}");
        }
    }
}

#[test]
fn args_by_cost_asks_the_reward_model_only_about_ended_answers() {
    let output = answer(&engine(PAYING, "", &[], &["args+cost"]), "args+cost");
    let needs = output.trace.unwrap().events.into_iter().filter_map(|(need, _)| match need {
        Need::Score(needs) => Some(needs),
        _ => None,
    });
    assert!(needs.flatten().all(|need| need.model == "cost" || need.ended));
}

#[test]
fn lambda_small_or_large_flips_best_of_n_and_beam() {
    for method in ["best-of-n+lagrangian", "beam+lagrangian"] {
        for (lambda, text) in [("0.1", "bad"), ("0.45", "good"), ("5.0", "plain")] {
            let more = format!("\n[methods.\"{method}\"]\nsettings = {{ n = 32, lambda = {lambda} }}\n");
            let engine = engine(PRICED, &more, &[], &[method]);
            let output = engine.generate(Request { max_tokens: Some(1), ..Request::new("ask") }).unwrap();
            assert_eq!(output.text, text, "{method}, {lambda}");
        }
        let more = format!("\n[methods.\"{method}\"]\nsettings = {{ n = 32 }}\n");
        let engine = engine(PRICED, &more, &[], &[method]);
        let output = engine.generate(Request { max_tokens: Some(1), ..Request::new("ask") }).unwrap();
        assert_eq!(output.text, "plain", "{method}: lambda is 5 by default");
    }
}
