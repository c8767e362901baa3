//! Score models that fail: the request fails by their name, is counted and recorded; a stream that an error cuts off is recorded.

mod common;

use common::{MANIFEST, Running, TEMPLATE_SCRIPT, bundle, chat, config, start_config, with};
use inferenceguard_host::{Engine, EngineBuilder};
use inferenceguard_model::{
    ModelError, ScoreModel, ScoreRow, Scored,
    toy::{ToyScore, ToyScript},
};
use inferenceguard_record::{Journal, Line, read};
use inferenceguard_search::{Finish, Status};
use inferenceguard_server::{Face, ServerConfig};
use inferenceguard_testkit::hooked_score::{HookedScore, ScoreHooks};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

const CHAT: &str = "/v1/chat/completions";

/// What becomes of the scores of a call.
type Spoil = fn(Vec<Scored>) -> Result<Vec<Scored>, ModelError>;

struct Spoiled(Spoil);

impl ScoreHooks for Spoiled {
    fn extend(&mut self, score: &mut ToyScore, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        score.extend(rows).and_then(self.0)
    }
}

fn nan(mut scored: Vec<Scored>) -> Result<Vec<Scored>, ModelError> {
    for row in &mut scored {
        row.tokens.fill(f32::NAN);
        row.end = f32::NAN;
    }
    Ok(scored)
}

fn one_too_few(mut scored: Vec<Scored>) -> Result<Vec<Scored>, ModelError> {
    scored.pop();
    Ok(scored)
}

fn gone(_: Vec<Scored>) -> Result<Vec<Scored>, ModelError> {
    Err(ModelError::Backend("the engine at http://10.0.0.7:8000: the connection failed".into()))
}

/// An engine with this bundle whose score model `cost` is changed.
fn engine<S: ScoreModel + 'static>(manifest: &str, change: impl Fn(ToyScore) -> S) -> Arc<Engine> {
    let toy = ToyScript::parse(TEMPLATE_SCRIPT).unwrap();
    let mut builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle(manifest)).max_live(4);
    for score in toy.scores() {
        builder = match score.info().name.as_str() {
            "cost" => builder.score_model(Box::new(change(score))),
            _ => builder.score_model(Box::new(score)),
        };
    }
    Arc::new(builder.build().unwrap())
}

/// A server that keeps records in this file.
fn recording(engine: &Arc<Engine>, manifest: &str, records: &Path) -> Running {
    let records = Some(Journal::open(records, true).unwrap());
    start_config(ServerConfig { faces: [Face::Judge].into(), records, ..config(engine, bundle(manifest)) })
}

fn records(path: &Path) -> Vec<Line> {
    read(path).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_failing_score_model_fails_chats_and_judgements_by_its_name() {
    let cases: [(Spoil, &str, &str); 3] = [
        (nan, "scores", "the score model `cost` returned the score NaN"),
        (one_too_few, "scores", "the score model `cost` returned"),
        (gone, "score_model", "the score model `cost` failed; the server's log says why"),
    ];
    for (spoil, kind, words) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.jsonl");
        let server = recording(&engine(MANIFEST, |score| HookedScore::new(score, Spoiled(spoil))), MANIFEST, &path);
        let got = server.post(CHAT, chat("ask"));
        let choice = got.json()["choices"][0].clone();
        let (guard, found) = (&choice["inferenceguard"], &choice["message"]["content"]);
        assert_eq!((got.status, found, &guard["status"]), (200, &json!("No."), &json!("failed")), "{}", got.text);
        assert_eq!(choice["finish_reason"], "content_filter", "{words}");
        assert!(guard["failures"][0].as_str().unwrap().contains(words), "{guard}");
        let asked = json!({"messages": [{"role": "user", "content": "ask"}], "answer": "good"});
        let judged = server.post("/v1/judge", asked);
        let judged = (judged.json(), judged.text);
        assert_eq!((&judged.0["status"], &judged.0["decision"]), (&json!("failed"), &json!("block")), "{}", judged.1);
        assert!(judged.0["failures"][0].as_str().unwrap().contains(words), "{}", judged.1);
        assert!(!got.text.contains("10.0.0.7") && !judged.1.contains("10.0.0.7"), "{}", got.text);
        let metrics = server.admin("/metrics").text;
        for (name, labels) in [("requests_total", "status=\"failed\""), ("policy_failures_total", "role=\"cost\"")] {
            let mut lines = metrics.lines().filter(|line| line.starts_with(&format!("inferenceguard_{name}{{")));
            let found = lines.any(|line| line.contains(labels) && (name == "requests_total" || line.contains(kind)));
            assert!(found, "{name}, {kind}: {metrics}");
        }
        let kept = records(&path);
        let [record] = &kept[..] else { panic!("{words}: one record") };
        let outcome = &record.body.as_ref().unwrap().outcome;
        assert_eq!((record.header.status, outcome.finish), (Status::Failed, Finish::Failed));
        assert!(outcome.failures[0].to_string().contains("the score model `cost`"), "{:?}", outcome.failures);
    }
}

#[test]
fn text_of_a_stream_before_an_error_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records.jsonl");
    let manifest = MANIFEST.replace("chunk-len = 4", "chunk-len = 1");
    let long = |score| {
        let mut calls = 4_usize;
        HookedScore::before(score, move || {
            calls = calls.checked_sub(1).ok_or(ModelError::ContextExceeded { found: 65, limit: 64 })?;
            Ok(())
        })
    };
    let server = recording(&engine(&manifest, long), &manifest, &path);
    let body = with(with(chat("ask"), "stream", json!(true)), "inferenceguard", json!({"release": {"commit": 1}}));
    let got = server.post(CHAT, body);
    let events = got.events();
    let content = |event: &Value| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned();
    let text: String = events.iter().map(content).collect();
    assert!(!text.is_empty(), "it fails after some text: {}", got.text);
    assert_eq!(events.last().unwrap()["error"]["code"], "invalid_value", "{}", got.text);
    let kept = records(&path);
    let [record] = &kept[..] else { panic!("one record") };
    let body = record.body.as_ref().unwrap();
    assert_eq!((record.header.status, body.outcome.text.as_str()), (Status::Failed, text.as_str()));
    assert!(body.outcome.failures[0].to_string().contains("65 tokens do not fit the context of 64"), "{body:?}");
    body.verify().unwrap();
    // An error before any text leaves no record.
    server.post(CHAT, chat("ask")).refuses(400, "invalid_value", "context of 64");
    assert_eq!(records(&path).len(), 1);
    // A client that does not stream gets no text, whenever text is released.
    let path = dir.path().join("unstreamed.jsonl");
    let server = recording(&engine(&manifest, long), &manifest, &path);
    let body = with(chat("ask"), "inferenceguard", json!({"release": {"commit": 1}}));
    server.post(CHAT, body).refuses(400, "invalid_value", "context of 64");
    assert_eq!(records(&path).len(), 0);
}
