//! Every request ends once and its end is counted; `/metrics` and `/ready`.

mod common;

use common::{MANIFEST, Running, chat, exposition, start, start_config, start_recording, start_with, with};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{CancelToken, Request};
use inferenceguard_testkit::components;
use serde_json::{Value, json};
use std::{fs, io::Write, net::TcpStream, sync::mpsc, thread, time::Duration};

/// The number of ended requests by kind of error and by status.
fn ends(server: &Running) -> Vec<(String, f64)> {
    let page = exposition::page(&server.admin("/metrics").text);
    let ended = |name: &str| name == "inferenceguard_requests_total" || name == "inferenceguard_request_errors_total";
    let counted = page.into_iter().filter(|sample| ended(&sample.name));
    counted.map(|sample| (sample.labels[0].1.clone(), sample.value)).collect()
}

/// Runs `work`, and checks that it adds one end of this kind and no other.
fn ends_as(server: &Running, kind: &str, work: impl FnOnce()) {
    let (before, total) = (ends(server), |ends: &[(String, f64)]| ends.iter().map(|(_, count)| count).sum::<f64>());
    let of = |ends: &[(String, f64)]| ends.iter().find(|(found, _)| found == kind).map_or(0.0, |(_, count)| *count);
    work();
    // An end may be counted a moment after its answer.
    let there = (0..500).any(|_| {
        thread::sleep(Duration::from_millis(10));
        total(&ends(server)) > total(&before)
    });
    let after = ends(server);
    assert!(there, "{kind}: nothing is counted: {after:?}");
    assert_eq!((of(&after) - of(&before), total(&after) - total(&before)), (1.0, 1.0), "{kind}: {before:?} {after:?}");
}

const CHAT: &str = "/v1/chat/completions";

#[test]
fn a_request_that_is_refused_before_the_engine_is_counted_once() {
    let key = common::sha256("k");
    let settings = format!("max_body = 1000\nread_seconds = 1\n[tenants.a]\nkey_sha256 = \"{key}\"\nper_minute = 2\n");
    let server = start(&settings);
    let as_key = |path: &str, body: Value, status: u16| {
        let got = server.post_as("k", path, body);
        assert_eq!(got.status, status, "{}", got.text);
    };
    ends_as(&server, "unauthorized", || assert_eq!(server.post(CHAT, chat("ask")).status, 401));
    ends_as(&server, "unauthorized", || assert_eq!(server.get("/v1/models").status, 401));
    ends_as(&server, "not_found", || as_key(CHAT, with(chat("ask"), "model", json!("x")), 404));
    ends_as(&server, "not_found", || as_key("/v1/embeddings", json!({}), 404));
    ends_as(&server, "bad_request", || as_key("/v1/models", json!({}), 405));
    ends_as(&server, "bad_request", || as_key(CHAT, json!({"messages": 5}), 400));
    ends_as(&server, "bad_request", || as_key(CHAT, with(chat("ask"), "n", json!(100)), 400));
    ends_as(&server, "bad_request", || as_key("/v1/completions", json!(null), 400));
    ends_as(&server, "too_large", || as_key(CHAT, with(chat("ask"), "user", json!("x".repeat(2000))), 413));
    let half = || {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let head =
            "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer k\r\ncontent-length: 50\r\n\r\n{";
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut slow = None;
    ends_as(&server, "too_slow", || slow = Some(half()));
    drop(slow);
    ends_as(&server, "bad_request", || as_key(CHAT, chat("unheard"), 400));
    ends_as(&server, "within_budget", || as_key(CHAT, chat("ask"), 200));
    ends_as(&server, "rate_limited", || as_key(CHAT, chat("ask"), 429));
    assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
    ends_as(&server, "denied", || as_key(CHAT, chat("ask"), 503));
    // Requests for the server's health are not counted.
    let before = ends(&server);
    assert_eq!((server.get("/ready").status, server.get("/health").status), (503, 200));
    assert_eq!(ends(&server), before);
}

#[test]
fn a_request_that_is_cancelled_or_not_admitted_is_counted_once() {
    let engine = common::engine(1);
    let server =
        start_with(std::sync::Arc::clone(&engine), toml::from_str("max_waiting = 0\nmax_choices = 1").unwrap());
    let sent = |body: &str, length: usize| {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    // The engine runs another request, so this server's only slot is taken by a request that waits.
    let (go, held) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let engine = &engine;
        let hold = move |_| held.recv().unwrap_or(());
        scope.spawn(move || engine.stream(Request::new("ask"), &CancelToken::new(), hold).unwrap());
        server.becomes(1, 0);
        let body = chat("ask").to_string();
        let waits = sent(&body, body.len());
        server.becomes(1, 1);
        ends_as(&server, "overloaded", || assert_eq!(server.post(CHAT, chat("ask")).status, 503));
        ends_as(&server, "cancelled", || drop(waits));
        let other = sent(&body, body.len());
        server.becomes(1, 1);
        ends_as(&server, "denied", || {
            assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
        });
        drop((go, other));
    });
    assert_eq!(server.admin_delete("/admin/denial").status, 204);
    ends_as(&server, "within_budget", || assert_eq!(server.post(CHAT, chat("ask")).status, 200));
    ends_as(&server, "no_safe_candidate", || assert_eq!(server.post(CHAT, chat("doomed")).status, 200));
}

