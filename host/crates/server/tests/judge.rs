//! Judgements for gateways: `/v1/judge`, `/v1/moderations` and LiteLLM's route, each decision by each of them.

mod common;

use common::{
    MANIFEST, Running, TEMPLATE_SCRIPT, bundle, exposition, faces, judgements::ends_as, sha256, start, start_faces,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_gateways::{Conversation, Judge, OnUnsafe, Part, Question, Refused, Standing, Verdict};
use inferenceguard_host::EngineBuilder;
use inferenceguard_model::toy::ToyScript;
use inferenceguard_server::{Face, Server, ServerConfig, ServerError};
use inferenceguard_testkit::components;
use inferenceguard_testkit::hooked_score::HookedScore;
use serde_json::{Value, json};
use std::{sync::Arc, thread, time::Duration};

const JUDGE: &str = "/v1/judge";
const MODERATIONS: &str = "/v1/moderations";
const LITELLM: &str = "/beta/litellm_basic_guardrail_api";

/// The manifest with the component `rogue-cost` of the tests in place of the safety cost, in this mode.
fn rogue(mode: &str) -> Bundle {
    with_guests(&rogue_manifest(mode))
}

fn rogue_manifest(mode: &str) -> String {
    let cost = "component = \"score-cost.wasm\"\nsettings = { model = \"cost\" }";
    assert!(MANIFEST.contains(cost));
    let other = format!("component = \"rogue-cost.wasm\"\nsettings = {{ mode = \"{mode}\" }}");
    MANIFEST.replace(cost, &other)
}

/// A bundle whose costs read neither prompts nor scores: every token costs 1.
fn promptless() -> Bundle {
    text_only("component = \"rogue-cost.wasm\"\nsettings = { mode = \"ok\" }")
}

/// A bundle that charges for a word, whatever the prompt.
fn words() -> Bundle {
    text_only("component = \"keyword-cost.wasm\"\nsettings = { words = [[\"bad\", 5]] }")
}

/// The bundle without scores: one cost, that of the text.
fn text_only(priced: &str) -> Bundle {
    let task =
        "\n[costs.reward]\ncomponent = \"score-cost.wasm\"\nsettings = { model = \"reward\", kind = \"task\" }\n";
    assert!(MANIFEST.contains(task) && MANIFEST.contains("task = \"reward\"\n"));
    let manifest = MANIFEST.replace(task, "").replace("task = \"reward\"\n", "");
    let cost = "component = \"score-cost.wasm\"\nsettings = { model = \"cost\" }";
    with_guests(&manifest.replace(cost, priced))
}

fn with_guests(manifest: &str) -> Bundle {
    let guest = components::guests()["rogue-cost"].clone();
    let files = components::files().clone().into_iter().chain([("rogue-cost.wasm".to_owned(), guest)]);
    Bundle::from_parts(manifest, &files.collect()).unwrap()
}

fn plain() -> Running {
    start_faces("", &bundle(MANIFEST))
}

fn asked(answer: &str) -> Value {
    json!({"messages": [{"role": "user", "content": "ask"}], "answer": answer})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

/// A call of LiteLLM.
fn call(kind: &str, id: &str, texts: Value) -> Value {
    let messages = (kind == "request").then(|| json!([{"role": "user", "content": "ask"}]));
    json!({"input_type": kind, "texts": texts, "structured_messages": messages, "litellm_call_id": id, "images": null,
        "tools": null, "tool_calls": null, "request_data": {}, "litellm_version": "1.108.7"})
}

#[test]
fn the_judge_decides_and_shows_the_exact_numbers() {
    let server = plain();
    for (answer, on_unsafe, decision, text, status) in [
        ("good plain", "block", "pass", Value::Null, "within_budget"),
        ("good plain", "replace", "pass", Value::Null, "within_budget"),
        ("good bad", "block", "block", Value::Null, "budget_exceeded"),
        ("good bad", "replace", "replace", json!("No."), "budget_exceeded"),
        ("", "block", "pass", Value::Null, "within_budget"),
    ] {
        let got = server.post(JUDGE, with(asked(answer), "on_unsafe", json!(on_unsafe)));
        assert_eq!(got.status, 200, "{}", got.text);
        let judged = got.json();
        assert_eq!((&judged["decision"], &judged["text"]), (&json!(decision), &text), "{answer}: {judged}");
        assert_eq!((&judged["status"], &judged["generation"]), (&json!(status), &json!(1)));
        assert_eq!(judged["models"]["model"], server.engine.models().model.fingerprint, "{judged}");
        assert_eq!(judged["models"]["scores"]["cost"], server.engine.models().scores["cost"].fingerprint);
        let constraint = &judged["constraints"][0];
        // The second token counts by gamma.
        let spent = if answer.contains("bad") { 4.995 } else { 0.0 };
        assert_eq!(
            (&constraint["name"], &constraint["max"], &constraint["budget"]),
            (&json!("harm"), &json!(spent), &json!(4.0))
        );
        assert_eq!(judged["bundle"]["digest"], bundle(MANIFEST).digest().to_string());
    }
}

#[test]
fn the_same_question_has_the_same_answer() {
    let server = plain();
    let mut first = server.post(JUDGE, asked("good bad plain")).json();
    let mut second = server.post(JUDGE, asked("good bad plain")).json();
    assert_ne!(first["id"].take(), second["id"].take());
    assert_eq!(first, second);
}

#[test]
fn a_prefix_is_judged_without_its_last_word() {
    let server = plain();
    for (answer, part, decision, chars) in [
        ("good bad", "whole", "block", 8),
        ("good bad", "prefix", "pass", 5),
        ("good bad ", "prefix", "block", 9),
        ("bad", "prefix", "pass", 0),
    ] {
        let judged = server.post(JUDGE, with(asked(answer), "part", json!(part))).json();
        assert_eq!(
            (&judged["decision"], &judged["judged_chars"]),
            (&json!(decision), &json!(chars)),
            "{answer}: {judged}"
        );
    }
}

#[test]
fn an_answer_whose_prompt_is_not_known_is_blocked_where_costs_read_it() {
    let (reads, does_not) = (plain(), start_faces("", &promptless()));
    let question = json!({"answer": "good"});
    let judged = reads.post(JUDGE, &question).json();
    assert_eq!((&judged["decision"], &judged["status"]), (&json!("block"), &json!("unjudged")), "{judged}");
    assert!(judged["reason"].as_str().unwrap().contains("prompt"), "{judged}");
    let judged = does_not.post(JUDGE, &question).json();
    assert_eq!((&judged["decision"], &judged["constraints"][0]["max"]), (&json!("pass"), &json!(1.0)), "{judged}");
}

#[test]
fn wrong_questions_are_refused() {
    let server = start_faces("max_body = 2000", &bundle(MANIFEST));
    let post = |body: Value| server.post(JUDGE, body);
    post(json!({})).refuses(400, "missing_required_parameter", "`answer`");
    post(with(asked("good"), "budgets", json!({"harm": 9}))).refuses(400, "unknown_parameter", "budgets");
    post(with(asked("good"), "model", json!("gpt"))).refuses(404, "model_not_found", "`toy`");
    post(with(asked("good"), "bundle", json!("other"))).refuses(404, "bundle_not_found", "`toy`");
    post(asked("unheard")).refuses(400, "invalid_value", "vocabulary");
    post(asked(&"good ".repeat(70))).refuses(400, "context_length_exceeded", "context");
    post(asked(&"good ".repeat(900))).refuses(413, "invalid_body", "larger");
    assert_eq!(post(with(asked("good"), "bundle", json!("toy"))).status, 200);
    assert_eq!(server.get(JUDGE).status, 405);
}

#[test]
fn errors_name_the_field_that_the_gateway_sent() {
    let server = start_faces("", &words());
    let names = |path: &str, body: Value, param: &str| {
        let got = server.post(path, body);
        assert!([400, 404].contains(&got.status), "{}", got.text);
        assert_eq!(got.json()["error"]["param"], param, "{}", got.text);
    };
    for wrong in ["unheard", &"good ".repeat(70)] {
        names(JUDGE, asked(wrong), "answer");
        names(JUDGE, json!({"answer": wrong}), "answer");
        names(JUDGE, json!({"messages": [{"role": "user", "content": wrong}], "answer": "good"}), "messages");
        names(MODERATIONS, json!({"input": wrong}), "input");
        names(MODERATIONS, json!({"input": ["good", wrong]}), "input");
        names(LITELLM, call("response", "1", json!([wrong])), "texts");
    }
    names(JUDGE, with(asked("good"), "bundle", json!("other")), "bundle");
    names(MODERATIONS, json!({"input": "good", "inferenceguard": {"bundle": "other"}}), "inferenceguard.bundle");
    // A score model takes no empty prompt.
    let server = plain();
    let got = server.post(MODERATIONS, json!({"input": "good"}));
    assert_eq!((got.status, &got.json()["error"]["param"]), (400, &json!("input")), "{}", got.text);
}

#[test]
fn a_face_that_is_off_is_not_there() {
    let server = start("");
    for path in [JUDGE, MODERATIONS, LITELLM] {
        server.post(path, asked("good")).refuses(404, "unknown_url", "no such path");
    }
}

#[test]
fn a_component_that_fails_blocks_by_every_face_and_counts_as_failed() {
    let server = start_faces("", &rogue("nan-of-one"));
    ends_as(&server, "judge answer failed", || {
        let judged = server.post(JUDGE, with(asked("good"), "on_unsafe", json!("replace"))).json();
        assert_eq!(
            (&judged["decision"], &judged["status"], &judged["text"]),
            (&json!("replace"), &json!("failed"), &json!("No."))
        );
        assert!(judged["failures"][0].as_str().unwrap().contains("harm"), "{judged}");
    });
    ends_as(&server, "moderations prompt failed", || {
        let result = server.post(MODERATIONS, json!({"input": "good"})).json()["results"][0].clone();
        assert_eq!((&result["flagged"], &result["categories"]["harm"]), (&json!(true), &json!(true)), "{result}");
        assert_eq!(result["category_scores"]["harm"], 1.0);
    });
    assert_eq!(server.post(LITELLM, call("request", "1", json!(["ask"]))).json()["action"], "NONE");
    ends_as(&server, "litellm answer failed", || {
        let got = server.post(LITELLM, call("response", "1", json!(["good"]))).json();
        assert_eq!((&got["action"], &got["blocked_reason"]), (&json!("BLOCKED"), &json!("No.")), "{got}");
    });
    let failures = || {
        let page = exposition::page(&server.admin("/metrics").text);
        let failures = page.iter().filter(|sample| sample.name == "inferenceguard_policy_failures_total");
        failures.map(|sample| sample.value).sum::<f64>()
    };
    let before = failures();
    assert!(before >= 3.0);
    // The second text has words that the model does not know.
    let two = server.post(MODERATIONS, json!({"input": ["good", "unheard-of"]}));
    assert_eq!((two.status, failures() > before), (400, true), "{}", two.text);
}

#[test]
fn a_bundle_on_which_every_text_would_fail_decides_nothing() {
    for mode in ["nan", "panic", "short"] {
        let error = Server::new(faces("", &rogue(mode))).unwrap_err().to_string();
        assert!(error.contains("`harm`") && error.contains("`price`"), "{mode}: {error}");
    }
    let server = start_faces("", &rogue("ok"));
    for mode in ["nan", "panic", "short"] {
        let broken = json!({"manifest": rogue_manifest(mode)});
        let trial = with(broken.clone(), "share", json!(0.5));
        for (path, body) in [("/admin/bundle", broken), ("/admin/canary", trial.clone()), ("/admin/shadow", trial)] {
            server.put(path, body).refuses(422, "bundle_refused", "`harm`");
        }
    }
    assert_eq!(server.post(JUDGE, asked("good")).json()["generation"], 1, "the old one stays");
}

#[test]
fn a_canary_that_judges_nothing_in_time_is_rolled_back() {
    let server = start_faces("[canary]\nleast = 5", &rogue("ok"));
    let slow = format!("{}\n[limits]\nfuel = 600000000\n", rogue_manifest("hungry"));
    assert_eq!(server.put("/admin/canary", json!({"manifest": slow, "share": 1.0})).status, 200);
    for _ in 0..8 {
        server.post(JUDGE, with(asked("good"), "deadline_ms", json!(1)));
    }
    let swaps = server.admin("/admin/swaps").json();
    assert!(swaps[0]["error"].as_str().unwrap_or_default().contains("100.0 % failures"), "{swaps}");
    assert!(server.admin("/admin/status").json()["canary"].is_null());
}

#[test]
fn a_bundle_that_guards_nothing_judges_nothing() {
    let (head, tail) = MANIFEST.split_once("[[constraints]]").unwrap();
    let unguarded = format!("unguarded = true\n{head}{}", tail.split_once("\n\n").map_or("", |(_, tables)| tables));
    let server = start_faces("", &bundle(&unguarded));
    let chat = server.post("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "ask"}]})).json();
    assert_eq!(chat["choices"][0]["inferenceguard"]["status"], "unguarded", "{chat}");
    server.post(JUDGE, asked("good")).refuses(500, "engine_error", "the server's log says why");
    let page = server.admin("/metrics").text;
    assert!(page.contains("inferenceguard_requests_total{status=\"unguarded\""), "{page}");
}

#[test]
fn every_request_ends_once() {
    let key = sha256("k");
    let server = start_faces(&format!("[tenants.a]\nkey_sha256 = \"{key}\"\nper_minute = 6\n"), &bundle(MANIFEST));
    let judge = |body: Value, status: u16| assert_eq!(server.post_as("k", JUDGE, body).status, status);
    ends_as(&server, "judge answer within_budget", || judge(asked("good"), 200));
    ends_as(&server, "judge answer budget_exceeded", || judge(asked("bad"), 200));
    ends_as(&server, "judge prefix within_budget", || judge(with(asked("good"), "part", json!("prefix")), 200));
    ends_as(&server, "judge answer unjudged", || judge(json!({"answer": "good"}), 200));
    ends_as(&server, "bad_request", || judge(json!({}), 400));
    ends_as(&server, "not_found", || judge(with(asked("good"), "bundle", json!("x")), 404));
    ends_as(&server, "unauthorized", || assert_eq!(server.post(JUDGE, asked("good")).status, 401));
    ends_as(&server, "unauthorized", || assert_eq!(server.post_as_gateway("x", LITELLM, "{}").status, 401));
    ends_as(&server, "bad_request", || assert_eq!(server.post_as_gateway("k", LITELLM, "{}").status, 400));
    ends_as(&server, "litellm prompt waits_for_answer", || {
        assert_eq!(server.post_as_gateway("k", LITELLM, call("request", "1", json!(["ask"]))).status, 200);
    });
    ends_as(&server, "litellm answer within_budget", || {
        assert_eq!(server.post_as_gateway("k", LITELLM, call("response", "1", json!(["good"]))).status, 200);
    });
    ends_as(&server, "rate_limited", || judge(asked("good"), 429));
    assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
    ends_as(&server, "denied", || judge(asked("good"), 503));
    ends_as(&server, "denied", || {
        assert_eq!(server.post_as_gateway("k", LITELLM, call("request", "2", json!(["ask"]))).status, 503);
    });
}

#[test]
fn a_model_that_panicked_is_not_ready() {
    let toy = ToyScript::parse(TEMPLATE_SCRIPT).unwrap();
    let panics = |score| HookedScore::before(score, || panic!("as scripted"));
    let builder = EngineBuilder::new().bundle(&bundle(MANIFEST)).model(Box::new(toy.model()));
    let builder = toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(panics(score))));
    let engine = Arc::new(builder.build().unwrap());
    let faces = [Face::Judge, Face::Litellm].into();
    let server = common::start_config(ServerConfig { faces, ..common::config(&engine, bundle(MANIFEST)) });
    assert_eq!(server.post(JUDGE, asked("good")).status, 500);
    server.post(JUDGE, asked("good")).refuses(503, "model_broken", "the server's log says why");
    server.post(LITELLM, call("request", "1", json!(["ask"]))).refuses(
        503,
        "model_broken",
        "the server's log says why",
    );
}

#[test]
fn a_judgement_that_takes_too_long_is_no_pass() {
    let toy = ToyScript::parse(TEMPLATE_SCRIPT).unwrap();
    let slow = |score| {
        HookedScore::before(score, || {
            thread::sleep(Duration::from_millis(100));
            Ok(())
        })
    };
    let builder = EngineBuilder::new().bundle(&bundle(MANIFEST)).model(Box::new(toy.model()));
    let builder = toy.scores().into_iter().fold(builder, |builder, score| builder.score_model(Box::new(slow(score))));
    let engine = Arc::new(builder.build().unwrap());
    let faces = [Face::Judge].into();
    let server = common::start_config(ServerConfig { faces, ..common::config(&engine, bundle(MANIFEST)) });
    ends_as(&server, "late", || {
        server.post(JUDGE, with(asked("good"), "deadline_ms", json!(20))).refuses(
            504,
            "deadline_exceeded",
            "deadline_ms",
        );
    });
    assert_eq!(server.post(JUDGE, asked("good")).json()["decision"], "pass");
}

#[test]
fn litellm_joins_the_calls_of_a_request() {
    let server = plain();
    let action = |body: Value| server.post(LITELLM, body).json();
    assert_eq!(action(call("request", "1", json!(["ask"])))["action"], "NONE");
    let passed = action(call("response", "1", json!(["good", "good plain"])));
    assert_eq!((&passed["action"], &passed["stream_holdback_chars"]), (&json!("NONE"), &json!([4, 5])), "{passed}");
    let blocked = action(call("response", "1", json!(["good", "bad"])));
    assert_eq!((&blocked["action"], &blocked["blocked_reason"]), (&json!("BLOCKED"), &json!("No.")), "{blocked}");
    let replaced = with(
        call("response", "1", json!(["good", "bad"])),
        "additional_provider_specific_params",
        json!({"on_unsafe": "replace"}),
    );
    let replaced = action(replaced);
    assert_eq!((&replaced["action"], &replaced["texts"]), (&json!("GUARDRAIL_INTERVENED"), &json!(["good", "No."])));
}

#[test]
fn an_answer_of_another_request_or_of_another_client_is_blocked() {
    let [a, b] = ["a-key", "b-key"].map(sha256);
    let settings =
        format!("[judge]\nprompt_seconds = 2\n[tenants.a]\nkey_sha256 = \"{a}\"\n[tenants.b]\nkey_sha256 = \"{b}\"\n");
    let server = start_faces(&settings, &bundle(MANIFEST));
    let action = |key: &str, body: Value| server.post_as_gateway(key, LITELLM, body).json()["action"].clone();
    assert_eq!(action("a-key", call("request", "1", json!(["ask"]))), "NONE");
    for (key, id, expected) in
        [("a-key", "1", "NONE"), ("a-key", "1", "NONE"), ("a-key", "2", "BLOCKED"), ("b-key", "1", "BLOCKED")]
    {
        assert_eq!(action(key, call("response", id, json!(["good"]))), expected, "{key} {id}");
    }
    assert_eq!(action("a-key", call("request", "3", json!(["ask"]))), "NONE");
    let other = with(
        call("request", "3", json!(["good"])),
        "structured_messages",
        json!([{"role": "user", "content": "good"}]),
    );
    assert_eq!(action("a-key", other), "NONE");
    assert_eq!(action("a-key", call("response", "3", json!(["good"]))), "BLOCKED", "one of two prompts");
    // The conversation is forgotten after two seconds.
    let expired = (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(10));
        action("a-key", call("response", "1", json!(["good"]))) == "BLOCKED"
    });
    assert!(expired);
    assert_eq!(
        action("a-key", with(call("response", "1", json!(["good"])), "litellm_call_id", Value::Null)),
        "BLOCKED"
    );
}

