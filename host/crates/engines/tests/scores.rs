//! Score models over `/pooling`: alignment from the end, nothing asked twice, and servers that lie.

use inferenceguard_engines::{Contradiction, Deadlines, Fault, Probe, Remote, RemoteError, Sequence, vllm::Scores};
use inferenceguard_fake_engines::{
    Act, Fake, Kind, Texts,
    model::{Bytewise, EOS, Weights},
    remote, until,
};
use inferenceguard_model::{Caller, ModelError, ModelParts, ScoreBackEnd, ScoreInfo, ScoreRow, Token, Tokenizer};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

fn info() -> ScoreInfo {
    ScoreInfo {
        name: "cost".into(),
        fingerprint: String::new(),
        parts: ModelParts::default(),
        context: 64,
        same_tokenizer: true,
    }
}

fn scores(fake: &Fake) -> Scores {
    Scores::connect(&remote(&[fake]), info(), Arc::new(Texts)).unwrap()
}

fn expected(text: &[Token], from: usize) -> Vec<f32> {
    (from..text.len()).map(|at| Weights(1).score(&text[..=at])).collect()
}

fn bytes(text: &str) -> Vec<Token> {
    Bytewise.encode(text).unwrap()
}

fn language() -> Arc<dyn Tokenizer> {
    Arc::new(Bytewise)
}

fn fault(error: ModelError) -> Fault {
    match error {
        ModelError::Backend(source) => source.downcast::<RemoteError>().unwrap().fault,
        other => panic!("{other}"),
    }
}

#[test]
fn scores_are_those_of_the_new_tokens_with_and_without_the_plugin() {
    for prefix in [true, false] {
        let fake = Fake::new(Kind { prefix, ..Kind::default() });
        let scores = scores(&fake);
        assert_eq!(scores.reads_prefixes(), prefix);
        let mut handle = scores.handle(&Caller::default());
        let id = handle.open("How do I open it?", language()).unwrap();
        let twin = handle.fork(&[id]).unwrap()[0];
        let mut text = bytes("How do I open it?");
        let (first, second) = (bytes("With a"), [bytes(" key").as_slice(), &[EOS]].concat());
        let row = |id, tokens: &[Token], ended| ScoreRow { id, tokens: tokens.to_vec(), ended };
        let scored = handle.extend(&[row(id, &first, false), row(twin, &[65], false)]).unwrap();
        let from = text.len();
        assert_eq!(scored[1].tokens, expected(&[text.as_slice(), &[65]].concat(), from));
        text.extend(&first);
        assert_eq!(scored[0].tokens, expected(&text, from));
        assert_eq!(scored[0].end, *scored[0].tokens.last().unwrap());
        let nothing = handle.extend(&[row(id, &[], false)]).unwrap();
        assert_eq!((nothing[0].tokens.len(), nothing[0].end), (0, scored[0].end));
        let from = text.len();
        text.extend(&second);
        let scored = handle.extend(&[row(id, &second, true)]).unwrap();
        assert_eq!(scored[0].tokens, expected(&text, from));
        assert_eq!((scores.live_rows(), handle.live_rows()), (2, 2));
        handle.release(&[id, id]);
        drop(handle);
        assert_eq!((scores.live_rows(), scores.positions()), (0, 12));
    }
}

#[test]
fn nothing_is_asked_twice() {
    let fake = Fake::new(Kind::default());
    let scores = scores(&fake);
    let audit = |tenant: Option<&str>| {
        let mut handle = scores.handle(&tenant.map_or_else(Caller::default, inferenceguard_fake_engines::tenant));
        let id = handle.open("a question", language()).unwrap();
        handle.extend(&[ScoreRow { id, tokens: bytes("an answer"), ended: true }]).unwrap().remove(0).tokens
    };
    let first = audit(None);
    let asked = scores.request_count();
    assert_eq!(audit(None), first);
    assert_eq!(scores.request_count(), asked, "the scores are known");
    // Another tenant shares nothing, and its salt keeps the server's cache apart too.
    fake.take();
    assert_eq!(audit(Some("b")), first);
    let salts: Vec<Value> = fake.take().iter().map(|seen| seen.body["cache_salt"].clone()).collect();
    assert_eq!(salts, ["b", "b"]);
    assert_eq!(first, expected(&bytes("a questionan answer"), 10));
}

