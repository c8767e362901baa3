//! Fields of requests: limits hold, seeds can be sent back, refusals are the same whole and streamed, and every error names its
//! field.

mod common;

use common::{MANIFEST, Running, chat, sha256, start, with};
use serde_json::{Value, json};
use std::fs;

const CHAT: &str = "/v1/chat/completions";

fn seeds(answer: &Value) -> Vec<u64> {
    let choices = answer["choices"].as_array().unwrap_or_else(|| panic!("{answer}")).iter();
    choices.map(|choice| choice["inferenceguard"]["seed"].as_u64().unwrap()).collect()
}

fn contents(answer: &Value) -> Vec<Value> {
    answer["choices"].as_array().unwrap().iter().map(|choice| choice["message"]["content"].clone()).collect()
}

fn unseeded(prompt: &str) -> Value {
    json!({"messages": [{"role": "user", "content": prompt}]})
}

#[test]
fn a_tenant_cannot_ask_for_more_tokens_than_its_layer_allows() {
    let layer = tempfile::tempdir().unwrap();
    fs::write(layer.path().join("layer.toml"), "name = \"kitchen\"\nmax_tokens = 3\n").unwrap();
    let path = layer.path().to_str().unwrap();
    let server = start(&format!("[tenants.kitchen]\nkey_sha256 = \"{}\"\nlayer = {path:?}\n", sha256("k")));
    for (body, most) in [
        (json!({}), 3),
        (json!({"max_tokens": 60}), 3),
        (json!({"max_completion_tokens": 60}), 3),
        (json!({"max_tokens": 60, "max_completion_tokens": 4_000_000_000u32}), 3),
        (json!({"max_tokens": 2}), 2),
        (json!({"max_tokens": 9, "max_completion_tokens": 2}), 2),
        (json!({"max_tokens": 60, "n": 3}), 3),
        (json!({"max_tokens": 60, "inferenceguard": {"release": {"commit": 1}}}), 3),
    ] {
        let mut request = chat("ask");
        body.as_object().unwrap().iter().for_each(|(field, value)| request[field] = value.clone());
        let answer = server.post_as("k", CHAT, &request).json();
        let choices = answer["choices"].as_array().unwrap_or_else(|| panic!("{answer}")).len() as u64;
        assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() <= most * choices, "{body}: {answer}");
        request["stream"] = json!(true);
        request["logprobs"] = json!(true);
        for event in server.post_as("k", CHAT, &request).events() {
            let tokens = event["choices"][0]["logprobs"]["content"].as_array().map_or(0, Vec::len);
            assert!(tokens as u64 <= most, "{body}: {event}");
        }
    }
}

#[test]
fn without_a_seed_answers_differ_and_their_seeds_give_them_again() {
    let server = start("");
    let ask = |seed: Option<Value>| {
        let body = with(with(unseeded("ask"), "n", json!(2)), "temperature", json!(5));
        server.post(CHAT, seed.map_or(body.clone(), |seed| with(body, "seed", seed))).json()
    };
    let answers: Vec<Value> = (0..6).map(|_| ask(None)).collect();
    let kinds: std::collections::BTreeSet<String> = answers.iter().map(|one| contents(one)[0].to_string()).collect();
    assert!(kinds.len() > 1, "{kinds:?}");
    for answer in &answers {
        let again = ask(Some(json!(seeds(answer)[0])));
        assert_eq!((seeds(&again), contents(&again)), (seeds(answer), contents(answer)));
    }
    for seed in [json!(-1), json!(i64::MAX), json!(i64::MIN), json!((1u64 << 53) - 1)] {
        let answer = ask(Some(seed.clone()));
        for (index, reported) in seeds(&answer).into_iter().enumerate() {
            assert!(reported < 1 << 53, "{seed}: {reported}");
            let again = ask(Some(json!(reported)));
            assert_eq!(contents(&again)[0], contents(&answer)[index], "{seed}: {reported}");
        }
    }
}

#[test]
fn a_refusal_is_the_same_whole_and_streamed() {
    let server = start("");
    let body = chat("doomed");
    let whole = server.post(CHAT, &body).json()["choices"][0]["message"].clone();
    assert_eq!((&whole["content"], &whole["refusal"]), (&json!("No."), &json!("No.")));
    let events = server.post(CHAT, with(body, "stream", json!(true))).events();
    let all = |field: &str| {
        let parts = events.iter().filter_map(|event| event["choices"][0]["delta"][field].as_str());
        parts.collect::<String>()
    };
    assert_eq!((json!(all("content")), json!(all("refusal"))), (whole["content"].clone(), whole["refusal"].clone()));
    let answered = server.post(CHAT, with(chat("ask"), "stream", json!(true))).events();
    assert!(answered.iter().all(|event| event["choices"][0]["delta"].get("refusal").is_none()));
}

#[test]
fn a_refused_answer_can_be_a_turn_of_the_next_request() {
    // The toy model knows the words of this refusal.
    let readable = common::bundle(&MANIFEST.replace("\"No.\"", "\"plain\""));
    let server = common::start_with(common::engine_with(4, &readable, 1), Default::default());
    let refused = server.post(CHAT, chat("doomed")).json()["choices"][0]["message"].clone();
    assert_eq!(refused["refusal"], "plain");
    let mut openais = refused.clone();
    openais["content"] = Value::Null;
    for turn in [refused, openais] {
        let turns = json!([{"role": "user", "content": "ask"}, turn, {"role": "user", "content": "ask"}]);
        let got = server.post(CHAT, json!({"messages": turns}));
        assert_eq!(got.status, 200, "{turn}: {}", got.text);
    }
}