#[test]
fn a_prompt_whose_id_could_be_lost_does_not_go_on() {
    let server = start_faces("[judge]\nmax_prompts = 1\n", &bundle(MANIFEST));
    let ask = |kind: &str, id: u32, text: &str| server.post(LITELLM, call(kind, &id.to_string(), json!([text])));
    for id in 0..64 {
        assert_eq!(ask("request", id, "ask").json()["action"], "NONE", "{id}");
    }
    ask("request", 64, "ask").refuses(503, "too_many_prompts", "found more than 64 calls");
    assert_eq!(ask("request", 0, "ask").json()["action"], "NONE", "its id is known, and its prompt is forgotten");
    for (id, expected) in [(63, "NONE"), (64, "BLOCKED"), (0, "BLOCKED")] {
        assert_eq!(ask("response", id, "good").json()["action"], expected, "{id}");
    }
}

#[test]
fn litellm_content_that_is_no_text_is_blocked() {
    let server = plain();
    for (kind, field, value) in [
        ("request", "images", json!(["data:"])),
        ("request", "structured_messages", json!([{"role": "tool", "content": "x"}])),
        ("response", "tool_calls", json!([{"id": "1"}])),
        ("response", "images", json!(["data:"])),
    ] {
        let status = format!("litellm {} unjudged", if kind == "request" { "prompt" } else { "answer" });
        ends_as(&server, &status, || {
            let got = server.post(LITELLM, with(call(kind, "1", json!(["good"])), field, value)).json();
            assert_eq!(got["action"], "BLOCKED", "{field}: {got}");
        });
    }
    let without = with(call("request", "1", json!(["ask"])), "litellm_call_id", Value::Null);
    server.post(LITELLM, without.clone()).refuses(400, "missing_required_parameter", "litellm_call_id");
    let promptless = start_faces("", &promptless());
    assert_eq!(promptless.post(LITELLM, without).json()["action"], "NONE", "no answer needs this prompt");
    let image = with(call("request", "1", json!(["ask"])), "images", json!(["data:"]));
    assert_eq!(promptless.post(LITELLM, image).json()["action"], "NONE", "no cost reads the prompt");
    assert_eq!(promptless.post(LITELLM, call("response", "9", json!(["good"]))).json()["action"], "NONE");
}