#[test]
fn a_text_that_only_the_server_knows_is_read_again() {
    let fake = Fake::new(Kind::default());
    let text = bytes("a question, and a long answer that fills blocks");
    // The server has read the text for another program that uses it.
    fake.shared.read.lock().unwrap().push(("null".into(), text.clone()));
    let scores = scores(&fake);
    let mut handle = scores.handle(&Caller::default());
    let id = handle.open("a question", language()).unwrap();
    fake.take();
    let scored = handle.extend(&[ScoreRow { id, tokens: text[10..].to_vec(), ended: true }]).unwrap();
    assert_eq!(scored[0].tokens, expected(&text, 10));
    let salts: Vec<Option<Value>> = fake.take().iter().map(|seen| seen.body.get("cache_salt").cloned()).collect();
    assert_eq!((salts.len(), &salts[0]), (2, &None));
    assert!(salts[1].is_some());
}

#[test]
fn a_request_for_scores_is_whole() {
    let fake = Fake::new(Kind::default());
    let scores = scores(&fake);
    fake.take();
    scores.handle(&inferenceguard_fake_engines::tenant("t")).open("hi", language()).unwrap();
    let seen = fake.take().remove(0);
    assert_eq!(
        (seen.path.as_str(), seen.body),
        (
            "/pooling",
            json!({"model": "smol", "input": [[104, 105]], "use_activation": false, "encoding_format": "base64",
                "add_special_tokens": false, "cache_salt": "t"})
        )
    );
    assert!(seen.headers["x-session-id"].to_str().unwrap().starts_with("ig-"));
}

