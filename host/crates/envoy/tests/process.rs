//! Whole exchanges through a real gRPC client, as Envoy has them.

mod common;

use common::{Scripted, Stream, answer, blocked, body, chat, delta, headers, message, open, parts, piece, with_modes};
use inferenceguard_envoy::{HttpHeaders, HttpTrailers, Incoming, Outgoing};
use inferenceguard_gateways::{OnUnsafe, Part};
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering};
use tonic::Code;

fn judge() -> Arc<Scripted> {
    Arc::default()
}

fn replacing() -> Arc<Scripted> {
    Arc::new(Scripted { on_unsafe: OnUnsafe::Replace, ..Scripted::default() })
}

async fn asked(judge: &Arc<Scripted>) -> Stream {
    let mut stream = open(judge, None).await.unwrap();
    stream.ask(&chat("hi")).await;
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_safe_answer_passes_unchanged_and_is_judged_with_its_prompt() {
    let judge = judge();
    let mut stream = asked(&judge).await;
    let Outgoing::ResponseHeaders(part) = stream.begin("200", "application/json; charset=utf-8").await else {
        panic!()
    };
    let mutation = part.response.unwrap().header_mutation.unwrap();
    assert_eq!(mutation.remove_headers, ["content-length"], "its length may change");
    assert_eq!(body(&stream.response(&answer("good"), true).await), None);
    let asked = judge.asked.lock().unwrap();
    let [question] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((question.text.as_str(), question.part), ("good", Part::Answer));
    assert_eq!(question.conversation.as_ref().unwrap().prompt, "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verdict_has_its_response() {
    for (text, status, code) in [("bad", 403, "blocked"), ("broken", 403, "blocked"), ("down", 503, "overloaded")] {
        let mut stream = asked(&judge()).await;
        stream.begin("200", "application/json").await;
        assert_eq!(blocked(&stream.response(&answer(text), true).await), (status, code.to_owned()), "{text}");
    }
    for text in ["bad", "broken"] {
        let mut stream = asked(&replacing()).await;
        stream.begin("200", "application/json").await;
        let sent: Value = serde_json::from_str(&body(&stream.response(&answer(text), true).await).unwrap()).unwrap();
        assert_eq!(sent["choices"][0]["message"]["content"], "No by 0.", "{sent}");
        assert_eq!(sent["choices"][0]["finish_reason"], "content_filter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_without_a_verdict_is_no_refusal_even_where_text_is_replaced() {
    let mut stream = asked(&replacing()).await;
    stream.begin("200", "application/json").await;
    assert_eq!(blocked(&stream.response(&answer("down"), true).await), (503, "overloaded".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_pieces_is_held_until_its_end() {
    let mut stream = asked(&judge()).await;
    stream.begin("200", "application/json").await;
    let whole = answer("good");
    let (first, second) = whole.split_at(20);
    assert_eq!(body(&stream.response(first, false).await).as_deref(), Some(""));
    assert_eq!(body(&stream.response(second, true).await).unwrap().as_bytes(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_leaves_as_it_is_judged() {
    let judge = judge();
    let mut stream = asked(&judge).await;
    stream.begin("200", "text/event-stream").await;
    assert_eq!(
        body(&stream.response(delta("one two ", None).as_bytes(), false).await).unwrap(),
        delta("one two ", None)
    );
    assert_eq!(body(&stream.response(delta("thr", None).as_bytes(), false).await).as_deref(), Some(""), "held");
    let rest = delta("ee", Some("stop")) + "data: [DONE]\n\n";
    let sent = body(&stream.response(rest.as_bytes(), true).await).unwrap();
    assert_eq!(sent, delta("thr", None) + &rest);
    let parts = parts(&judge);
    assert_eq!(parts, [(Part::Prefix, "one two ".into()), (Part::Answer, "one two three".into())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_stream_ends_before_its_unsafe_words_and_swallows_the_rest() {
    for (judge, words, shown) in [
        (judge(), "bad word ", "\"code\":\"blocked\""),
        (replacing(), "bad word ", "No by 0."),
        (replacing(), "broken word ", "No by 0."),
        (replacing(), "down word ", "\"code\":\"overloaded\""),
    ] {
        let mut stream = asked(&judge).await;
        stream.begin("200", "text/event-stream").await;
        let begun = body(&stream.response(delta("good word ", None).as_bytes(), false).await).unwrap();
        assert!(begun.contains("good word"), "{begun}");
        let ending = body(&stream.response(delta(words, None).as_bytes(), false).await).unwrap();
        assert!(ending.contains(shown) && !ending.contains(words), "{ending}");
        assert!(ending.ends_with("data: [DONE]\n\n"), "{ending}");
        let more = stream.response(delta("more", None).as_bytes(), false).await;
        assert_eq!(body(&more).as_deref(), Some(""), "nothing follows the end");
        assert_eq!(body(&stream.response(b"", true).await).as_deref(), Some(""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bundle_between_two_exchanges_is_visible() {
    let judge = replacing();
    for generation in [1, 2] {
        judge.generation.store(generation, Ordering::SeqCst);
        let mut stream = asked(&judge).await;
        stream.begin("200", "application/json").await;
        let sent = body(&stream.response(&answer("bad"), true).await).unwrap();
        assert!(sent.contains(&format!("No by {generation}.")), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_are_screened_if_the_operator_wants_it() {
    for (text, expected) in [("bad", (403, "blocked")), ("broken", (403, "blocked")), ("down", (503, "overloaded"))] {
        let judge = Arc::new(Scripted { screens: true, ..Scripted::default() });
        let mut stream = open(&judge, None).await.unwrap();
        stream.part(Incoming::RequestHeaders(common::request_headers("/v1/chat/completions"))).await.unwrap();
        let body = chat(text).to_string();
        let reply = stream.part(Incoming::RequestBody(piece(body.as_bytes(), true))).await.unwrap();
        assert_eq!(blocked(&reply), (expected.0, expected.1.to_owned()), "{text}");
        assert_eq!(parts(&judge), [(Part::Prompt, text.to_owned())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_of_a_request_is_blocked() {
    let large = chat(&"x".repeat(3000)).to_string();
    for (bytes, last, status, code) in [
        ("{", true, 400, "invalid_json"),
        ("[]", true, 400, "invalid_json"),
        (r#"{"messages": [], "messages": []}"#, true, 400, "duplicate_parameter"),
        (r#"{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}"#, true, 400, "invalid_value"),
        (r#"{"prompt": "hi"}"#, true, 400, "missing_required_parameter"),
        ("{", false, 500, "gateway_misconfigured"),
        (&*large, true, 413, "invalid_body"),
    ] {
        let mut stream = open(&judge(), None).await.unwrap();
        stream.part(Incoming::RequestHeaders(common::request_headers("/v1/chat/completions?x=1"))).await.unwrap();
        let reply = stream.part(Incoming::RequestBody(piece(bytes.as_bytes(), last))).await.unwrap();
        assert_eq!(blocked(&reply), (status, code.to_owned()), "{bytes:.60}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_named_paths_go_on() {
    let post = |path: &str| common::request_headers(path);
    let empty = HttpHeaders { end_of_stream: true, ..post("/v1/chat/completions") };
    for (headers, status, code) in [
        (post("/v1/completions"), 404, "unguarded_path"),
        (post("/v1/chat/completions/"), 404, "unguarded_path"),
        (post("//v1/chat/completions"), 404, "unguarded_path"),
        (post("/v1/chat%2Fcompletions"), 404, "unguarded_path"),
        (headers(&[(":method", "POST")]), 404, "unguarded_path"),
        (headers(&[(":method", "POST"), (":path", "/v1/models"), (":path", "/x")]), 404, "unguarded_path"),
        (headers(&[(":method", "GET"), (":path", "/v1/chat/completions")]), 405, "method_not_allowed"),
        (empty, 400, "invalid_json"),
        (
            headers(&[(":method", "POST"), (":path", "/v1/chat/completions"), ("content-encoding", "gzip")]),
            415,
            "unsupported_encoding",
        ),
    ] {
        let mut stream = open(&judge(), None).await.unwrap();
        let reply = stream.part(Incoming::RequestHeaders(headers.clone())).await.unwrap();
        assert_eq!(blocked(&reply), (status, code.to_owned()), "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_path_is_let_through_unjudged() {
    let judge = judge();
    let mut stream = open(&judge, None).await.unwrap();
    let reply = stream.send(with_modes("/v1/models?limit=1", 0, 0)).await.unwrap();
    assert!(matches!(reply, Outgoing::RequestHeaders(_)), "{reply:?}");
    assert!(matches!(stream.begin("200", "text/html").await, Outgoing::ResponseHeaders(_)));
    assert_eq!(body(&stream.response(b"bad", true).await), None);
    assert!(parts(&judge).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_that_hide_bodies_are_refused() {
    for (request, response, blocks) in
        [(2, 2, false), (2, 1, false), (0, 2, true), (1, 2, true), (2, 0, true), (2, 3, true), (2, 4, true)]
    {
        let mut stream = open(&judge(), None).await.unwrap();
        let reply = stream.send(with_modes("/v1/chat/completions", request, response)).await.unwrap();
        if blocks {
            assert_eq!(blocked(&reply), (500, "gateway_misconfigured".to_owned()), "{request} {response}");
        } else {
            assert!(matches!(reply, Outgoing::RequestHeaders(_)), "{request} {response}: {reply:?}");
        }
    }
    let mut stream = open(&judge(), None).await.unwrap();
    let mut silent = message(Incoming::RequestHeaders(common::request_headers("/v1/chat/completions")));
    silent.protocol_config = None;
    assert_eq!(blocked(&stream.send(silent).await.unwrap()), (500, "gateway_misconfigured".to_owned()), "no modes");
    let mut stream = open(&judge(), None).await.unwrap();
    let mut watching = message(Incoming::RequestHeaders(common::request_headers("/v1/chat/completions")));
    watching.observability_mode = true;
    assert_eq!(stream.send(watching).await.unwrap_err().code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_understood_of_a_response_is_blocked() {
    for (status, kind, expected) in [
        ("200", "text/plain", (502, "unsupported_content")),
        ("200", "", (502, "unsupported_content")),
        ("503", "text/plain", (503, "unsupported_content")),
        ("500", "text/event-stream", (500, "unsupported_content")),
    ] {
        let mut stream = asked(&judge()).await;
        assert_eq!(blocked(&stream.begin(status, kind).await), (expected.0, expected.1.to_owned()), "{status} {kind}");
    }
    let mut stream = asked(&judge()).await;
    let packed = headers(&[(":status", "200"), ("content-type", "application/json"), ("content-encoding", "br")]);
    let reply = stream.part(Incoming::ResponseHeaders(packed)).await.unwrap();
    assert_eq!(blocked(&reply), (502, "unsupported_encoding".to_owned()));
    let calls =
        json!({"choices": [{"index": 0, "message": {"content": null, "tool_calls": [{"id": "1"}]}}]}).to_string();
    let large = answer(&"x".repeat(3000));
    for (bytes, expected) in [
        (b"no json".to_vec(), (502, "invalid_json")),
        (br#"{"output": "bad"}"#.to_vec(), (502, "missing_required_parameter")),
        (br#"{"error": {"message": "bad"}}"#.to_vec(), (502, "missing_required_parameter")),
        (calls.into_bytes(), (502, "unsupported_parameter")),
        (large, (502, "answer_too_large")),
        (with_field("prompt_logprobs", json!([{"7": {"decoded_token": "bad"}}])), (502, "unknown_parameter")),
        (with_field("choices", json!([{"index": 0, "message": {"content": ["bad"]}}])), (502, "invalid_type")),
    ] {
        let mut stream = asked(&judge()).await;
        stream.begin("200", "application/json").await;
        let reply = stream.response(&bytes, true).await;
        assert_eq!(blocked(&reply), (expected.0, expected.1.to_owned()), "{:.60}", String::from_utf8_lossy(&bytes));
        let Outgoing::ImmediateResponse(sent) = reply else { panic!() };
        assert!(!String::from_utf8(sent.body).unwrap().contains("bad"), "nothing of the answer is repeated");
    }
}

/// A safe answer with another value of a field.
fn with_field(name: &str, value: Value) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(&answer("good")).unwrap();
    body[name] = value;
    body.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_words_outside_its_text_ends_the_stream() {
    for extra in [r#""logprobs":{"content":[{"token":"bad"}]}"#, r#""token_ids":[7]"#] {
        let mut stream = asked(&judge()).await;
        stream.begin("200", "text/event-stream").await;
        let event = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"\"}},{extra}}}]}}\n\n");
        let sent = body(&stream.response(event.as_bytes(), false).await).unwrap();
        assert!(sent.contains("unknown_parameter") && !sent.contains("bad") && !sent.contains('7'), "{sent}");
        assert!(sent.ends_with("data: [DONE]\n\n"), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_server_behind_passes_if_it_is_nothing_else() {
    for (bytes, passes) in [(r#"{"error": {"message": "no"}}"#, true), (r#"{"error": {}, "choices": "bad"}"#, false)] {
        let mut stream = asked(&judge()).await;
        stream.begin("400", "application/json").await;
        let reply = stream.response(bytes.as_bytes(), true).await;
        assert_eq!(matches!(reply, Outgoing::ResponseBody(_)), passes, "{bytes}: {reply:?}");
        if !passes {
            assert_eq!(blocked(&reply).0, 400, "its own status stays");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_out_of_order_end_the_exchange() {
    let body = || Incoming::ResponseBody(piece(b"bad", true));
    let begin = || Incoming::ResponseHeaders(common::response_headers("200", "application/json"));
    for parts in [vec![begin()], vec![body()], vec![Incoming::RequestBody(piece(b"{}", true))]] {
        let mut stream = open(&judge(), None).await.unwrap();
        for part in parts {
            assert_eq!(stream.part(part).await.unwrap_err().code(), Code::FailedPrecondition);
        }
    }
    let mut stream = asked(&judge()).await;
    assert_eq!(stream.part(body()).await.unwrap_err().code(), Code::FailedPrecondition, "before its headers");
    let mut stream = asked(&judge()).await;
    stream.begin("200", "application/json").await;
    stream.response(b"{", false).await;
    let trailers = Incoming::ResponseTrailers(HttpTrailers::default());
    assert_eq!(stream.part(trailers).await.unwrap_err().code(), Code::FailedPrecondition, "text is held back");
    let mut stream = open(&judge(), None).await.unwrap();
    let nothing = inferenceguard_envoy::ProcessingRequest::default();
    assert_eq!(stream.send(nothing).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_body_never_came_is_no_chat() {
    for (status, expected) in [("200", (500, "gateway_misconfigured")), ("413", (413, "request_failed"))] {
        let mut stream = open(&judge(), None).await.unwrap();
        stream.part(Incoming::RequestHeaders(common::request_headers("/v1/chat/completions"))).await.unwrap();
        let reply = stream.begin(status, "text/plain").await;
        assert_eq!(blocked(&reply), (expected.0, expected.1.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_needs_a_key_where_clients_do() {
    let judge = Arc::new(Scripted { key: Some("secret"), ..Scripted::default() });
    for (key, known) in [(None, false), (Some("other"), false), (Some("secret"), true)] {
        let opened = match open(&judge, key).await {
            Err(status) => Err(status),
            Ok(mut stream) => stream.send(with_modes("/v1/models", 2, 2)).await,
        };
        assert_eq!(
            opened.as_ref().map_err(tonic::Status::code).err(),
            (!known).then_some(Code::Unauthenticated),
            "{key:?}"
        );
    }
}