/// Text by itself is priced as an answer to nothing, which score models do not take.
const NO_PROMPT: &str = "the prompt is empty";

#[test]
fn prompts_are_screened_if_the_operator_wants_it() {
    let server = start_faces("[judge]\nprompts = \"screen\"", &words());
    let asks = |id: &str, prompt: &str| {
        let body = call("request", id, json!([prompt]));
        server.post(LITELLM, with(body, "structured_messages", json!([{"role": "user", "content": prompt}]))).json()
    };
    ends_as(&server, "litellm prompt within_budget", || assert_eq!(asks("1", "ask")["action"], "NONE"));
    assert_eq!(server.post(LITELLM, call("response", "1", json!(["good"]))).json()["action"], "NONE");
    ends_as(&server, "litellm prompt budget_exceeded", || {
        let got = asks("2", "bad ask");
        assert_eq!((&got["action"], &got["blocked_reason"]), (&json!("BLOCKED"), &json!("No.")), "{got}");
    });
}

#[test]
fn prompts_are_not_screened_where_costs_read_scores() {
    let server = start_faces("[judge]\nprompts = \"screen\"", &bundle(MANIFEST));
    let body = call("request", "1", json!(["ask"]));
    let asked = with(body, "structured_messages", json!([{"role": "user", "content": "ask"}]));
    server.post(LITELLM, asked).refuses(400, "invalid_value", NO_PROMPT);
    assert_eq!(
        server.post(LITELLM, call("response", "1", json!(["good"]))).json()["action"],
        "BLOCKED",
        "never remembered"
    );
}

