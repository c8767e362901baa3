//! The vLLM back end against a fake server: what is sent, what is checked, and which error each lie and failure gives.

use inferenceguard_engines::{Contradiction, Deadlines, Endpoint, Fault, Key, Remote, RemoteError, vllm::Vllm};
use inferenceguard_fake_engines::{
    Act, Fake, Kind, connect, deadlines, grow_one, growth, local,
    model::{Bytewise, EOS, VOCAB, Weights},
    remote, row, until,
};
use inferenceguard_model::{
    BackEnd, Caller, Cancel, GrowingText, Growth, LatentSelector, ModelError, Pick, SampleRequest, Tokenizer,
    log_softmax, top_k,
};
use serde_json::{Value, json};
use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

fn remote_error(error: ModelError) -> RemoteError {
    match error {
        ModelError::Backend(source) => *source.downcast::<RemoteError>().unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn every_field_of_a_row_is_sent() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let mut handle = vllm.handle(&inferenceguard_fake_engines::tenant("tenant-a"));
    let beam = handle.open(&[1, 2, 3]).unwrap();
    let sampling = SampleRequest {
        temperature: 0.7,
        top_k: 40,
        top_p: 0.9,
        penalty_mass: 0.5,
        ..SampleRequest::plain(Pick::Draw(0.0))
    };
    let penalties = vec![vec![], vec![(65, 5.0), (66, 2.5)]];
    let growth = Growth { max_tokens: 3, sampling, penalties, end: vec![EOS, 10], stop: vec![] };
    fake.take();
    let rows = handle.grow(&growth, vec![row(beam, u64::MAX), row(beam, 5)]).unwrap();
    assert_eq!(rows.len(), 2);
    let mut seen = fake.take();
    seen.sort_by_key(|seen| std::cmp::Reverse(seen.body["seed"].as_u64()));
    let session = seen[0].body["session_id"].as_str().unwrap().to_owned();
    for (seen, seed) in seen.iter().zip([u64::MAX >> 1, 5]) {
        assert_eq!(seen.path, "/v1/completions");
        assert_eq!(seen.headers["x-session-id"], session.as_str());
        let expected = json!({
            "model": "smol", "prompt": [1, 2, 3], "max_tokens": 3, "n": 1, "seed": seed,
            "temperature": 0.7f32, "top_p": 0.9f32, "top_k": 40, "min_p": 0.0, "repetition_penalty": 1.0,
            "presence_penalty": 0.0, "frequency_penalty": 0.0, "min_tokens": 0,
            "stop": [], "stop_token_ids": [EOS, 10], "ignore_eos": true,
            "skip_special_tokens": false, "add_special_tokens": false, "stream": false, "echo": false,
            "logprobs": 1, "return_token_ids": true, "return_tokens_as_token_ids": true,
            "session_id": session, "cache_salt": "tenant-a",
            "vllm_xargs": {"ig_pen": "{\"mass\":0.5,\"at\":[[1,[65,66],[5.0,2.5]]]}"},
        });
        assert_eq!(rounded(&seen.body), rounded(&expected));
    }
    let mut other = vllm.handle(&Caller::default());
    let beam = other.open(&[1]).unwrap();
    other.grow(&inferenceguard_fake_engines::growth(), vec![row(beam, 1)]).unwrap();
    let seen = fake.take();
    assert_ne!(seen[0].body["session_id"], session.as_str(), "each request has a session of its own");
    assert_eq!((seen[0].body.get("cache_salt"), seen[0].body.get("vllm_xargs")), (None, None));
}

/// With every number as f32, as which it was sent.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => json!(number.as_f64().unwrap() as f32),
        Value::Array(all) => all.iter().map(rounded).collect(),
        Value::Object(all) => {
            all.iter().map(|(key, value)| (key.clone(), rounded(value))).collect::<serde_json::Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

#[test]
fn a_beam_holds_all_tokens_of_its_row_but_the_last() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let mut handle = vllm.handle(&Caller::default());
    let prompt = handle.open(&[7, 8, 9]).unwrap();
    let (beam, grown) = handle.grow(&growth(), vec![row(prompt, 3)]).unwrap().remove(0).unwrap();
    assert_eq!((grown.tokens.len(), grown.logprobs.len(), vllm.live_beams()), (8, 8, 2));
    let raw = log_softmax(&Weights(1).logits(&[8, 9]));
    assert!((grown.logprobs[0] - raw[grown.tokens[0] as usize]).abs() < 1e-5);
    handle.append(&[(beam, grown.tokens[7])]).unwrap();
    fake.take();
    handle.grow(&growth(), vec![row(beam, 4)]).unwrap();
    let sent = fake.take().remove(0).body["prompt"].clone();
    assert_eq!(sent, json!([&[7, 8, 9], grown.tokens.as_slice()].concat()));
    let twin = handle.fork(&[beam]).unwrap()[0];
    handle.release(&[beam, prompt, prompt]);
    assert_eq!(vllm.live_beams(), 2, "a fork and the second row are left");
    assert!(matches!(handle.append(&[(beam, 1)]), Err(ModelError::UnknownBeam(_))));
    handle.append(&[(twin, 1)]).unwrap();
    assert!(handle.take_effort().positions > 16);
    drop(handle);
    assert_eq!(vllm.live_beams(), 0);
}

#[test]
fn prompts_that_do_not_fit_are_refused_before_they_are_sent() {
    let fake = Fake::new(Kind { context: 20, ..Kind::default() });
    let vllm = connect(&[&fake]);
    assert_eq!(vllm.info().context, 20);
    let mut handle = vllm.handle(&Caller::default());
    fake.take();
    assert!(matches!(handle.open(&[]), Err(ModelError::EmptyPrompt)));
    assert!(matches!(handle.open(&[VOCAB as u32]), Err(ModelError::UnknownToken { token: 260, vocab: 260 })));
    assert!(matches!(handle.open(&[1; 21]), Err(ModelError::ContextExceeded { found: 21, limit: 20 })));
    let beam = handle.open(&[1; 13]).unwrap();
    let full = handle.grow(&growth(), vec![row(beam, 1)]);
    assert!(matches!(full, Err(ModelError::ContextExceeded { found: 21, limit: 20 })));
    assert!(fake.take().is_empty());
}

#[test]
fn a_row_ends_at_an_end_token_or_at_a_stop_text() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[7, 8, 9]).unwrap();
    let whole = handle.grow(&growth(), vec![row(beam, 3)]).unwrap().remove(0).unwrap().1;
    let end = Growth { end: vec![whole.tokens[2]], ..growth() };
    let ended = handle.grow(&end, vec![row(beam, 3)]).unwrap().remove(0).unwrap().1;
    assert_eq!(ended.tokens, whole.tokens[..3]);
    // A stop text that begins in the answer so far.
    let first = std::str::from_utf8(&[65]).unwrap().to_owned();
    let text = GrowingText::default().with(&Bytewise, &[65]).unwrap();
    let ascii = (0..200).find_map(|seed| {
        let grown = handle.grow(&growth(), vec![row(beam, seed)]).unwrap().remove(0).unwrap().1;
        (grown.tokens[0] < 128).then_some((seed, grown.tokens))
    });
    let (seed, tokens) = ascii.unwrap();
    let stop = vec![first + &Bytewise.decode(&tokens[..1]).unwrap()];
    let mut row = row(beam, seed);
    row.text = text;
    let (beam, cut) = handle.grow(&Growth { stop, ..growth() }, vec![row]).unwrap().remove(0).unwrap();
    assert_eq!((cut.tokens.as_slice(), cut.logprobs.len()), (&tokens[..1], 1));
    handle.append(&[(beam, 1)]).unwrap();
}