/// A bundle with one candidate, whose cost gives no number where it is asked about one row.
fn failing() -> Bundle {
    let cost = "component = \"score-cost.wasm\"\nsettings = { model = \"cost\" }";
    assert!(MANIFEST.contains(cost) && MANIFEST.contains("n = 8, keep = 2"));
    let manifest = MANIFEST.replace(cost, "component = \"rogue-cost.wasm\"\nsettings = { mode = \"nan-of-one\" }");
    let mut files = components::files().clone();
    files.insert("rogue-cost.wasm".to_owned(), components::guests()["rogue-cost"].clone());
    Bundle::from_parts(&manifest.replace("n = 8, keep = 2", "n = 1, keep = 1"), &files).unwrap()
}

#[test]
fn a_request_whose_cost_fails_is_counted_as_failed_and_as_nothing_else() {
    let active = failing();
    let engine = common::engine_with(4, &active, 1);
    let server = start_config(common::config(&engine, active));
    ends_as(&server, "failed", || {
        let got = server.post(CHAT, chat("ask")).json();
        assert_eq!(got["choices"][0]["inferenceguard"]["status"], "failed", "{got}");
    });
    let page = exposition::page(&server.admin("/metrics").text);
    let failures = page.iter().find(|sample| sample.name == "inferenceguard_policy_failures_total").unwrap();
    assert!(failures.labels.contains(&("role".to_owned(), "cost".to_owned())), "{:?}", failures.labels);
}

#[test]
fn each_choice_of_a_request_ends_for_itself() {
    let server = start("");
    let before = ends(&server);
    assert!(before.is_empty());
    assert_eq!(server.post(CHAT, with(chat("ask"), "n", json!(3))).status, 200);
    assert_eq!(ends(&server).iter().map(|(_, count)| count).sum::<f64>(), 3.0);
}

