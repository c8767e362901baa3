//! What gateways send: calls of the three routes, streams of events, chats that pass a proxy, and Envoy's messages.

use crate::{
    guests::{self, Running},
    request::{answered, check},
};
use axum::http::Method;
use inferenceguard_envoy::{ProcessingRequest, ProcessingResponse};
use inferenceguard_gateways::{
    chat::{ChatAnswer, ChatRequest},
    sse::{self, Decoder},
    stream::{ChatStream, StreamLimits},
};
use inferenceguard_server::{Face, ServerConfig};
use prost::Message;
use serde_json::Value;
use std::sync::LazyLock;

const ROUTES: [&str; 3] = ["/v1/judge", "/v1/moderations", "/beta/litellm_basic_guardrail_api"];
/// The most bytes of an event, and of the words of a stream.
const MOST: usize = 1 << 14;

static RUNNING: LazyLock<Running> = LazyLock::new(|| {
    let faces = [Face::Judge, Face::Litellm, Face::Moderations].into();
    let config = ServerConfig { faces, ..ServerConfig::new(guests::engine(), guests::bundle()) };
    Running::new(config)
});

/// The first byte chooses what the others are.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 7 {
        route @ 0..=2 => {
            let Running { runtime, clients, .. } = &*RUNNING;
            let (status, answer) = answered(runtime, clients, (&Method::POST, ROUTES[usize::from(route)]), rest);
            let text = String::from_utf8_lossy(&answer);
            // A deadline that is too short, or more ids than a client may have, is no fault of the server's.
            if !["deadline_exceeded", "too_many_prompts"].iter().any(|code| text.contains(code)) {
                check(status, &answer);
            }
        }
        3 => events(rest),
        4 => stream(rest),
        5 => chats(rest),
        _ => envoy(rest),
    }
}

/// Events are the same wherever their bytes are cut, and are read again as they were written.
fn events(bytes: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut decoder, mut events) = (Decoder::new(MOST), Vec::new());
        for piece in pieces {
            events.extend(decoder.push(piece)?);
        }
        events.extend(decoder.end()?);
        Ok::<_, inferenceguard_gateways::Problem>(events)
    };
    let (whole, cut) = (read(&mut std::iter::once(bytes)).ok(), read(&mut bytes.chunks(1)).ok());
    assert_eq!(whole, cut, "events depend on how their bytes are cut");
    // A carriage return at the end of a line belongs to the line's end.
    for event in whole.iter().flatten().filter(|event| !event.contains('\r')) {
        let again = Decoder::new(usize::MAX).push(sse::event(event).as_bytes());
        assert_eq!(again.ok(), Some(vec![event.clone()]), "an event is another one after it was written");
    }
}

/// Nothing with words leaves a stream before a verdict.
fn stream(bytes: &[u8]) {
    let limits = StreamLimits { step: 4, bytes: MOST, choices: 4 };
    let (mut stream, mut judged) = (ChatStream::new(limits), false);
    for piece in bytes.chunks(64) {
        if stream.push(piece).is_err() {
            return;
        }
        let due = stream.questions();
        if due.iter().all(|(_, text, _)| text.len() < 8) {
            judged |= !due.is_empty();
            due.iter().for_each(|(index, text, part)| stream.take_pass(*index, *part, text.chars().count()));
        }
        let released = stream.release();
        assert!(judged || !has_words(&released), "words leave before a verdict");
    }
    let _ = (stream.end(), stream.questions());
    let released = stream.release();
    assert!(judged || !has_words(&released), "words leave before a verdict");
}

/// Whether a choice of these events has content.
fn has_words(events: &[u8]) -> bool {
    let text = std::str::from_utf8(events).expect("events are text");
    let events = Decoder::new(usize::MAX).push(text.as_bytes()).expect("events that were released");
    events.iter().any(|event| {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let content = |choice: &Value| choice["delta"]["content"].as_str().is_some_and(|text| !text.is_empty());
        event["choices"].as_array().is_some_and(|choices| choices.iter().any(content))
    })
}

/// A chat that is taken is read again as it was written.
fn chats(bytes: &[u8]) {
    let _ = ChatRequest::parse(bytes);
    let Ok(answer) = ChatAnswer::parse(bytes) else { return };
    assert!(ChatAnswer::parse(&answer.bytes()).is_ok(), "an answer is no answer after it was written");
}

/// A message that is taken is read again as it was written.
fn envoy(bytes: &[u8]) {
    if let Ok(message) = ProcessingRequest::decode(bytes) {
        let again = ProcessingRequest::decode(message.encode_to_vec().as_slice());
        assert_eq!(again.ok(), Some(message));
    }
    if let Ok(message) = ProcessingResponse::decode(bytes) {
        let again = ProcessingResponse::decode(message.encode_to_vec().as_slice());
        assert_eq!(again.ok(), Some(message));
    }
}

/// Questions of each kind of gateway, a stream, a chat, and messages of an exchange.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 12] = [
        (0, r#"{"messages":[{"role":"user","content":"ask"}],"answer":"good bad","on_unsafe":"replace"}"#),
        (0, r#"{"messages":[{"role":"user","content":"ask"}],"answer":"good","part":"prefix","deadline_ms":5000}"#),
        (1, r#"{"model":"omni-moderation-latest","input":["good","bad plain"]}"#),
        (1, r#"{"input":[{"type":"text","text":"good"}]}"#),
        (
            2,
            r#"{"input_type":"request","texts":["ask"],"structured_messages":[{"role":"user","content":"ask"}],
                "litellm_call_id":"1","images":null,"tools":null,"tool_calls":null,"request_data":{}}"#,
        ),
        (
            2,
            r#"{"input_type":"response","texts":["good","bad"],"litellm_call_id":"1","images":null,"request_data":{},
                "additional_provider_specific_params":{"on_unsafe":"replace"},"litellm_version":"1.108.7"}"#,
        ),
        (3, ": a comment\nevent: x\nid: 1\ndata: {\"a\":1}\ndata: more\n\ndata: [DONE]\r\n\r\n"),
        (
            4,
            "data: {\"id\":\"c\",\"created\":1,\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\
             \"delta\":{\"role\":\"assistant\",\"content\":\"good \"},\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"index\":0,\
             \"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        ),
        (
            5,
            r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",
                "content":"good"},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
        ),
        (5, r#"{"model":"m","messages":[{"role":"user","content":"ask"}],"stream":true}"#),
        (5, r#"{"error":{"message":"no","type":"server_error","code":"x"}}"#),
        (2, "{}"),
    ];
    let messages =
        ["\n\u{c}\n\u{a}\n\u{8}\n\u{2}:a\u{12}\u{2}bc", "\u{1a}\u{6}\n\u{2}{}\u{10}\u{1}"].map(|text| (6, text));
    texts.into_iter().chain(messages).map(|(kind, text)| [&[kind], text.as_bytes()].concat()).collect()
}