#[test]
fn chats_and_completions_show_the_most_likely_tokens_in_their_own_shapes() {
    let server = start("");
    let body = with(with(chat("ask"), "logprobs", json!(true)), "top_logprobs", json!(2));
    let answer = server.post(CHAT, &body).json();
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    for token in tokens {
        let top = token["top_logprobs"].as_array().unwrap();
        assert_eq!(top.len(), 2, "{token}");
        assert!(top[0]["logprob"].as_f64() >= top[1]["logprob"].as_f64() && top[0]["bytes"].is_array(), "{token}");
    }
    let streamed = server.post(CHAT, with(body, "stream", json!(true))).events();
    let last = streamed.iter().rev().find(|event| event["choices"][0]["logprobs"].is_object()).unwrap();
    assert_eq!(last["choices"][0]["logprobs"]["content"], json!(tokens));

    let ask =
        |logprobs: Value| server.post("/v1/completions", json!({"prompt": "ask", "seed": 1, "logprobs": logprobs}));
    let five = ask(json!(5)).json()["choices"][0]["logprobs"].clone();
    for (at, place) in five["top_logprobs"].as_array().unwrap().iter().enumerate() {
        let chosen = five["tokens"][at].as_str().unwrap();
        assert_eq!(place[chosen], five["token_logprobs"][at], "the token itself is among them: {place}");
        assert_eq!(place.as_object().unwrap().len(), 5, "{place}");
    }
    assert!(ask(json!(0)).json()["choices"][0]["logprobs"]["top_logprobs"].is_null());
    assert!(ask(Value::Null).json()["choices"][0]["logprobs"].is_null());
    ask(json!(21)).refuses(400, "invalid_value", "at most 20");
}

#[test]
fn a_request_sets_how_tokens_are_drawn() {
    let server = start("");
    let draw = |field: &str, value: Value| {
        let ask = |seed| with(with(chat("ask"), "seed", json!(seed)), field, value.clone());
        let answers = (0..8).map(|seed| contents(&server.post(CHAT, ask(seed)).json())[0].to_string());
        answers.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert!(draw("top_k", json!(1)) == 1 && draw("top_k", json!(0)) > 1);
    assert_eq!(draw("top_k", json!(-1)), draw("top_k", json!(0)), "all tokens");
    assert!(draw("min_p", json!(0)) == draw("top_k", json!(0)), "it leaves all of them");
    let with_penalty = |penalty: f64| {
        let body = with(with(chat("ask"), "temperature", json!(0)), "repetition_penalty", json!(penalty));
        contents(&server.post(CHAT, body).json())[0].clone()
    };
    assert_ne!(with_penalty(1.0), with_penalty(2.0), "tokens of the answer so far become less likely");
}

/// (field, value, the field that the error names)
fn engine_errors() -> [(&'static str, Value, &'static str); 11] {
    [
        ("temperature", json!(-1), "temperature"),
        ("top_p", json!(2), "top_p"),
        ("min_p", json!(-1), "min_p"),
        ("repetition_penalty", json!(-2), "repetition_penalty"),
        ("max_tokens", json!(0), "max_tokens"),
        ("stop", json!(""), "stop"),
        ("inferenceguard", json!({"method": "magic"}), "inferenceguard.method"),
        ("inferenceguard", json!({"budgets": {"harm": 5}}), "inferenceguard.budgets.harm"),
        ("inferenceguard", json!({"budgets": {"harm": -1}}), "inferenceguard.budgets.harm"),
        ("inferenceguard", json!({"budgets": {"rain": 1}}), "inferenceguard.budgets.rain"),
        ("inferenceguard", json!({"release": {"commit": 0}}), "inferenceguard.release"),
    ]
}

fn names(server: &Running, path: &str, body: &Value, param: &str) {
    let got = server.post(path, body);
    assert_eq!((got.status, got.json()["error"]["param"].as_str()), (400, Some(param)), "{body}: {}", got.text);
}

#[test]
fn errors_of_the_engine_name_their_field() {
    let server = start("");
    for (field, value, param) in engine_errors() {
        names(&server, CHAT, &with(chat("ask"), field, value.clone()), param);
        names(&server, "/v1/completions", &with(json!({"prompt": "ask"}), field, value), param);
    }
    for prompt in ["", "unheard", &"ask ".repeat(64)] {
        names(&server, CHAT, &chat(prompt), "messages");
        names(&server, "/v1/completions", &json!({"prompt": prompt}), "prompt");
    }
    names(&server, "/v1/completions", &json!({"prompt": [5, 6]}), "prompt");
    names(&server, "/v1/completions", &json!({"prompt": "ask", "messages": []}), "messages");
}

#[test]
fn a_name_with_slashes_is_found_by_it() {
    let server = start("model = \"acme/weak-1\"");
    for name in ["acme/weak-1", "acme%2Fweak-1", "acme%2fweak-1"] {
        let got = server.get(&format!("/v1/models/{name}"));
        assert_eq!((got.status, &got.json()["id"]), (200, &json!("acme/weak-1")), "{name}");
    }
    for name in ["acme", "acme/weak-1/x", "weak-1", "acme//weak-1", "%ff"] {
        server.get(&format!("/v1/models/{name}")).refuses(404, "model_not_found", "");
    }
    assert_eq!(server.post(CHAT, with(chat("ask"), "model", json!("acme/weak-1"))).status, 200);
}