#[test]
fn greedy_rows_begin_with_the_token_of_their_rank() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[7, 8, 9]).unwrap();
    let logits = Weights(1).logits(&[8, 9]);
    let ranked = top_k(&log_softmax(&logits), 3);
    for (rank, (token, logprob)) in ranked.iter().enumerate() {
        let mut row = row(beam, 1);
        row.picks = vec![Pick::Rank(0); 8];
        row.picks[0] = Pick::Rank(rank as u32);
        let (_, grown) = handle.grow(&growth(), vec![row]).unwrap().remove(0).unwrap();
        assert_eq!((grown.tokens[0], grown.tokens.len()), (*token, 8));
        assert!((grown.logprobs[0] - logprob).abs() < 1e-5);
        let next = top_k(&Weights(1).logits(&[9, *token]), 1)[0].0;
        assert_eq!(grown.tokens[1], next, "the rest is greedy");
    }
    let likely = handle.likeliest(&[beam], 3).unwrap().remove(0);
    assert_eq!(
        likely.iter().map(|one| one.token).collect::<Vec<_>>(),
        ranked.iter().map(|one| one.0).collect::<Vec<_>>()
    );
    let forced = handle.logprobs(&[(beam, 65), (beam, 66)]).unwrap();
    let raw = log_softmax(&logits);
    assert!((forced[0] - raw[65]).abs() < 1e-5 && (forced[1] - raw[66]).abs() < 1e-5);
}