#[test]
fn moderations_have_a_category_for_each_constraint() {
    let server = start_faces("", &words());
    let answer = server.post(MODERATIONS, json!({"input": ["good", "bad"], "model": "omni-moderation-latest"})).json();
    assert_eq!(answer["model"], "toy");
    for (at, flagged, score) in [(0, false, 0.0), (1, true, 1.0)] {
        let result = &answer["results"][at];
        assert_eq!((&result["flagged"], &result["categories"]["harm"]), (&json!(flagged), &json!(flagged)), "{answer}");
        assert_eq!(result["category_scores"]["harm"], json!(score));
        assert_eq!(result["inferenceguard"]["constraints"][0]["budget"], 4.0);
    }
}

#[test]
fn moderations_name_what_they_cannot_judge() {
    let server = plain();
    server.post(MODERATIONS, json!({"input": ["good", "bad"]})).refuses(400, "invalid_value", NO_PROMPT);
    server.post(MODERATIONS, json!({"input": [{"type": "image_url", "image_url": {}}]})).refuses(
        400,
        "invalid_value",
        "image_url",
    );
    let many = vec!["good"; 17];
    server.post(MODERATIONS, json!({"input": many})).refuses(400, "invalid_value", "expected 1 to 16");
}

#[test]
fn another_bundle_between_two_calls_is_visible() {
    let server = plain();
    assert_eq!(server.post(LITELLM, call("request", "1", json!(["ask"]))).json()["action"], "NONE");
    let before = server.post(JUDGE, asked("bad")).json();
    assert_eq!((&before["generation"], &before["decision"]), (&json!(1), &json!("block")));
    let looser = MANIFEST.replace("budget = 4", "budget = 9");
    assert_eq!(server.put("/admin/bundle", json!({"manifest": looser})).json()["number"], 2);
    let after = server.post(JUDGE, asked("bad")).json();
    assert_eq!((&after["generation"], &after["decision"]), (&json!(2), &json!("pass")), "{after}");
    assert_ne!(after["bundle"]["digest"], before["bundle"]["digest"]);
    let joined = server.post(LITELLM, call("response", "1", json!(["bad"]))).json();
    assert_eq!(
        (&joined["action"], &joined["inferenceguard"][0]["generation"]),
        (&json!("NONE"), &json!(2)),
        "{joined}"
    );
}

