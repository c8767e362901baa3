//! The fields of requests: what is taken, what is refused, and under which name.

use super::request::{ClientRequest, Defaults, chat, completion};
use crate::{error::ApiError, settings::StreamRelease};
use inferenceguard_gateways::Fields;
use inferenceguard_host::Request;
use inferenceguard_search::{Release, SamplingSettings};
use serde_json::{Value, json};

fn fields(value: Value) -> Fields {
    Fields::parse(value.to_string().as_bytes()).unwrap()
}

fn defaults() -> Defaults {
    Defaults { release: StreamRelease::Agreement, max_choices: 4, max_top_logprobs: 20 }
}

fn asked(value: Value) -> Result<ClientRequest, ApiError> {
    chat(fields(value), &defaults())
}

fn with(field: &str, value: Value) -> Result<ClientRequest, ApiError> {
    let mut body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    body[field] = value;
    asked(body)
}

fn refused(field: &str, value: Value) -> ApiError {
    let error = with(field, value).unwrap_err();
    assert_eq!(error.status.as_u16(), 400, "{error:?}");
    error
}

#[test]
fn fields_become_settings_of_the_request() {
    let asked = asked(json!({
        "user": "u", "metadata": {}, "n": 2, "seed": -1, "stop": "END", "max_completion_tokens": 7,
        "temperature": 0.5, "top_k": 3, "min_p": 0.25, "repetition_penalty": 1.5, "stream": true, "stream_options": {"include_usage": true}, "tools": [],
        "logprobs": true, "top_logprobs": 2,
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ],
        "inferenceguard": {"budgets": {"harm": 2.0}, "release": {"commit": 2}},
    }))
    .unwrap();
    let request = &asked.request;
    let output = &asked.output;
    assert_eq!((asked.choices, output.stream, output.include_usage, output.logprobs), (2, true, true, true));
    assert_eq!((request.prompt.as_str(), request.history[0].role.as_str()), ("ab", "system"));
    assert_eq!((request.seed, request.max_tokens, request.stop.len()), (Some((1 << 53) - 1), Some(7), 1));
    let sampling = SamplingSettings {
        temperature: Some(0.5),
        top_k: Some(3),
        top_p: None,
        min_p: Some(0.25),
        repetition_penalty: Some(1.5),
    };
    assert_eq!(request.sampling, sampling);
    assert_eq!((request.release, request.top_logprobs), (Some(Release::Commit(2)), 2));
    assert_eq!(request.budgets["harm"], 2.0);
}

#[test]
fn null_is_nothing_everywhere() {
    let nulls = json!({
        "messages": [{"role": "user", "content": "Hi", "name": null, "whatever": null}],
        "n": null, "seed": null, "stop": null, "max_tokens": null, "max_completion_tokens": null, "temperature": null,
        "top_k": null, "top_p": null, "stream": null, "stream_options": {"include_usage": null, "x": null},
        "logprobs": null, "top_logprobs": null, "tools": null, "response_format": null, "audio": null,
        "inferenceguard": {"method": null, "budgets": {"harm": null}, "release": null},
    });
    let request = asked(nulls).unwrap().request;
    let seed = request.seed;
    assert_eq!(request, Request { seed, ..Request::new("Hi") });
    for field in ["stream_options", "inferenceguard"] {
        assert!(with(field, json!(null)).is_ok(), "{field}");
    }
    assert!(with("inferenceguard", json!({"budgets": null})).is_ok());
}

#[test]
fn without_a_seed_each_request_has_its_own() {
    let seed = || with("n", json!(1)).unwrap().request.seed.unwrap();
    assert_ne!(seed(), seed());
}

#[test]
fn of_two_ceilings_the_smaller_holds() {
    for (old, new, least) in [(5, 9, 5), (9, 5, 5), (u64::MAX, u64::MAX, u32::MAX)] {
        let body = json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": old,
            "max_completion_tokens": new});
        assert_eq!(asked(body).unwrap().request.max_tokens, Some(least));
    }
}