#[test]
fn what_an_engine_cannot_do_is_refused_by_name() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let abilities = vllm.abilities();
    assert_eq!((abilities.engine.as_str(), abilities.penalties, abilities.likeliest), ("vllm 0.32.0", true, 20));
    assert!(!abilities.logits && !abilities.latents && !abilities.layers && !abilities.steering && !abilities.repeats);
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[1]).unwrap();
    let refused = |result: Option<ModelError>, part: &str| {
        let error = result.unwrap();
        assert!(matches!(&error, ModelError::Unsupported(what) if what.contains(part)), "{part}: {error}");
    };
    refused(handle.logits(&[beam]).err(), "logits");
    refused(handle.latents(&[beam], LatentSelector::FinalNorm).err(), "token_embed");
    refused(handle.latents(&[beam], LatentSelector::Layer(3)).err(), "layer 3");
    refused(handle.likeliest(&[beam], 21).err(), "it gives 20");
    refused(handle.sample(&[]).err(), "steered");
}

#[test]
fn the_plugin_is_proved_at_the_start() {
    let fake = Fake::new(Kind { plugin: false, ..Kind::default() });
    let vllm = connect(&[&fake]);
    assert!(!vllm.abilities().penalties);
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[1]).unwrap();
    let penalised = Growth { penalties: vec![vec![(65, 1.0)]], ..growth() };
    fake.take();
    let refused = handle.grow(&penalised, vec![row(beam, 1)]).unwrap_err();
    assert!(refused.to_string().contains("inferenceguard-vllm"), "{refused}");
    assert!(fake.take().is_empty());
    assert!(connect(&[&Fake::new(Kind::default())]).abilities().penalties);
}

