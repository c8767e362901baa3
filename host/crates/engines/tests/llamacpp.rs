//! The llama.cpp back end against a fake server: slots, log-probabilities that are left out, and answers that lie.

use inferenceguard_engines::{Contradiction, Deadlines, Fault, Probe, Remote, RemoteError, llamacpp::LlamaCpp};
use inferenceguard_fake_engines::{
    Act, Fake, Kind, growth, local,
    model::{EOS, Weights},
    remote, row, until,
};
use inferenceguard_model::{BackEnd, Caller, Growth, ModelError, Pick, Token, log_softmax};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

fn connect(fake: &Fake) -> LlamaCpp {
    LlamaCpp::connect(&remote(&[fake]), local()).unwrap()
}

#[test]
fn every_field_of_a_row_is_sent() {
    let fake = Fake::new(Kind::default());
    let back_end = connect(&fake);
    let mut handle = back_end.handle(&inferenceguard_fake_engines::tenant("t"));
    let beam = handle.open(&[1, 2, 3]).unwrap();
    let mut growth = growth();
    (growth.max_tokens, growth.sampling.temperature, growth.sampling.top_k) = (3, 0.5, 40);
    fake.take();
    handle.grow(&growth, vec![row(beam, (1 << 32) | 5)]).unwrap();
    let seen = fake.take().remove(0);
    assert_eq!(seen.path, "/completion");
    let slot = seen.body["id_slot"].clone();
    assert_eq!(
        seen.body,
        json!({
            "prompt": [1, 2, 3], "n_predict": 3, "temperature": 0.5, "top_k": 40, "top_p": 1.0, "min_p": 0.0,
            "typical_p": 1.0, "top_n_sigma": -1.0, "xtc_probability": 0.0, "dry_multiplier": 0.0, "repeat_penalty": 1.0,
            "presence_penalty": 0.0, "frequency_penalty": 0.0, "dynatemp_range": 0.0, "mirostat": 0,
            "samplers": ["temperature", "top_k", "top_p", "min_p"], "seed": 4, "n_probs": 1,
            "post_sampling_probs": false, "cache_prompt": true, "return_tokens": true, "ignore_eos": false,
            "stop": [], "stream": false, "id_slot": slot,
        })
    );
}

#[test]
fn every_token_has_its_log_probability() {
    let fake = Fake::new(Kind::default());
    let back_end = connect(&fake);
    let mut handle = back_end.handle(&Caller::default());
    let beam = handle.open(&[7, 8, 9]).unwrap();
    // Half of the bytes begin characters or go on with them, so that some log-probabilities are left out.
    let rows = handle.grow(&growth(), (0..16).map(|seed| row(beam, seed)).collect()).unwrap();
    let mut cut = 0;
    for (_, grown) in rows.into_iter().map(Result::unwrap) {
        let mut text: Vec<Token> = vec![7, 8, 9];
        for (token, logprob) in grown.tokens.iter().zip(&grown.logprobs) {
            let expected = log_softmax(&Weights(1).logits(&text))[*token as usize];
            assert!((expected - logprob).abs() < 1e-5, "{expected} and {logprob}");
            cut += usize::from(*token >= 0xc2 && *token < 0xf5);
            text.push(*token);
        }
        assert_eq!(grown.logprobs.len(), grown.tokens.len());
    }
    assert!(cut > 0, "a character was begun");
}

#[test]
fn a_beginning_is_read_once_for_all_rows_where_slots_can_be_saved() {
    for (saves, most) in [(true, 400), (false, 1300)] {
        let fake = Fake::new(Kind { saves, ..Kind::default() });
        let back_end = connect(&fake);
        let mut handle = back_end.handle(&Caller::default());
        let prompt: Vec<Token> = (0..300).map(|i| i % 200).collect();
        let beam = handle.open(&prompt).unwrap();
        fake.shared.slots.lock().unwrap().computed = 0;
        let rows = handle.grow(&growth(), (0..4).map(|seed| row(beam, seed)).collect()).unwrap();
        assert!(rows.iter().all(Result::is_ok));
        let computed = fake.shared.slots.lock().unwrap().computed;
        assert!(computed >= 300 && computed < most, "{computed} with saving {saves}");
        assert!(saves || computed >= 1200);
        // Each row's own slot has its beginning.
        let first = rows.into_iter().next().unwrap().unwrap();
        handle.append(&[(first.0, *first.1.tokens.last().unwrap())]).unwrap();
        fake.shared.slots.lock().unwrap().computed = 0;
        handle.grow(&growth(), vec![row(first.0, 9)]).unwrap();
        let computed = fake.shared.slots.lock().unwrap().computed;
        assert!(computed < 40, "{computed}");
    }
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let fake = Fake::new(Kind::default());
    let back_end = connect(&fake);
    let abilities = back_end.abilities();
    assert_eq!(abilities.engine, "llama.cpp b11434-0b5f9d6");
    assert!(!abilities.penalties && !abilities.forced && !abilities.repeats);
    let mut handle = back_end.handle(&Caller::default());
    let beam = handle.open(&[1]).unwrap();
    let penalised = Growth { penalties: vec![vec![(65, 1.0)]], ..growth() };
    assert!(matches!(handle.grow(&penalised, vec![row(beam, 1)]), Err(ModelError::Unsupported(_))));
    assert!(matches!(handle.logprobs(&[(beam, 1)]), Err(ModelError::Unsupported(_))));
    let two =
        Remote { endpoints: [remote(&[&fake]).endpoints, remote(&[&fake]).endpoints].concat(), ..remote(&[&fake]) };
    let error = LlamaCpp::connect(&two, local()).err().unwrap();
    assert!(error.to_string().contains("name one URL"), "{error}");
    let likely = handle.likeliest(&[beam], 5).unwrap().remove(0);
    assert!(likely.is_sorted_by(|a, b| a.logprob >= b.logprob) && likely.len() == 5);
    let mut greedy = row(beam, 1);
    greedy.picks = vec![Pick::Rank(0); 8];
    greedy.picks[0] = Pick::Rank(4);
    let grown = handle.grow(&growth(), vec![greedy]).unwrap().remove(0).unwrap().1;
    assert_eq!(grown.tokens[0], likely[4].token);
}

