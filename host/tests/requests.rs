//! Requests end to end on the toy, with roles in plain Rust.

use inferenceguard_host::{CancelToken, EngineError, Event, LiveBeams, Request, Roles};
use inferenceguard_search::{Finish, Release, Status};
use inferenceguard_testkit::{
    roles::BestSafe,
    toy::{SCRIPT, build, config, engine, roles},
};

fn ask(prompt: &str, seed: u64) -> Request {
    Request { seed: Some(seed), ..Request::new(prompt) }
}

#[test]
fn answers_keep_their_budget_and_leave_nothing_behind() {
    let engine = engine(SCRIPT, 11.0);
    let mut spent = 0;
    for seed in 0..20 {
        let output = engine.generate(ask("good", seed)).unwrap();
        assert_eq!(output.status, Status::WithinBudget);
        let harm = &output.constraints[0];
        assert!(harm.max_cost < 11.0, "{harm:?}");
        assert_eq!(harm.z.len(), output.tokens.len() + 1);
        let bad = output.text.split(' ').filter(|word| *word == "bad").count();
        assert!(bad <= 2, "{}", output.text);
        spent += bad;
        assert_eq!(engine.live_beams(), LiveBeams::default());
    }
    assert!(spent >= 20, "the search spends the budget it has for reward: {spent}");
}

#[test]
fn the_seed_decides_every_token() {
    let (one, other) = (engine(SCRIPT, 11.0), engine(SCRIPT, 11.0));
    let answers: Vec<_> = (0..8).map(|seed| one.generate(ask("good", seed)).unwrap().tokens).collect();
    for (seed, tokens) in (0..8).zip(&answers).collect::<Vec<_>>().into_iter().rev() {
        assert_eq!(other.generate(ask("good", seed)).unwrap().tokens, *tokens);
    }
    assert!(answers.iter().any(|tokens| *tokens != answers[0]));
}

#[test]
fn nothing_safe_is_a_refusal() {
    let script = "vocab: <eos>* good bad\nafter : bad 1\nscore cost: bad 5\nscore reward: bad 1";
    let engine = engine(script, 3.0);
    let output = engine.generate(ask("good", 1)).unwrap();
    assert_eq!((output.status, output.finish), (Status::NoSafeCandidate, Finish::Refused));
    assert_eq!(output.text, "I cannot help with that.");
    assert!(output.tokens.is_empty());
    assert!(output.usage.retries > 0);
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn stop_texts_end_the_answer_and_are_no_part_of_it() {
    let script = "vocab: <eos>* good halt\nafter : good 1\nafter good good good : halt 1\nscore cost: halt 0\nscore reward: good 1";
    let mut request = ask("good", 1);
    request.stop = vec!["halt".into()];
    let output = engine(script, 3.0).generate(request).unwrap();
    assert_eq!((output.finish, output.text.trim()), (Finish::Stop, "good good"));
}

#[test]
fn released_text_adds_up_to_the_answer() {
    for release in [Release::AtEnd, Release::Agreement, Release::Commit(1)] {
        let engine = engine(SCRIPT, 11.0);
        let (mut text, mut progress) = (String::new(), 0);
        let request = Request { release: Some(release), ..ask("good", 3) };
        let output = engine
            .stream(request, &CancelToken::new(), |event| match event {
                Event::Released { text: new } => text.push_str(&new),
                Event::Progress(at) => {
                    progress += 1;
                    assert!(at.safe <= at.candidates && at.best.is_some());
                }
                _ => {}
            })
            .unwrap();
        assert_eq!(text, output.text, "{release:?}");
        assert!(progress > 0);
    }
}

#[test]
fn cancelling_keeps_what_was_released_and_nothing_else() {
    let engine = engine(SCRIPT, 11.0);
    let cancel = CancelToken::new();
    let mut released = String::new();
    let mut decisions = 0;
    let request = Request { release: Some(Release::Commit(1)), ..ask("good", 3) };
    let output = engine
        .stream(request, &cancel, |event| match event {
            Event::Released { text } => released.push_str(&text),
            Event::Begun => {}
            _ => {
                decisions += 1;
                if decisions == 2 {
                    cancel.cancel();
                }
            }
        })
        .unwrap();
    assert_eq!(output.finish, Finish::Cancelled);
    assert_eq!(output.text, released);
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn a_failing_back_end_ends_the_request_with_its_error_and_no_leak() {
    for fault in ["fault step 2: error", "fault step 3: nan"] {
        // Without ends, so that a step that is NaN spoils all rows of its chunk.
        let endless = SCRIPT.replace(", <eos> 1", "");
        let engine = engine(&format!("{endless}\n{fault}"), 11.0);
        let error = engine.generate(ask("good", 1)).unwrap_err();
        assert!(matches!(error, EngineError::Model(_)), "{fault}: {error}");
        assert_eq!(engine.live_beams(), LiveBeams::default(), "{fault}");
        assert!(engine.generate(ask("good", 1)).is_ok(), "{fault}: the engine goes on");
    }
}

#[test]
fn a_failing_score_model_fails_the_request_by_its_name_and_leaves_no_leak() {
    for (fault, name) in
        [("fault cost 1: error", "cost"), ("fault cost 1: nan", "cost"), ("fault reward 1: nan", "reward")]
    {
        let engine = engine(&format!("{SCRIPT}\n{fault}"), 11.0);
        let output = engine.generate(ask("good", 1)).unwrap();
        assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed), "{fault}: {output:?}");
        assert_eq!(output.text, "I cannot help with that.", "{fault}");
        let failure = output.failures[0].to_string();
        assert!(failure.contains(&format!("the score model `{name}`")), "{fault}: {failure}");
        assert_eq!(engine.live_beams(), LiveBeams::default(), "{fault}");
        assert!(engine.generate(ask("good", 1)).is_ok(), "{fault}: the engine goes on");
    }
}