#[test]
fn what_could_change_the_answer_and_is_not_understood_is_named() {
    for (field, value, code) in [
        ("tools", json!([{}]), "unsupported_parameter"),
        ("tool_choice", json!("required"), "unsupported_parameter"),
        ("response_format", json!({"type": "json_object"}), "unsupported_parameter"),
        ("response_format", json!({"type": "text", "x": 1}), "unsupported_parameter"),
        ("logit_bias", json!({"5": 1}), "unsupported_parameter"),
        ("presence_penalty", json!(0.5), "unsupported_parameter"),
        ("min_tokens", json!(30), "unsupported_parameter"),
        ("ignore_eos", json!(true), "unsupported_parameter"),
        ("stop_token_ids", json!([5]), "unsupported_parameter"),
        ("bad_words", json!(["knife"]), "unsupported_parameter"),
        ("grammar", json!("root ::= [0-9]"), "unsupported_parameter"),
        ("guided_json", json!({"type": "object"}), "unknown_parameter"),
        ("structured_outputs", json!({"regex": "[0-9]+"}), "unknown_parameter"),
        ("chat_template", json!("{{x}}"), "unknown_parameter"),
        ("web_search_options", json!({}), "unknown_parameter"),
        ("prompt", json!("text"), "unknown_parameter"),
        ("history", json!([]), "unknown_parameter"),
        ("lane", json!("tenant a"), "unknown_parameter"),
        ("Tools", json!([]), "unknown_parameter"),
        ("x.user", json!("not the field `user`"), "unknown_parameter"),
        ("", json!(1), "unknown_parameter"),
    ] {
        let error = refused(field, value);
        assert_eq!((error.code, error.param.as_deref()), (code, Some(field)), "{error:?}");
    }
    for (field, value, param) in [
        ("stream_options", json!({"include_usge": true}), "stream_options.include_usge"),
        ("stream_options", json!({"continuous_usage_stats": true}), "stream_options.continuous_usage_stats"),
        ("inferenceguard", json!({"budget": 1}), "inferenceguard.budget"),
        ("inferenceguard", json!({"user": "u"}), "inferenceguard.user"),
    ] {
        assert_eq!(refused(field, value).param.as_deref(), Some(param));
    }
}

#[test]
fn what_asks_for_nothing_is_taken() {
    for (field, value) in [
        ("presence_penalty", json!(0)),
        ("presence_penalty", json!(0.0)),
        ("store", json!(true)),
        ("response_format", json!({"type": "text"})),
        ("logit_bias", json!({})),
        ("ignore_eos", json!(false)),
        ("min_tokens", json!(0)),
        ("skip_special_tokens", json!(true)),
        ("top_k", json!(-1)),
        ("parallel_tool_calls", json!(true)),
        ("stop", json!(vec!["a".repeat(256); 16])),
        ("stop", json!([])),
        ("stream_options", json!({})),
    ] {
        assert!(with(field, value).is_ok(), "{field}");
    }
}

#[test]
fn values_of_another_type_or_size_are_named() {
    for (field, value) in [
        ("n", json!("2")),
        ("n", json!(5)),
        ("n", json!(0)),
        ("max_tokens", json!(8.5)),
        ("max_tokens", json!(-1)),
        ("max_completion_tokens", json!("8")),
        ("seed", json!("1")),
        ("seed", json!(0.5)),
        ("temperature", json!("hot")),
        ("top_p", json!([])),
        ("top_k", json!(-2)),
        ("top_k", json!(1.5)),
        ("stream", json!("yes")),
        ("stream_options", json!(true)),
        ("stop", json!(5)),
        ("stop", json!(["a", 5])),
        ("stop", json!(vec!["a"; 17])),
        ("stop", json!("a".repeat(257))),
        ("logprobs", json!(1)),
        ("top_logprobs", json!(3)),
        ("inferenceguard", json!("base")),
    ] {
        let error = refused(field, value);
        assert_eq!(error.param.as_deref(), Some(field), "{error:?}");
    }
    for (value, param) in [
        (json!({"method": 5}), "inferenceguard.method"),
        (json!({"release": "at once"}), "inferenceguard.release"),
        (json!({"budgets": []}), "inferenceguard.budgets"),
        (json!({"budgets": {"harm": "2"}}), "inferenceguard.budgets.harm"),
    ] {
        assert_eq!(refused("inferenceguard", value).param.as_deref(), Some(param));
    }
}

#[test]
fn completions_take_one_text() {
    let ask = |value: Value| completion(fields(value), &defaults());
    let asked = ask(json!({"prompt": ["Hi"], "logprobs": 5})).unwrap();
    assert_eq!((asked.request.prompt.as_str(), asked.request.top_logprobs, asked.output.logprobs), ("Hi", 5, true));
    assert!(!ask(json!({"prompt": "Hi"})).unwrap().output.logprobs);
    for (body, param) in [
        (json!({}), "prompt"),
        (json!({"prompt": [5, 6]}), "prompt"),
        (json!({"prompt": ["a", "b"]}), "prompt"),
        (json!({"prompt": []}), "prompt"),
        (json!({"prompt": "Hi", "logprobs": 21}), "logprobs"),
        (json!({"prompt": "Hi", "logprobs": true}), "logprobs"),
        (json!({"prompt": "Hi", "top_logprobs": 1}), "top_logprobs"),
        (json!({"prompt": "Hi", "echo": true}), "echo"),
        (json!({"prompt": "Hi", "messages": []}), "messages"),
    ] {
        assert_eq!(ask(body).unwrap_err().param.as_deref(), Some(param));
    }
}