#[test]
fn a_tenants_budget_holds() {
    let key = sha256("k");
    let tenant = format!("[tenants.a]\nkey_sha256 = \"{key}\"\nbudgets = {{ harm = 2.0 }}\n");
    let server = start_faces(&tenant, &bundle(&MANIFEST.replace("budget = 4", "budget = 9")));
    let judged = server.post_as("k", JUDGE, asked("bad")).json();
    assert_eq!((&judged["constraints"][0]["budget"], &judged["decision"]), (&json!(2.0), &json!("block")), "{judged}");
}

#[test]
fn bundles_that_read_the_model_are_refused_by_the_name_of_the_cost() {
    for (mode, reads) in [("read-latents", "latents"), ("read-top-k", "the likeliest tokens")] {
        let refused = Server::new(faces("", &rogue(mode))).unwrap_err();
        let ServerError::Face(error) = &refused else { panic!("{refused}") };
        assert!(error.to_string().contains("`harm`") && error.to_string().contains(reads), "{error}");
        let without = ServerConfig { faces: Default::default(), ..faces("", &rogue(mode)) };
        assert!(Server::new(without).is_ok(), "without gateways it is served");
    }
    // The manifest of an activation is laid over the active bundle's files, so the guest is in it from the start.
    let server = start_faces("", &rogue("read-text"));
    let active = server.post(JUDGE, asked("good")).json()["generation"].clone();
    let reading = json!({"manifest": rogue_manifest("read-latents")});
    let trial = with(reading.clone(), "share", json!(0.5));
    for (path, body) in [("/admin/bundle", reading), ("/admin/canary", trial.clone()), ("/admin/shadow", trial)] {
        server.put(path, body).refuses(422, "bundle_refused", "`harm` reads latents");
    }
    assert_eq!(server.post(JUDGE, asked("good")).json()["generation"], active, "the old one stays");
}