/// An answer of completions that lies, and the error that it gives.
type Untrue = (&'static str, fn(&mut Value), Fault);

fn first(answer: &mut Value) -> &mut Value {
    &mut answer["choices"][0]
}

fn malformed(reason: &str) -> Fault {
    Fault::Malformed { path: "/v1/completions", reason: reason.into() }
}

fn lies() -> Vec<Untrue> {
    vec![
        (
            "a token outside",
            |a| first(a)["token_ids"][3] = json!(260),
            Contradiction::Token { token: 260, vocab: 260 }.into(),
        ),
        (
            "a negative token",
            |a| first(a)["token_ids"][0] = json!(-1),
            Contradiction::Token { token: -1, vocab: 260 }.into(),
        ),
        ("too many tokens", |a| add(&mut first(a)["token_ids"]), Contradiction::TooMany { found: 9, max: 8 }.into()),
        ("no token", |a| first(a)["token_ids"] = json!([]), Contradiction::Empty.into()),
        ("clipped", |a| cut(first(a)), Contradiction::Clipped { found: 7, max: 8 }.into()),
        ("past the end", |a| first(a)["token_ids"][3] = json!(EOS), Contradiction::PastEnd { token: EOS }.into()),
        (
            "another end",
            |a| {
                first(a)["token_ids"][7] = json!(66);
                first(a)["finish_reason"] = json!("stop");
            },
            Contradiction::OtherEnd { token: 66 }.into(),
        ),
        (
            "aborted",
            |a| first(a)["finish_reason"] = json!("abort"),
            Contradiction::Finish { found: "abort".into() }.into(),
        ),
        (
            "an odd reason",
            |a| first(a)["finish_reason"] = json!("\u{1b}[2J"),
            Contradiction::Finish { found: "\\u{1b}[2J".into() }.into(),
        ),
        (
            "log-probability null",
            |a| first(a)["logprobs"]["token_logprobs"][2] = Value::Null,
            Contradiction::Logprob { at: 2 }.into(),
        ),
        (
            "log-probability above 0",
            |a| first(a)["logprobs"]["token_logprobs"][2] = json!(0.5),
            Contradiction::Logprob { at: 2 }.into(),
        ),
        (
            "a log-probability too few",
            |a| {
                first(a)["logprobs"]["token_logprobs"].as_array_mut().unwrap().pop();
            },
            Contradiction::Logprobs { found: 7, expected: 8 }.into(),
        ),
        (
            "another prompt",
            |a| first(a)["prompt_token_ids"][0] = json!(1),
            Contradiction::Prompt { found: 3, sent: 3 }.into(),
        ),
        (
            "a clipped prompt",
            |a| first(a)["prompt_token_ids"] = json!([9]),
            Contradiction::Prompt { found: 1, sent: 3 }.into(),
        ),
        (
            "two answers",
            |a| {
                let twin = first(a).clone();
                a["choices"].as_array_mut().unwrap().push(twin);
            },
            Contradiction::Answers { found: 2, expected: 1 }.into(),
        ),
        ("no answer", |a| a["choices"] = json!([]), Contradiction::Answers { found: 0, expected: 1 }.into()),
    ]
}

fn add(list: &mut Value) {
    list.as_array_mut().unwrap().push(json!(66));
}

fn cut(choice: &mut Value) {
    choice["token_ids"].as_array_mut().unwrap().pop();
    choice["logprobs"]["token_logprobs"].as_array_mut().unwrap().pop();
}

#[test]
fn every_lie_is_found() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    assert_eq!(grow_one(&vllm).unwrap().len(), 8);
    for (name, change, fault) in lies() {
        fake.completions(move || Act::Changed(change));
        let error = remote_error(grow_one(&vllm).expect_err(name));
        assert_eq!(error, RemoteError { engine: fake.url(), fault }, "{name}");
    }
    fake.honest();
    assert_eq!(grow_one(&vllm).unwrap().len(), 8, "a lie does not take the replica out");
}

#[test]
fn an_answer_without_a_field_that_is_read_is_an_error() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    type Removal = (&'static str, fn(&mut Value));
    let table: [Removal; 6] = [
        ("token_ids", |a| drop(first(a).as_object_mut().unwrap().remove("token_ids"))),
        ("prompt_token_ids", |a| drop(first(a).as_object_mut().unwrap().remove("prompt_token_ids"))),
        ("logprobs", |a| drop(first(a).as_object_mut().unwrap().remove("logprobs"))),
        ("finish_reason", |a| drop(first(a).as_object_mut().unwrap().remove("finish_reason"))),
        ("choices", |a| drop(a.as_object_mut().unwrap().remove("choices"))),
        ("usage", |a| drop(a.as_object_mut().unwrap().remove("usage"))),
    ];
    for (field, change) in table {
        fake.completions(move || Act::Changed(change));
        let error = remote_error(grow_one(&vllm).expect_err(field));
        let Fault::Malformed { path: "/v1/completions", reason } = &error.fault else { panic!("{error}") };
        assert!(reason.contains(&format!("missing field `{field}`")), "{reason}");
    }
}

