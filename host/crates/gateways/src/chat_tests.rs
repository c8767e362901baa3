//! Whole chats of a proxy: what is read of a request, and which words of an answer are judged.

use crate::{
    Conversation, Problem,
    chat::{ChatAnswer, ChatRequest, is_error},
};
use serde_json::{Value, json};

fn answer(choices: &Value) -> Result<ChatAnswer, Problem> {
    ChatAnswer::parse(json!({"id": "1", "choices": choices, "usage": {}}).to_string().as_bytes())
}

fn choice(index: u64, content: &str) -> Value {
    json!({"index": index, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", "logprobs": null})
}

#[test]
fn a_request_is_read_for_its_turns_only() {
    let body = json!({"messages": [{"role": "user", "content": "hi"}], "stream": true, "tools": [{"type": "function"}], "n": 2});
    let read = ChatRequest::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!((read.conversation, read.streams), (Conversation::of("hi"), true));
    for (body, param) in [
        (json!({}), Some("messages")),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
            Some("messages[0].content[0].type"),
        ),
        (json!({"messages": [{"role": "user", "content": "hi"}], "stream": "yes"}), Some("stream")),
        (json!([]), None),
    ] {
        assert_eq!(ChatRequest::parse(body.to_string().as_bytes()).unwrap_err().param.as_deref(), param, "{body}");
    }
    let twice = br#"{"messages": [{"role": "user", "content": "a"}], "messages": [{"role": "user", "content": "b"}]}"#;
    assert_eq!(ChatRequest::parse(twice).unwrap_err().code, "duplicate_parameter");
}

#[test]
fn every_word_of_an_answer_is_judged() {
    assert_eq!(answer(&json!([choice(0, "a"), choice(1, "b")])).unwrap().texts, ["a", "b"]);
    let with = |field: &str, value: Value| {
        let mut one = choice(0, "a");
        one["message"][field] = value;
        json!([one])
    };
    assert_eq!(answer(&with("refusal", json!("No."))).unwrap().texts, ["aNo."]);
    assert_eq!(answer(&with("content", Value::Null)).unwrap().texts, [""]);
    for (choices, param) in [
        (with("content", json!(["a"])), "choices[0].message.content"),
        (with("tool_calls", json!([{"id": "1"}])), "choices[0].message.tool_calls"),
        (with("reasoning_content", json!("hm")), "choices[0].message.reasoning_content"),
        (with("audio", json!({"data": "x"})), "choices[0].message.audio"),
        (json!([{"index": 0, "text": "a"}]), "choices[0].message"),
        (json!([{"message": {"content": "a"}}]), "choices[0].index"),
        (json!([{"index": 0, "message": {"content": "a"}, "text": "b"}]), "choices[0].text"),
        (json!("a"), "choices"),
        (Value::Null, "choices"),
    ] {
        assert_eq!(answer(&choices).unwrap_err().param.as_deref(), Some(param), "{choices}");
    }
    let twice = br#"{"choices": [{"index": 0, "message": {"content": "good", "content": "bad"}}]}"#;
    assert_eq!(ChatAnswer::parse(twice).unwrap_err().code, "duplicate_parameter");
}

#[test]
fn a_choice_with_words_outside_its_message_is_refused() {
    for (field, value) in [
        ("logprobs", json!({"content": [{"token": "bad"}]})),
        ("token_ids", json!([7])),
        ("prompt_token_ids", json!([7])),
        ("hidden_states", json!([0.5])),
    ] {
        for (value, fine) in [(value, false), (Value::Null, true)] {
            let mut one = choice(0, "good");
            one[field] = value;
            let read = answer(&json!([one])).map_err(|problem| (problem.code, problem.param));
            let refused = ("unknown_parameter", Some(format!("choices[0].{field}")));
            assert_eq!(read.err(), (!fine).then_some(refused), "{field}");
        }
    }
}

#[test]
fn an_answer_with_words_outside_its_choices_is_refused() {
    let with = |field: &str, value: Value| {
        let mut body = json!({"id": "1", "object": "chat.completion", "created": 1, "choices": [choice(0, "good")]});
        body[field] = value;
        ChatAnswer::parse(body.to_string().as_bytes()).map(|read| read.texts).map_err(|problem| problem.param)
    };
    for (field, value) in [
        ("prompt_logprobs", json!([{"7": {"decoded_token": "bad"}}])),
        ("__verbose", json!({"content": "bad"})),
        ("prompt_token_ids", json!([7])),
        ("error", json!({"message": "bad"})),
        ("output", json!("bad")),
        ("usage", json!({"total_tokens": "bad"})),
        ("timings", json!({"predicted": [{"text": "bad"}]})),
        ("created", json!("bad")),
    ] {
        assert_eq!(with(field, value), Err(Some(field.to_owned())));
    }
    for (field, value) in [
        ("prompt_logprobs", Value::Null),
        ("kv_transfer_params", Value::Null),
        ("usage", json!({"total_tokens": 3, "prompt_tokens_details": null, "is_byok": false, "cost": 0.5})),
        ("timings", json!({"predicted_ms": 1.5})),
        ("system_fingerprint", json!("b1")),
        ("service_tier", json!("default")),
    ] {
        assert_eq!(with(field, value), Ok(vec!["good".to_owned()]), "{field}");
    }
}

#[test]
fn errors_repeat_nothing_of_an_answer() {
    let words = "forbidden";
    let of = |message: Value| json!({"choices": [{"index": 0, "message": message}]}).to_string();
    let bare = json!({"choices": [{"index": words, "message": {}}]}).to_string();
    let arguments = format!(r#"{{"function": {{"arguments": {{"{words}": 1, "{words}": 2}}}}}}"#);
    for body in [
        of(json!({"content": [{"type": "text", "text": words}]})),
        of(json!({"content": null, "tool_calls": [{"function": {"arguments": words}}]})),
        of(json!({"reasoning_content": words})),
        of(json!({"role": {"a": words}})),
        of(json!(words)),
        bare,
        json!({"choices": words}).to_string(),
        json!(words).to_string(),
        format!("{words} {{"),
        format!(r#"{{"choices": [{{"index": 0, "message": {{"tool_calls": [{arguments}]}}}}]}}"#),
    ] {
        let problem = ChatAnswer::parse(body.as_bytes()).unwrap_err();
        assert!(!format!("{problem:?}").contains(words) && !problem.message.is_empty(), "{body}: {problem:?}");
    }
}

#[test]
fn nothing_of_a_replaced_choice_stays() {
    let mut unsafe_one = choice(1, "bad");
    unsafe_one["stop_reason"] = json!("bad");
    let mut read = answer(&json!([choice(0, "good"), unsafe_one])).unwrap();
    read.replace(1, "No.");
    let text = String::from_utf8(read.bytes()).unwrap();
    assert!(!text.contains("bad") && !text.contains("stop_reason") && text.contains("good"), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["choices"][1]["message"]["content"], "No.");
    assert_eq!(
        (&body["choices"][1]["finish_reason"], &body["choices"][1]["index"]),
        (&json!("content_filter"), &json!(1))
    );
}

#[test]
fn an_error_is_nothing_but_an_error() {
    for (body, is) in [
        (json!({"error": {"message": "no"}}), true),
        (json!({"error": {"message": "no"}, "choices": []}), false),
        (json!({"choices": []}), false),
        (json!("no"), false),
    ] {
        assert_eq!(is_error(body.to_string().as_bytes()), is, "{body}");
    }
    assert!(!is_error(b"no healthy upstream"));
}