/// What it is, how it changes an honest answer, and what it is found to be.
type Case = (&'static str, fn(&mut Value), Contradiction);

#[test]
fn every_lie_is_found() {
    let fake = Fake::new(Kind::default());
    let back_end = connect(&fake);
    let table: Vec<Case> = vec![
        ("outside", |a| a["tokens"][1] = json!(260), Contradiction::Token { token: 260, vocab: 260 }),
        (
            "too many",
            |a| a["tokens"] = json!([1, 1, 1, 1, 1, 1, 1, 1, 1]),
            Contradiction::Logprobs { found: 8, expected: 9 },
        ),
        ("none", |a| (a["tokens"], a["completion_probabilities"]) = (json!([]), json!([])), Contradiction::Empty),
        ("clipped", |a| a["truncated"] = json!(true), Contradiction::Clipped { found: 8, max: 8 }),
        ("another prompt", |a| a["tokens_evaluated"] = json!(4), Contradiction::Prompt { found: 4, sent: 3 }),
        ("a stop word", |a| a["stop_type"] = json!("word"), Contradiction::Finish { found: "word".into() }),
        ("another end", |a| a["stop_type"] = json!("eos"), Contradiction::OtherEnd { token: 0 }),
        ("no number", |a| a["completion_probabilities"][0]["logprob"] = Value::Null, Contradiction::Logprob { at: 0 }),
        (
            "another token",
            |a| a["completion_probabilities"][0]["id"] = json!(3),
            Contradiction::Logprobs { found: 8, expected: 8 },
        ),
    ];
    for (name, change, wrong) in table {
        // Greedy from here: eight bytes of one letter each.
        fake.rule(move |seen| if seen.path == "/completion" { Act::Changed(change) } else { Act::Honest });
        let mut handle = back_end.handle(&Caller::default());
        let beam = handle.open(&[7, 8, 9]).unwrap();
        let error = handle.grow(&growth(), vec![row(beam, seed_of_letters())]).expect_err(name);
        let ModelError::Backend(source) = error else { panic!("{name}") };
        let fault = source.downcast::<RemoteError>().unwrap().fault;
        match (&fault, &wrong) {
            (Fault::Contradiction(Contradiction::OtherEnd { token }), Contradiction::OtherEnd { .. }) => {
                assert_ne!(*token, EOS)
            }
            _ => assert_eq!(fault, Fault::Contradiction(wrong), "{name}"),
        }
    }
}

/// A seed under which the eight tokens after 7, 8, 9 are letters, so that each has its log-probability.
fn seed_of_letters() -> u64 {
    let fake = Fake::new(Kind::default());
    let back_end = connect(&fake);
    let mut handle = back_end.handle(&Caller::default());
    let beam = handle.open(&[7, 8, 9]).unwrap();
    let letters = |seed: &u64| {
        let grown = handle.grow(&growth(), vec![row(beam, *seed)]).unwrap().remove(0).unwrap().1;
        grown.tokens.len() == 8 && grown.tokens.iter().all(|token| !(0xc2..0xf5).contains(token) && *token != EOS)
    };
    (0..2000).find(letters).unwrap()
}

#[test]
fn a_build_that_is_older_or_not_named_is_refused() {
    let builds = [("b11434-0b5f9d6", true), ("b11434", true), ("b20000-abc", true), ("b11433-abc", false)];
    let unknown = [("b0-unknown", false), ("", false), ("11434", false), ("b-1", false), ("b99999999999-a", false)];
    for (build, supported) in builds.into_iter().chain(unknown) {
        let fake = Fake::new(Kind { build: Some(build.into()), ..Kind::default() });
        let error = LlamaCpp::connect(&remote(&[&fake]), local()).err();
        assert_eq!(error.is_none(), supported, "{build}");
        assert!(error.is_none_or(|error| matches!(error.fault, Fault::Version { .. })), "{build}");
        let any = Remote { any_version: true, ..remote(&[&fake]) };
        assert!(LlamaCpp::connect(&any, local()).is_ok(), "{build}");
    }
    let fake = Fake::new(Kind { build: None, ..Kind::default() });
    let error = LlamaCpp::connect(&remote(&[&fake]), local()).err().unwrap().to_string();
    assert!(error.contains("not named") && error.contains("b11434 or later"), "{error}");
}

#[test]
fn too_few_slots_are_refused_at_the_start_and_later() {
    let fake = Fake::new(Kind { slots: 1, ..Kind::default() });
    let error = LlamaCpp::connect(&remote(&[&fake]), local()).err().unwrap();
    assert_eq!(error.fault, Fault::Slots { found: 1, expected: 2 });
    fake.change(|kind| kind.slots = 3);
    let deadlines = Deadlines { look: Duration::from_millis(20), ..inferenceguard_fake_engines::deadlines() };
    let back_end = LlamaCpp::connect(&Remote { deadlines, ..remote(&[&fake]) }, local()).unwrap();
    fake.change(|kind| kind.slots = 2);
    until("the smaller server is found", || back_end.broken().is_some_and(|text| text.contains("2 slots")));
    fake.change(|kind| (kind.slots, kind.context) = (3, 100));
    until("the shorter context is found", || back_end.broken().is_some_and(|text| text.contains("100 tokens")));
    fake.change(|kind| kind.context = 2048);
    until("the server is as it was", || back_end.broken().is_none());
}

#[test]
fn checks_and_looks_use_no_slot_that_has_a_row() {
    let fake = Fake::new(Kind::default());
    let probe = Probe::of(&mut *connect(&fake).handle(&Caller::default())).unwrap();
    let (busy, count) = (Mutex::new(Busy::new()), || Arc::new(AtomicUsize::new(0)));
    let (shared, looks) = (count(), count());
    let (conflicts, looked) = (Arc::clone(&shared), Arc::clone(&looks));
    fake.rule(move |seen| {
        let Some(slot) = slot_of(seen) else { return Act::Honest };
        let mut busy = busy.lock().unwrap();
        conflicts.fetch_add(usize::from(busy.get(&slot).is_some_and(|end| *end > Instant::now())), Ordering::SeqCst);
        if seen.body["n_predict"] == json!(8) {
            busy.insert(slot, Instant::now() + ROW);
            return Act::Late(ROW);
        }
        looked.fetch_add(usize::from(slot == 0), Ordering::SeqCst);
        Act::Honest
    });
    let every = Duration::from_millis(20);
    let deadlines = Deadlines { look: every, check: 4 * every, ..inferenceguard_fake_engines::deadlines() };
    let back_end = LlamaCpp::connect(&Remote { deadlines, probe: Some(probe), ..remote(&[&fake]) }, local()).unwrap();
    looks.store(0, Ordering::SeqCst);
    let mut handle = back_end.handle(&Caller::default());
    let beam = handle.open(&[7, 8, 9]).unwrap();
    let rows = handle.grow(&growth(), (0..12).map(|seed| row(beam, seed)).collect()).unwrap();
    assert!(rows.iter().all(Result::is_ok) && back_end.broken().is_none());
    assert!(looks.load(Ordering::SeqCst) > 0, "the server was looked at meanwhile");
    assert_eq!(shared.load(Ordering::SeqCst), 0);
}

/// Until when a slot has a row.
type Busy = HashMap<u64, Instant>;

/// How long a row takes.
const ROW: Duration = Duration::from_millis(150);

fn slot_of(seen: &inferenceguard_fake_engines::Seen) -> Option<u64> {
    let named = || seen.path.strip_prefix("/slots/").and_then(|slot| slot.parse().ok());
    seen.body["id_slot"].as_u64().or_else(named)
}

#[test]
fn other_weights_behind_the_same_answers_about_itself_are_found_by_a_look() {
    let fake = Fake::new(Kind::default());
    let probe = Probe::of(&mut *connect(&fake).handle(&Caller::default())).unwrap();
    let deadlines = Deadlines { look: Duration::from_millis(20), ..inferenceguard_fake_engines::deadlines() };
    let back_end = LlamaCpp::connect(&Remote { deadlines, probe: Some(probe), ..remote(&[&fake]) }, local()).unwrap();
    fake.change(|kind| kind.weights = Weights(2));
    until("the other weights are found", || back_end.broken().is_some());
    fake.change(|kind| kind.weights = Weights(1));
    until("the right weights are found", || back_end.broken().is_none());
}

#[test]
fn another_model_is_refused_by_its_probe() {
    let fake = Fake::new(Kind::default());
    let probe = Probe::of(&mut *connect(&fake).handle(&Caller::default())).unwrap();
    let with = |fake: &Fake| Remote { probe: Some(probe.clone()), ..remote(&[fake]) };
    let again = LlamaCpp::connect(&with(&fake), local()).unwrap();
    assert!(again.info().parts.weights.starts_with("probe sha256:"));
    let other = Fake::new(Kind { weights: Weights(2), ..Kind::default() });
    let error = LlamaCpp::connect(&with(&other), local()).err().unwrap();
    assert!(matches!(&error.fault, Fault::Probe { .. }), "{error}");
}