#[test]
fn every_failure_has_its_error_and_its_remedy() {
    let fake = Fake::new(Kind::default());
    let short = Remote {
        deadlines: inferenceguard_engines::Deadlines {
            first_byte: Duration::from_millis(300),
            pause: Duration::from_millis(200),
            ..deadlines()
        },
        ..remote(&[&fake])
    };
    let vllm = Vllm::connect(&short, local(), None).unwrap();
    let path = "/v1/completions";
    type Failure = (&'static str, fn() -> Act, Fault, &'static str);
    let failures: Vec<Failure> = vec![
        ("a key", || Act::Status(401, "{\"error\":\"Unauthorized\"}"), Fault::Key, "--engine-key-file"),
        ("a router", || Act::Status(403, "no"), Fault::Path { path, status: 403 }, "let the router pass this path"),
        (
            "no such path",
            || Act::Status(404, "{\"detail\":\"Not Found\"}"),
            Fault::Path { path, status: 404 },
            "name the engine itself",
        ),
        (
            "no such model",
            || Act::Status(404, r#"{"error":{"message":"The model `smol` does not exist.","code":404}}"#),
            Fault::Status { path, status: 404, message: "The model `smol` does not exist.".into() },
            "`smol` does not exist",
        ),
        (
            "a bad request",
            || Act::Status(400, r#"{"error":{"message":"too \u001b long"}}"#),
            Fault::Status { path, status: 400, message: "too \\u{1b} long".into() },
            "see the engine's log",
        ),
        (
            "a dead engine",
            || Act::Status(500, "dead"),
            Fault::Status { path, status: 500, message: "dead".into() },
            "see the engine's log",
        ),
        ("always busy", || Act::Status(429, "{}"), Fault::Unavailable { status: 429 }, "add replicas"),
        ("no JSON", || Act::Raw("<html>".into()), malformed("expected value at line 1 column 1"), "the engine's"),
        (
            "half of the body",
            || Act::Half,
            Fault::Silent { part: "the rest of the answer", waited: Duration::from_millis(200) },
            "hangs",
        ),
        (
            "no answer",
            || Act::Never,
            Fault::Silent { part: "the first byte of the answer", waited: Duration::from_millis(300) },
            "overloaded",
        ),
        ("too large", || Act::Raw("x".repeat((32 << 20) + 1)), Fault::TooLarge { limit: 32 << 20 }, "this URL"),
    ];
    for (name, act, fault, remedy) in failures {
        fake.completions(act);
        let error = remote_error(grow_one(&vllm).expect_err(name));
        assert_eq!(error, RemoteError { engine: fake.url(), fault }, "{name}");
        assert!(error.to_string().contains(remedy), "{name}: {error}");
        fake.honest();
        until("the replica is used again", || grow_one(&vllm).is_ok());
    }
    // A NaN, as Python writes it.
    fake.completions(|| Act::Raw(r#"{"choices": [{"logprobs": {"token_logprobs": [NaN]}}]}"#.into()));
    let error = remote_error(grow_one(&vllm).unwrap_err());
    assert!(matches!(&error.fault, Fault::Malformed { .. }), "{error}");
}

#[test]
fn a_busy_engine_is_asked_again_with_the_same_seed() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let expected = grow_one(&vllm).unwrap();
    for status in [429, 502, 503, 504] {
        let left = Arc::new(AtomicU32::new(2));
        fake.completions(move || {
            let busy = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if busy { Act::Status(status, "{}") } else { Act::Honest }
        });
        fake.take();
        assert_eq!(grow_one(&vllm).unwrap(), expected, "{status}");
        let seen = fake.take();
        // Between the calls this side looks whether the same model is there.
        assert_eq!(seen.iter().filter(|one| one.path == "/v1/models").count(), 2);
        let seen: Vec<_> = seen.into_iter().filter(|one| one.path == "/v1/completions").collect();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|one| one.body["seed"] == seen[0].body["seed"]));
    }
    let replicas = vllm.replicas();
    assert_eq!((replicas.len(), replicas[0].failures, &replicas[0].url), (1, 8, &fake.url()));
}

#[test]
fn one_row_that_fails_leaves_the_others() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    fake.rule(|seen| if seen.body["seed"] == 2 { Act::Status(400, "{}") } else { Act::Honest });
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[1, 2]).unwrap();
    let rows = handle.grow(&growth(), (1..=3).map(|seed| row(beam, seed)).collect()).unwrap();
    assert!(rows[0].is_ok() && rows[2].is_ok());
    let error = rows.into_iter().nth(1).unwrap().unwrap_err();
    assert!(matches!(remote_error(error).fault, Fault::Status { status: 400, .. }));
    assert_eq!(vllm.live_beams(), 3, "a row that failed has no beam");
}

