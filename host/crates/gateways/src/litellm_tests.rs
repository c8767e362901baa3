//! Calls of LiteLLM: what is read, what is refused, and what each verdict answers.

use crate::{
    Conversation, OnUnsafe, Part, Problem, Standing,
    litellm::{Call, Input, answer},
    verdict::tests::verdict,
};
use serde_json::{Value, json};

/// A call as LiteLLM 1.108.7 sends it.
fn call(kind: &str, texts: Value, messages: Value) -> Value {
    json!({
        "input_type": kind, "model": "m", "texts": texts, "structured_messages": messages, "images": null, "tools": null,
        "tool_calls": null, "litellm_call_id": "id-1", "litellm_trace_id": "id-2", "litellm_version": "1.108.7",
        "request_data": {"user_api_key_hash": "h"}, "request_headers": {"user-agent": "curl/7"},
        "additional_provider_specific_params": {"bundle": "household"},
    })
}

fn parse(body: &Value) -> Result<Call, Problem> {
    Call::parse(body.to_string().as_bytes(), 2)
}

fn turns() -> Value {
    json!([{"role": "system", "content": "sys"}, {"role": "user", "content": "hello"}])
}

#[test]
fn both_calls_of_a_request_are_read() {
    let request = parse(&call("request", json!(["sys", "hello"]), turns())).unwrap();
    let Input::Request(Ok(conversation)) = &request.input else { panic!("{request:?}") };
    assert_eq!((conversation.prompt.as_str(), conversation.history.len()), ("hello", 1));
    assert_eq!((request.id.as_deref(), request.bundle.as_deref()), (Some("id-1"), Some("household")));
    let response = parse(&call("response", json!(["one", "two"]), Value::Null)).unwrap();
    let Input::Response(Ok(texts)) = &response.input else { panic!("{response:?}") };
    let questions = response.questions(texts, Some(conversation));
    assert!(questions.iter().all(|one| one.part == Part::Answer && one.conversation.is_some()), "{questions:?}");
    assert_eq!(questions[1].text, "two");
    let screen = response.screen("hello");
    assert_eq!((screen.part, screen.conversation), (Part::Prompt, None));
}

#[test]
fn one_text_without_turns_is_the_prompt() {
    let input = |texts| parse(&call("request", texts, Value::Null)).unwrap().input;
    assert_eq!(input(json!(["hello"])), Input::Request(Ok(Conversation::of("hello"))));
    for texts in [json!([]), json!(["a", "b"]), Value::Null] {
        assert!(matches!(input(texts.clone()), Input::Request(Err(_))), "{texts}");
    }
}

#[test]
fn content_that_is_no_text_cannot_be_judged() {
    for (field, value) in [
        ("images", json!(["data:image/png;base64,x"])),
        ("tool_calls", json!([{"id": "1", "function": {"name": "f", "arguments": "{}"}}])),
        ("structured_messages", json!([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])),
        ("structured_messages", json!([{"role": "user", "content": "x"}, {"role": "tool", "content": "y"}])),
        ("structured_messages", json!([{"role": "assistant", "content": "x"}])),
        ("structured_messages", json!("x")),
    ] {
        let mut body = call("request", json!(["hello"]), turns());
        body[field] = value.clone();
        assert!(matches!(parse(&body).unwrap().input, Input::Request(Err(_))), "{field}: {value}");
    }
    for texts in [json!([]), Value::Null, json!(["a", "b", "c"])] {
        assert!(matches!(parse(&call("response", texts, Value::Null)).unwrap().input, Input::Response(Err(_))));
    }
}

#[test]
fn wrong_and_unknown_fields_are_named() {
    let with = |field: &str, value: Value| {
        let mut body = call("response", json!(["a"]), Value::Null);
        body[field] = value;
        body
    };
    let params = "additional_provider_specific_params";
    for (body, param) in [
        (with("input_type", json!("both")), "input_type"),
        (with("input_type", Value::Null), "input_type"),
        (with("texts", json!("a")), "texts"),
        (with("texts", json!([1])), "texts"),
        (with("litellm_call_id", json!("")), "litellm_call_id"),
        (with("litellm_call_id", json!("x".repeat(257))), "litellm_call_id"),
        (with("litellm_call_id", json!(7)), "litellm_call_id"),
        (with(params, json!({"threshold": 0.5})), "additional_provider_specific_params.threshold"),
        (with(params, json!({"on_unsafe": "pass"})), "additional_provider_specific_params.on_unsafe"),
        (with(params, json!("x")), params),
        (with("audio", json!(["data"])), "audio"),
        (with("streaming", json!(false)), "streaming"),
    ] {
        assert_eq!(parse(&body).unwrap_err().param.as_deref(), Some(param), "{body}");
    }
    assert!(parse(&with("audio", json!([]))).is_ok(), "an empty field asks for nothing");
    assert_eq!(Call::parse(b"{", 2).unwrap_err().code, "invalid_json");
}

#[test]
fn each_decision_has_its_action() {
    let texts = ["a good wor".to_owned(), "bad".to_owned()];
    let of = |first, second| [verdict(first, 0.0), verdict(second, 9.0)];
    let passed = answer(&texts, &of(Standing::Within, Standing::Within), OnUnsafe::Replace);
    assert_eq!((&passed["action"], &passed["stream_holdback_chars"]), (&json!("NONE"), &json!([3, 3])));
    for standing in [Standing::Exceeded, Standing::Failed, Standing::Unjudged] {
        let blocked = answer(&texts, &of(Standing::Within, standing), OnUnsafe::Block);
        assert_eq!((&blocked["action"], &blocked["blocked_reason"]), (&json!("BLOCKED"), &json!("No.")));
        assert_eq!(blocked["texts"], Value::Null, "nothing of the answer goes back");
        let replaced = answer(&texts, &of(Standing::Within, standing), OnUnsafe::Replace);
        assert_eq!(replaced["action"], "GUARDRAIL_INTERVENED");
        assert_eq!(replaced["texts"], json!(["a good wor", "No."]));
        assert_eq!(replaced["inferenceguard"][1]["status"], standing.name());
    }
}