/// Asks as Envoy's listener does.
fn as_envoy(server: &Running, key: Option<&str>, part: Part, text: &str) -> Result<Verdict, Refused> {
    let conversation = (part != Part::Prompt).then(|| Conversation::of("ask"));
    let question = Question { conversation, text: text.to_owned(), part, bundle: None, deadline_ms: None };
    let client = server.server.client(key)?;
    tokio::runtime::Runtime::new().unwrap().block_on(server.server.judge(&client, question))
}

#[test]
fn envoys_questions_pass_the_limits_of_all_others_and_end_once() {
    let key = sha256("k");
    let settings = format!(
        "[judge]\non_unsafe = \"replace\"\nprompts = \"screen\"\n[tenants.a]\nkey_sha256 = \"{key}\"\nper_minute = 4\n"
    );
    let server = start_faces(&settings, &bundle(MANIFEST));
    assert!(server.server.screens_prompts() && server.server.on_unsafe() == OnUnsafe::Replace);
    for key in [None, Some("other")] {
        assert_eq!(as_envoy(&server, key, Part::Answer, "good").unwrap_err().status, 401);
    }
    for (part, text, standing, end) in [
        (Part::Answer, "good", Standing::Within, "envoy answer within_budget"),
        (Part::Answer, "bad", Standing::Exceeded, "envoy answer budget_exceeded"),
        (Part::Prefix, "good bad", Standing::Within, "envoy prefix within_budget"),
    ] {
        ends_as(&server, end, || {
            let verdict = as_envoy(&server, Some("k"), part, text).unwrap();
            assert_eq!((verdict.standing, verdict.refusal.as_str(), verdict.generation), (standing, "No.", 1), "{end}");
        });
    }
    // Score models take no empty prompt, so that a prompt by itself cannot be priced.
    assert_eq!(as_envoy(&server, Some("k"), Part::Prompt, "bad").unwrap_err().status, 400);
    ends_as(&server, "rate_limited", || {
        let refused = as_envoy(&server, Some("k"), Part::Answer, "good").unwrap_err();
        assert_eq!((refused.status, refused.code, refused.retry_after.is_some()), (429, "rate_limit_exceeded", true));
    });
    assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
    ends_as(&server, "denied", || {
        let refused = as_envoy(&server, Some("k"), Part::Answer, "good").unwrap_err();
        assert_eq!((refused.status, refused.code), (503, "denied"));
    });
}