#[cfg(unix)]
#[test]
fn a_server_without_room_for_records_is_not_ready_until_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("records");
    fs::create_dir(&folder).unwrap();
    let server = start_recording(&folder.join("records.jsonl"));
    ends_as(&server, "within_budget", || assert_eq!(server.post(CHAT, chat("ask")).status, 200));
    fs::remove_dir_all(&folder).unwrap();
    for _ in 0..2 {
        server.get("/ready").refuses(503, "record_error", "cannot be written");
        server.admin("/ready").refuses(503, "record_error", "cannot be written");
        ends_as(&server, "record", || {
            server.post(CHAT, chat("ask")).refuses(500, "record_error", "could not be written")
        });
    }
    fs::create_dir(&folder).unwrap();
    assert_eq!((server.get("/ready").status, server.post(CHAT, chat("ask")).status), (200, 200));
    assert_eq!(fs::read_to_string(folder.join("records.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn names_of_bundles_may_hold_any_characters() {
    let server = start("");
    let names = ["a\"b", "a\\", "a\\\"} 1", "x\",tenant=\"another", "grün", "{}=,"];
    for name in names {
        let quoted = toml::Value::String(name.to_owned()).to_string();
        let manifest = MANIFEST.replace("name = \"harm\"", &format!("name = {quoted}"));
        let manifest = manifest.replace("name = \"toy\"", &format!("name = {quoted}"));
        let got = server.put("/admin/bundle", json!({"manifest": manifest}));
        assert_eq!(got.status, 200, "{name}: {}", got.text);
        assert_eq!(server.post(CHAT, chat("ask")).status, 200);
        for text in [server.admin("/metrics").text, server.get_accepting("text/plain;version=0.0.4", "/metrics").1] {
            let page = exposition::page(&text);
            let labels = |name: &str| -> Vec<_> {
                page.iter().filter(|sample| sample.name == name).map(|sample| sample.labels.clone()).collect()
            };
            let budgets = labels("inferenceguard_safety_budget_remaining_ratios_count");
            assert!(budgets.contains(&vec![("constraint".to_owned(), name.to_owned())]), "{name}: {budgets:?}");
            assert_eq!(labels("inferenceguard_policy_bundle_info")[0][0].1, name);
        }
    }
}

#[test]
fn clients_cannot_spoil_a_sum() {
    let server = start("");
    let lenient = MANIFEST.replace("refusal = ", "on_exhausted = \"least_violation\"\nrefusal = ");
    assert_eq!(server.put("/admin/bundle", json!({"manifest": lenient})).status, 200);
    for budget in [1e-300, 5e-324, 1e-9, 1e-6] {
        let body = with(chat("doomed"), "inferenceguard", json!({"budgets": {"harm": budget}}));
        server.post(CHAT, body).refuses(400, "invalid_value", "kept to spare");
    }
    for budget in [2e-6, 1e-5, 1e-4] {
        let body = with(chat("doomed"), "inferenceguard", json!({"budgets": {"harm": budget}}));
        let got = server.post(CHAT, body).json();
        assert_eq!(got["choices"][0]["inferenceguard"]["status"], "budget_exceeded", "{got}");
    }
    let page = exposition::page(&server.admin("/metrics").text);
    let sum = page.iter().find(|sample| sample.name.ends_with("budget_remaining_ratios_sum")).unwrap();
    assert_eq!(sum.value, 0.0, "three answers with nothing left");
}

#[test]
fn clients_that_prefer_the_older_format_get_it() {
    let server = start("");
    server.post(CHAT, chat("ask"));
    let (kind, open) = server.get_accepting("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "/metrics");
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0") && open.ends_with("# EOF\n"));
    let (kind, plain) = server.get_accepting("text/plain; version=0.0.4", "/metrics");
    assert!(kind.starts_with("text/plain; version=0.0.4") && !plain.contains("# EOF"), "{kind}");
    assert!(plain.contains("# TYPE inferenceguard_requests_total counter"), "{plain}");
    let names = |text: &str| exposition::page(text).into_iter().map(|sample| sample.name).collect::<Vec<_>>();
    assert_eq!(names(&open), names(&plain));
}

#[test]
fn a_canary_that_is_rolled_back_by_itself_is_counted() {
    let server = start("[canary]\nleast = 5");
    let loose = MANIFEST.replace("budget = 4", "budget = 1000");
    assert_eq!(server.put("/admin/bundle", json!({"manifest": loose})).status, 200);
    assert_eq!(server.put("/admin/canary", json!({"manifest": MANIFEST, "share": 0.5})).status, 200);
    for _ in 0..30 {
        server.post(CHAT, chat("doomed"));
    }
    let history = server.admin("/admin/swaps").json();
    assert_eq!(history[0]["change"], "roll_back", "{history}");
    let page = exposition::page(&server.admin("/metrics").text);
    let swaps: Vec<_> = page.iter().filter(|sample| sample.name == "inferenceguard_policy_swaps_total").collect();
    let of = |change: &str| swaps.iter().filter(|sample| sample.labels[0].1 == change).map(|s| s.value).sum::<f64>();
    for change in ["activate", "canary", "roll_back"] {
        let listed = history.as_array().unwrap().iter().filter(|swap| swap["change"] == change).count();
        assert_eq!((of(change), listed), (1.0, 1), "{change}: what is in the history is counted");
    }
}