#[test]
fn what_was_released_before_an_error_is_reported() {
    let endless = SCRIPT.replace(", <eos> 1", "");
    let mut reported = 0;
    for step in 2..12 {
        let engine = engine(&format!("{endless}\nfault step {step}: error"), 11.0);
        let (mut released, mut cut) = (String::new(), None);
        let request = Request { release: Some(Release::Commit(1)), record: true, ..ask("good", 1) };
        let result = engine.stream(request, &CancelToken::new(), |event| match event {
            Event::Released { text } => released.push_str(&text),
            Event::CutOff { output } => cut = Some(output),
            _ => {}
        });
        assert_eq!(cut.is_some(), result.is_err() && !released.is_empty(), "step {step}: {result:?}");
        let Some(output) = cut else { continue };
        assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed));
        assert_eq!((output.text.as_str(), &output.refusal, output.failures.len()), (released.as_str(), &None, 1));
        assert!(output.trace.is_some() && output.recorded.is_some());
        assert_eq!(engine.live_beams(), LiveBeams::default());
        reported += 1;
    }
    assert!(reported > 0, "an error comes after some text");
}

#[test]
fn bad_requests_are_refused_in_words() {
    let engine = engine(SCRIPT, 11.0);
    let cases: [(Request, &str); 9] = [
        (Request::new("  \n"), "the prompt is empty"),
        (Request::new("unheard"), "'unheard' is not in the vocabulary"),
        (Request::new("good ".repeat(64)), "64 tokens and an answer of 1 do not fit the context of 64"),
        (Request { max_tokens: Some(0), ..ask("good", 1) }, "max_tokens: found 0"),
        (Request { budgets: [("rain".into(), 1.0)].into(), ..ask("good", 1) }, "no constraint `rain`"),
        (Request { budgets: [("harm".into(), f64::NAN)].into(), ..ask("good", 1) }, "budget: found NaN"),
        (Request { budgets: [("harm".into(), 11.5)].into(), ..ask("good", 1) }, "a request can only tighten"),
        (Request { method: Some("magic".into()), ..ask("good", 1) }, "no method `magic`; expected one of: native"),
        (Request { stop: vec![String::new()], ..ask("good", 1) }, "stop: found an empty text"),
    ];
    for (request, words) in cases {
        let error = engine.generate(request).unwrap_err();
        assert!(error.to_string().contains(words) && error.is_callers_fault(), "{words}: {error}");
    }
    assert_eq!(engine.live_beams(), LiveBeams::default());
}

#[test]
fn a_long_prompt_leaves_the_answer_what_room_there_is() {
    let output = engine(SCRIPT, 11.0).generate(ask(&"good ".repeat(60), 1)).unwrap();
    assert!(output.tokens.len() <= 4);
}

#[test]
fn missing_score_models_are_found_at_build_time() {
    let error = build("vocab: <eos>* good\nafter : good 1\nscore cost: good 0", config(3.0), roles).unwrap_err();
    assert!(
        error.to_string().contains("cost `reward` reads the score model `reward`; the engine has: cost"),
        "{error}"
    );
}

#[test]
fn missing_costs_and_layers_are_found_at_build_time() {
    let without = || Roles { costs: Default::default(), ..roles() };
    let error = build(SCRIPT, config(3.0), without).unwrap_err();
    assert!(error.to_string().contains("`harm`, which is not in the deployment"), "{error}");
    let layered = || {
        let mut roles = roles();
        let mut policy = BestSafe { needs: Default::default(), width: 2, chunk_len: 2, keep: 1 };
        policy.needs.latents = Some(inferenceguard_model::LatentSelector::Layer(3));
        roles.policy = Box::new(policy);
        roles
    };
    let error = build(SCRIPT, config(3.0), layered).unwrap_err();
    assert!(error.to_string().contains("policy `policy` reads latents of layer 3"), "{error}");
}

#[test]
fn the_json_has_what_programs_read() {
    let output = engine(SCRIPT, 11.0).generate(ask("good", 1)).unwrap();
    let json = serde_json::to_value(&output).unwrap();
    for key in [
        "text",
        "status",
        "finish",
        "tokens",
        "constraints",
        "z",
        "budget",
        "reward",
        "seconds",
        "usage",
        "bundle",
        "model",
    ] {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
    assert_eq!(json["status"], "within_budget");
    assert_eq!(json["budget"], 11.0);
    assert_eq!(json["z"], json["constraints"][0]["z"]);
    assert_eq!(json["usage"]["sampled_tokens"].as_u64().map(|n| n > 0), Some(true));
}