/// A name, a change of an honest answer, and what is found.
type Untrue = (&'static str, fn(&mut Value), Fault);

#[test]
fn every_lie_about_scores_is_found() {
    let fake = Fake::new(Kind::default());
    let scores = scores(&fake);
    let path = "/pooling";
    let base64 = Fault::Malformed { path, reason: "its numbers are not base64 of 32 bits each".into() };
    let table: Vec<Untrue> = vec![
        ("no rows", |a| a["data"][0]["data"] = json!(""), Contradiction::TooFew { found: 0, expected: 3 }.into()),
        (
            "NaN",
            |a| a["data"][0]["data"] = json!("AADAfwAAwH8AAMB/"),
            Contradiction::NotFinite { what: "scores" }.into(),
        ),
        ("no base64", |a| a["data"][0]["data"] = json!("??"), base64.clone()),
        ("half a number", |a| a["data"][0]["data"] = json!("AAA="), base64),
        (
            "too many",
            |a| a["data"][0]["data"] = json!("A".repeat(320)),
            Contradiction::TooMany { found: 60, max: 5 }.into(),
        ),
        ("no answer", |a| a["data"] = json!([]), Contradiction::Answers { found: 0, expected: 1 }.into()),
        (
            "a clipped text",
            |a| a["usage"]["prompt_tokens"] = json!(3),
            Contradiction::Prompt { found: 3, sent: 5 }.into(),
        ),
    ];
    for (i, (name, change, fault_expected)) in table.into_iter().enumerate() {
        let mut handle = scores.handle(&inferenceguard_fake_engines::tenant(&i.to_string()));
        let id = handle.open("hi", language()).unwrap();
        fake.rule(move |_| Act::Changed(change));
        let error = handle.extend(&[ScoreRow { id, tokens: vec![65, 66, 67], ended: false }]).expect_err(name);
        assert_eq!(fault(error), fault_expected, "{name}");
        fake.honest();
        let again = handle.extend(&[ScoreRow { id, tokens: vec![65, 66, 67], ended: false }]).unwrap();
        assert_eq!(again[0].tokens, expected(&[104, 105, 65, 66, 67], 2), "{name}: the row is as it was");
    }
}

#[test]
fn a_server_without_a_prefix_cache_gives_every_row() {
    let fake = Fake::new(Kind { prefix: false, ..Kind::default() });
    let scores = scores(&fake);
    let mut handle = scores.handle(&Caller::default());
    let id = handle.open("hi", language()).unwrap();
    // Two rows of four: as many as there are new tokens, and perhaps those of a shortened text.
    fake.rule(|seen| match seen.path.as_str() {
        "/pooling" => Act::Changed(|a| a["data"][0]["data"] = json!("AAAAAAAAAAA=")),
        _ => Act::Honest,
    });
    let error = handle.extend(&[ScoreRow { id, tokens: vec![66, 67], ended: false }]).unwrap_err();
    assert_eq!(fault(error), Contradiction::TooFew { found: 2, expected: 4 }.into());
}

#[test]
fn texts_beyond_the_context_and_empty_prompts_are_refused() {
    let fake = Fake::new(Kind::default());
    let scores = scores(&fake);
    let mut handle = scores.handle(&Caller::default());
    assert!(matches!(handle.open("", language()), Err(ModelError::EmptyPrompt)));
    let id = handle.open(&"x".repeat(64), language()).unwrap();
    let error = handle.extend(&[ScoreRow { id, tokens: vec![65], ended: false }]).unwrap_err();
    assert!(matches!(error, ModelError::ContextExceeded { found: 65, limit: 64 }));
}

#[test]
fn another_score_model_is_refused_by_its_probe() {
    let (prompt, tokens) = (vec![1, 2], vec![3, 4]);
    let text = [prompt.as_slice(), &tokens].concat();
    let sequences = vec![Sequence { prompt, tokens, values: expected(&text, 2) }];
    let probe =
        Probe { model: "cost".into(), precision: "f32".into(), base: String::new(), tolerance: None, sequences };
    let with = |fake: &Fake| Remote { probe: Some(probe.clone()), ..remote(&[fake]) };
    let right = Fake::new(Kind::default());
    let scores = Scores::connect(&with(&right), info(), Arc::new(Texts)).unwrap();
    assert!(scores.info().parts.weights.starts_with("probe sha256:"));
    let wrong = Fake::new(Kind { weights: Weights(2), ..Kind::default() });
    let error = Scores::connect(&with(&wrong), info(), Arc::new(Texts)).err().unwrap();
    assert!(matches!(&error.fault, Fault::Probe { .. }), "{error}");
}

fn probed(fake: &Fake) -> Remote {
    let (prompt, tokens) = (vec![1, 2], vec![3, 4, 5]);
    let text = [prompt.as_slice(), &tokens].concat();
    let sequences = vec![Sequence { prompt, tokens, values: expected(&text, 2) }];
    let probe =
        Probe { model: "cost".into(), precision: "f32".into(), base: String::new(), tolerance: None, sequences };
    Remote { probe: Some(probe), ..remote(&[fake]) }
}

fn audit(scores: &Scores) -> Result<Vec<f32>, ModelError> {
    let mut handle = scores.handle(&Caller::default());
    let id = handle.open("a question", language())?;
    Ok(handle.extend(&[ScoreRow { id, tokens: bytes("an answer"), ended: true }])?.remove(0).tokens)
}

#[test]
fn scores_of_another_model_are_forgotten_when_it_is_found() {
    let fake = Fake::new(Kind { prefix: false, ..Kind::default() });
    let deadlines = Deadlines { look: Duration::from_millis(100), ..inferenceguard_fake_engines::deadlines() };
    let scores = Scores::connect(&Remote { deadlines, ..probed(&fake) }, info(), Arc::new(Texts)).unwrap();
    let right = audit(&scores).unwrap();
    // No connection breaks, and no whole check is due: a short look finds it.
    fake.change(|kind| kind.weights = Weights(2));
    until("the other model is found", || scores.broken().is_some_and(|why| why.contains("not the model of the probe")));
    assert!(audit(&scores).is_err(), "prices of a model that is gone are not used");
    fake.change(|kind| kind.weights = Weights(1));
    until("the right one is back", || scores.broken().is_none());
    let asked = scores.request_count();
    assert_eq!(audit(&scores).unwrap(), right);
    assert!(scores.request_count() > asked, "the text is read again");
}

#[test]
fn a_server_that_was_not_ready_is_looked_at_before_its_scores_count() {
    let fake = Fake::new(Kind { prefix: false, ..Kind::default() });
    let scores = Scores::connect(&probed(&fake), info(), Arc::new(Texts)).unwrap();
    // It is started again with other weights, and answers 503 until they are loaded.
    let calls = AtomicUsize::new(0);
    let shared = Arc::clone(&fake.shared);
    fake.rule(move |seen| {
        if seen.path == "/pooling" && calls.fetch_add(1, Ordering::SeqCst) == 0 {
            shared.kind.lock().unwrap().weights = Weights(2);
            return Act::Status(503, "{}");
        }
        Act::Honest
    });
    let error = audit(&scores).unwrap_err();
    assert!(matches!(fault(error), Fault::Probe { .. }));
}

#[test]
fn replicas_under_two_names_are_refused_and_the_shortest_context_counts() {
    let (one, other) = (Fake::new(Kind::default()), Fake::new(Kind { context: 40, ..Kind::default() }));
    let scores = Scores::connect(&remote(&[&one, &other]), info(), Arc::new(Texts)).unwrap();
    assert_eq!(scores.info().context, 40);
    other.change(|kind| kind.model = "large".into());
    let error = Scores::connect(&remote(&[&one, &other]), info(), Arc::new(Texts)).err().unwrap();
    assert_eq!(error.fault, Fault::Model { expected: "smol".into(), known: "large".into() });
}
