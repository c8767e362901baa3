//! Bundles that change while the server runs, and what is counted.

mod common;

use common::{MANIFEST, chat, start};
use serde_json::json;
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

#[test]
fn a_constraint_tightens_without_a_restart() {
    let server = start("");
    let budget = || {
        let answer = server.post("/v1/chat/completions", chat("ask")).json();
        let guard = answer["choices"][0]["inferenceguard"].clone();
        (guard["constraints"][0]["budget"].clone(), guard["generations"].clone())
    };
    assert_eq!(budget(), (json!(4.0), json!([1])));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bundle.toml"), MANIFEST.replace("budget = 4", "budget = 3")).unwrap();
    let activated = server.put("/admin/bundle", json!({"path": dir.path()})).json();
    assert_eq!((&activated["number"], &activated["bundle"]["name"]), (&json!(2), &json!("toy")));
    assert_eq!(budget(), (json!(3.0), json!([2])));
    let manifest = MANIFEST.replace("budget = 4", "budget = 2");
    assert_eq!(server.put("/admin/bundle", json!({"manifest": manifest})).json()["number"], 3);
    assert_eq!(budget(), (json!(2.0), json!([3])));

    for (body, status, words) in [
        (json!({"manifest": "name = 5"}), 422, "the old one stays"),
        (json!({"manifest": manifest.replace("model = \"cost\"", "model = \"absent\"")}), 422, "`absent`"),
        (json!({"path": "/no/such/folder"}), 422, "/no/such/folder"),
        (json!({"file": "x"}), 400, "expected"),
    ] {
        let got = server.put("/admin/bundle", body);
        assert_eq!(got.status, status, "{}", got.text);
        assert!(got.json()["error"]["message"].as_str().unwrap().contains(words), "{}", got.text);
    }
    assert_eq!(budget(), (json!(2.0), json!([3])));
    let swaps = server.admin("/admin/swaps").json();
    assert_eq!(swaps.as_array().unwrap().len(), 5, "{swaps}");
    assert!(swaps[0]["error"].as_str().unwrap().contains("/no/such/folder"));
}

#[test]
fn swaps_under_load_drop_nothing() {
    let server = start("");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..8 {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let answer =
                        server.post("/v1/chat/completions", common::with(chat("ask"), "seed", json!(seed))).json();
                    let guard = &answer["choices"][0]["inferenceguard"];
                    let generation = guard["generations"][0].as_u64().unwrap();
                    let expected = if generation % 2 == 1 { 4.0 } else { 3.0 };
                    assert_eq!(
                        (&guard["constraints"][0]["budget"], guard["generations"].as_array().unwrap().len()),
                        (&json!(expected), 1)
                    );
                }
            });
        }
        for swap in 0..60 {
            let manifest =
                if swap % 2 == 0 { MANIFEST.replace("budget = 4", "budget = 3") } else { MANIFEST.to_owned() };
            assert_eq!(server.put("/admin/bundle", json!({"manifest": manifest})).json()["number"], swap + 2);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_happens_is_counted() {
    let server = start("");
    server.post("/v1/chat/completions", chat("ask"));
    server.post("/v1/chat/completions", chat("doomed"));
    server.post("/v1/chat/completions", chat("unheard"));
    server.put("/admin/bundle", json!({"manifest": "x"}));
    let text = server.get("/metrics").text;
    for line in [
        "inferenceguard_requests_total{status=\"no_safe_candidate\",finish=\"refused\"} 1",
        "inferenceguard_request_errors_total{kind=\"request\"} 1",
        "inferenceguard_policy_swaps_total{result=\"refused\"} 1",
        "inferenceguard_policy_generation 1",
        "inferenceguard_requests_running 0",
        "inferenceguard_policy_bundle_info{name=\"toy\",version=\"0.1.0\"",
        "inferenceguard_safety_budget_remaining_ratios_count{constraint=\"harm\"}",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(server.admin("/admin/").text.contains("<title>InferenceGuard</title>"));
}