#[test]
fn a_cancelled_request_frees_the_engine() {
    let fake = Fake::new(Kind::default());
    let vllm = connect(&[&fake]);
    let caller = Caller { cancel: Cancel::new(), ..Caller::default() };
    fake.completions(|| Act::Never);
    let mut handle = vllm.handle(&caller);
    let beam = handle.open(&[1]).unwrap();
    std::thread::scope(|scope| {
        let grown = scope.spawn(move || handle.grow(&growth(), (0..4).map(|seed| row(beam, seed)).collect()));
        until("four rows are being answered", || fake.running() == 4);
        caller.cancel.cancel();
        let error = grown.join().unwrap().unwrap_err();
        assert!(matches!(error, ModelError::Cancelled), "{error}");
    });
    until("the connections are closed", || fake.running() == 0);
}

#[test]
fn no_more_rows_are_in_flight_than_allowed() {
    let fake = Fake::new(Kind::default());
    let vllm = Vllm::connect(&Remote { places: 3, ..remote(&[&fake]) }, local(), None).unwrap();
    let most = Arc::new(AtomicU32::new(0));
    let (shared, seen) = (Arc::clone(&fake.shared), Arc::clone(&most));
    fake.completions(move || {
        seen.fetch_max(shared.running.load(Ordering::SeqCst) as u32, Ordering::SeqCst);
        Act::Late(Duration::from_millis(5))
    });
    let mut handle = vllm.handle(&Caller::default());
    let beam = handle.open(&[1]).unwrap();
    let rows = handle.grow(&growth(), (0..16).map(|seed| row(beam, seed)).collect()).unwrap();
    assert!(rows.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[test]
fn what_is_wrong_at_the_start_is_named() {
    let start = |kind: Kind, change: fn(&mut Remote)| {
        let fake = Fake::new(kind);
        let mut remote = remote(&[&fake]);
        change(&mut remote);
        Vllm::connect(&remote, local(), None).err().map(|error| (error.engine == fake.url(), error.fault))
    };
    let kind = Kind::default;
    let other = Fault::Model { expected: "large".into(), known: "smol".into() };
    assert_eq!(start(kind(), |remote| remote.model = Some("large".into())), Some((true, other)));
    let old = Kind { version: "0.9.1".into(), ..kind() };
    let version = Fault::Version { found: "0.9.1".into(), expected: "vLLM 0.32" };
    assert_eq!(start(old.clone(), |_| ()), Some((true, version)));
    assert_eq!(start(old, |remote| remote.any_version = true), None);
    let next = Kind { version: "0.33.0".into(), ..kind() };
    let version = Fault::Version { found: "0.33.0".into(), expected: "vLLM 0.32" };
    assert_eq!(start(next, |_| ()), Some((true, version)));
    let keyed = || Kind { key: Some("secret".into()), ..kind() };
    assert_eq!(start(keyed(), |_| ()), Some((true, Fault::Key)));
    assert_eq!(start(keyed(), |remote| remote.key = Key::new("wrong").ok()), Some((true, Fault::Key)));
    assert_eq!(start(keyed(), |remote| remote.key = Key::new(" secret\n").ok()), None);
    assert_eq!(format!("{:?}", Key::new("secret").unwrap()), "Key(not shown)");
    assert!(Key::new(" \n").is_err() && Key::new("a\nb").is_err());
}

#[test]
fn an_engine_that_has_just_begun_may_be_slow_at_the_start_and_not_later() {
    let fake = Fake::new(Kind::default());
    fake.completions(|| Act::Late(Duration::from_millis(300)));
    let deadlines = Deadlines { check_byte: Duration::from_millis(100), ..deadlines() };
    let slow = Remote { deadlines, ..remote(&[&fake]) };
    let vllm = Vllm::connect(&slow, local(), None).unwrap();
    // Another process answers, so that a whole check is due.
    fake.change(|kind| kind.fingerprint = "vllm-0.32.0-bbbb".into());
    let error = remote_error(grow_one(&vllm).unwrap_err());
    assert!(matches!(error.fault, Fault::Silent { .. }), "{error}");
}

#[test]
fn a_tokenizer_that_disagrees_is_refused() {
    let fake = Fake::new(Kind::default());
    fake.rule(|seen| match seen.path.as_str() {
        "/tokenize" => Act::Changed(|answer| answer["tokens"][0] = json!(1)),
        _ => Act::Honest,
    });
    let error = Vllm::connect(&remote(&[&fake]), local(), None).err().unwrap();
    assert!(matches!(&error.fault, Fault::Tokenizer { found, .. } if found.contains("[1, ")), "{error}");
}

#[test]
fn processed_logprobs_are_refused() {
    let fake = Fake::new(Kind::default());
    fake.rule(|seen| {
        if seen.body["temperature"].as_f64().is_some_and(|t| t > 0.0) {
            return Act::Changed(|answer| {
                let top = answer["choices"][0]["logprobs"]["top_logprobs"][0].as_object_mut().unwrap();
                let second = top.values().map(|v| v.as_f64().unwrap()).fold(f64::INFINITY, f64::min);
                top.values_mut().filter(|v| v.as_f64() == Some(second)).for_each(|v| *v = json!(second * 4.0));
            });
        }
        Act::Honest
    });
    let error = Vllm::connect(&remote(&[&fake]), local(), None).err().unwrap();
    assert_eq!(error.fault, Fault::ProcessedLogprobs);
}

#[test]
fn an_engine_that_is_not_there_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = Remote {
        deadlines: deadlines(),
        ..Remote::new(vec![Endpoint::new(&format!("http://127.0.0.1:{port}")).unwrap()])
    };
    let error = Vllm::connect(&gone, local(), None).err().unwrap();
    assert_eq!(error.engine, format!("http://127.0.0.1:{port}"));
    assert!(matches!(&error.fault, Fault::Connection { .. }), "{error}");
    assert!(error.to_string().contains("check that the engine runs"), "{error}");
    // It accepts connections, and nobody reads them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::new(&format!("http://{}", silent.local_addr().unwrap())).unwrap();
    let short = inferenceguard_engines::Deadlines { first_byte: Duration::from_millis(200), ..deadlines() };
    let error =
        Vllm::connect(&Remote { deadlines: short, ..Remote::new(vec![endpoint]) }, local(), None).err().unwrap();
    assert!(matches!(&error.fault, Fault::Silent { .. }), "{error}");
}

#[test]
fn urls_are_read_strictly() {
    for (text, part) in [
        ("", "no URL"),
        ("127.0.0.1:80", "no URL"),
        ("ftp://a", "http://HOST:PORT"),
        ("http://user:hunter2@a", "--engine-key-file"),
        ("http://a?b", "no query"),
        ("http://a#b", "no query"),
        ("http://a,http://a/", "twice"),
    ] {
        let error = Endpoint::list(text).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("hunter2"), "{text}: {error}");
    }
    let two = Endpoint::list("http://a:1, https://b/prefix/").unwrap();
    assert_eq!(two.iter().map(ToString::to_string).collect::<Vec<_>>(), ["http://a:1", "https://b/prefix"]);
}
