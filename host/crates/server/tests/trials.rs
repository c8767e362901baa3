//! Canaries: answers that fail half way, denials during a request, and the end of a canary.

mod common;

use common::{MANIFEST, Running, SCRIPT, bundle, chat, start_with, with};
use inferenceguard_host::EngineBuilder;
use inferenceguard_model::{ModelError, ScoreModel, toy::ToyScript};
use inferenceguard_testkit::hooked_score::HookedScore;
use serde_json::{Value, json};
use std::{
    sync::{Arc, mpsc},
    thread,
};

/// A server with a score model `short` for canaries. It scores this many calls; later ones fail, as for an answer that is too long.
/// Each call sends a message on the first channel and waits for one on the second.
fn server(mut calls: usize, settings: &str) -> (Running, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let toy = ToyScript::parse(&format!("{SCRIPT}\nscore short: bad 5")).unwrap();
    let ((began, begins), (goes, go)) = (mpsc::channel(), mpsc::channel());
    let mut builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(&bundle(MANIFEST)).max_live(4);
    let mut scores = toy.scores();
    let inner = scores.remove(scores.iter().position(|score| score.info().name == "short").unwrap());
    for score in scores {
        builder = builder.score_model(Box::new(score));
    }
    let short = HookedScore::before(inner, move || {
        began.send(()).unwrap_or(());
        go.recv().unwrap_or(());
        calls = calls.checked_sub(1).ok_or(ModelError::ContextExceeded { found: 65, limit: 64 })?;
        Ok(())
    });
    let engine = builder.score_model(Box::new(short)).build().unwrap();
    (start_with(Arc::new(engine), toml::from_str(settings).unwrap()), begins, goes)
}

fn canary(server: &Running) {
    let manifest = MANIFEST.replace("model = \"cost\"", "model = \"short\"").replace("chunk-len = 4", "chunk-len = 1");
    assert_eq!(server.put("/admin/canary", json!({"manifest": manifest, "share": 1.0})).status, 200);
}

fn content(event: &Value) -> &str {
    event["choices"][0]["delta"]["content"].as_str().unwrap_or_default()
}

#[test]
fn text_of_a_failed_canary_is_not_sent_again_by_the_active_bundle() {
    let (server, _begins, go) = server(4, "");
    drop(go);
    canary(&server);
    let body = with(with(chat("ask"), "stream", json!(true)), "inferenceguard", json!({"release": {"commit": 1}}));
    let got = server.post("/v1/chat/completions", body.clone());
    let events = got.events();
    let text: String = events.iter().map(content).collect();
    assert!(!text.is_empty(), "it fails after some text: {}", got.text);
    assert_eq!(events.last().unwrap()["error"]["code"], "invalid_value", "{}", got.text);
    assert!(!got.text.contains("[DONE]") && !got.text.contains("finish_reason\":\"stop"), "{}", got.text);
    // Now it fails before any text, and the active bundle answers.
    let events = server.post("/v1/chat/completions", body).events();
    assert_eq!(events.last().unwrap()["choices"][0]["inferenceguard"]["generations"], json!([1]));
}

#[test]
fn a_request_that_a_denial_cancels_is_neither_refused_nor_answered() {
    let (server, begins, go) = server(usize::MAX, "[canary]\nleast = 1");
    canary(&server);
    thread::scope(|scope| {
        let answer = scope.spawn(|| server.post("/v1/chat/completions", chat("ask")));
        begins.recv().unwrap();
        assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
        drop(go);
        answer.join().unwrap().refuses(503, "denied", "a leak");
    });
    let status = server.admin("/admin/status").json();
    assert_eq!(status["canary"]["canary"], json!({"requests": 0, "refused": 0, "failed": 0}), "{status}");
    let metrics = server.get("/metrics").text;
    assert!(metrics.contains("inferenceguard_request_errors_total{kind=\"denied\"} 1"), "{metrics}");
    assert!(!metrics.contains("inferenceguard_requests_total{"), "it ended once: {metrics}");
    assert!(!metrics.contains("budget_remaining_ratios_count{"), "it has spent no budget: {metrics}");
}

#[test]
fn a_stream_that_a_denial_cuts_off_ends_with_that() {
    let (server, begins, go) = server(usize::MAX, "");
    canary(&server);
    let body = with(with(chat("ask"), "stream", json!(true)), "inferenceguard", json!({"release": {"commit": 1}}));
    thread::scope(|scope| {
        let answer = scope.spawn(|| server.post("/v1/chat/completions", body));
        begins.recv().unwrap();
        assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
        drop(go);
        let got = answer.join().unwrap();
        assert_eq!(got.events().last().unwrap()["error"]["code"], "denied", "{}", got.text);
        assert!(!got.text.contains("[DONE]") && !got.text.contains("content_filter"), "{}", got.text);
    });
}

#[test]
fn trials_end_when_another_bundle_is_activated() {
    let server = start_with(common::engine(4), toml::from_str("").unwrap());
    let manifest = |budget: &str| json!({"manifest": MANIFEST.replace("budget = 4", budget), "share": 1.0});
    let generation = |server: &Running| {
        let answer = server.post("/v1/chat/completions", chat("ask")).json();
        answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"].as_f64().unwrap()
    };
    for change in ["activate", "rollback"] {
        assert_eq!(server.put("/admin/canary", manifest("budget = 9")).status, 200);
        assert_eq!(server.put("/admin/shadow", manifest("budget = 8")).status, 200);
        assert_eq!(generation(&server), 9.0);
        let wanted = match change {
            "activate" => {
                let tight = json!({"manifest": MANIFEST.replace("budget = 4", "budget = 1")});
                assert_eq!(server.put("/admin/bundle", tight).status, 200);
                1.0
            }
            _ => {
                assert_eq!(server.admin_post("/admin/rollback").status, 200);
                4.0
            }
        };
        assert_eq!(generation(&server), wanted, "{change}: the canary decides no more");
        let status = server.admin("/admin/status").json();
        assert!(status["canary"].is_null() && status["shadow"].is_null(), "{change}: {status}");
    }
}
