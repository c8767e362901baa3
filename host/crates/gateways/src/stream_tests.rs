//! Streams of a proxied chat: when events leave, and what ends a stream.

use crate::{
    OnUnsafe, Part, certain,
    sse::{self, DONE, Decoder},
    stream::{ChatStream, StreamLimits},
};
use serde_json::{Value, json};

const LIMITS: StreamLimits = StreamLimits { step: 5, bytes: 1000, choices: 2 };

fn delta(index: u64, text: &str, finish: Option<&str>) -> String {
    let choice = json!({"index": index, "delta": {"content": text}, "finish_reason": finish, "logprobs": null});
    sse::event(&json!({"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}).to_string())
}

/// Passes everything that is due, as a judge that likes everything.
fn pass(stream: &mut ChatStream) -> Vec<(u64, String, Part)> {
    let asked = stream.questions();
    for (index, text, part) in &asked {
        let judged = if *part == Part::Prefix { certain(text) } else { text };
        stream.take_pass(*index, *part, judged.chars().count());
    }
    asked
}

/// The words that went out.
fn words(bytes: &[u8]) -> String {
    let events = Decoder::new(10_000).push(bytes).unwrap();
    let event = |data: &String| serde_json::from_str::<Value>(data).unwrap_or_default();
    events
        .iter()
        .map(event)
        .map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn words_leave_after_they_were_judged_and_a_word_in_the_making_waits() {
    let mut stream = ChatStream::new(LIMITS);
    stream.push(delta(0, "", None).as_bytes()).unwrap();
    assert!(stream.questions().is_empty());
    assert_eq!(words(&stream.release()), "", "the event without words leaves at once");
    assert!(stream.is_empty());
    stream.push(delta(0, "one ", None).as_bytes()).unwrap();
    assert!(stream.questions().is_empty() && stream.release().is_empty(), "too little to ask");
    stream.push((delta(0, "two ", None) + &delta(0, "thr", None)).as_bytes()).unwrap();
    assert!(stream.release().is_empty(), "not before the verdict");
    assert_eq!(pass(&mut stream), [(0, "one two thr".to_owned(), Part::Prefix)]);
    assert_eq!(words(&stream.release()), "one two ");
    stream.push((delta(0, "ee", Some("stop")) + &sse::event(DONE)).as_bytes()).unwrap();
    assert_eq!(pass(&mut stream), [(0, "one two three".to_owned(), Part::Answer)]);
    let rest = stream.release();
    assert_eq!(words(&rest), "three");
    assert!(String::from_utf8(rest).unwrap().ends_with("data: [DONE]\n\n") && stream.is_empty());
    assert!(stream.questions().is_empty(), "nothing is asked twice");
}

#[test]
fn wherever_the_bytes_are_cut_the_same_words_leave() {
    let whole = delta(0, "one two ", None) + &delta(0, "drei", None) + &delta(0, "", Some("stop")) + &sse::event(DONE);
    for size in 1..whole.len() {
        let (mut stream, mut out) = (ChatStream::new(LIMITS), Vec::new());
        for piece in whole.as_bytes().chunks(size) {
            stream.push(piece).unwrap();
            pass(&mut stream);
            out.extend(stream.release());
        }
        stream.end().unwrap();
        pass(&mut stream);
        out.extend(stream.release());
        assert_eq!((words(&out).as_str(), stream.is_empty()), ("one two drei", true), "{size}");
    }
}

#[test]
fn a_stream_without_an_end_is_judged_whole_when_its_body_ends() {
    let mut stream = ChatStream::new(LIMITS);
    stream.push((delta(0, "on", None) + "data: " + r#"{"choices": []}"#).as_bytes()).unwrap();
    assert!(stream.questions().is_empty() && stream.release().is_empty());
    stream.end().unwrap();
    assert_eq!(pass(&mut stream), [(0, "on".to_owned(), Part::Answer)]);
    assert_eq!(words(&stream.release()), "on");
    assert!(stream.is_empty(), "the event without choices as well");
}

#[test]
fn choices_are_judged_apart_and_events_stay_in_order() {
    let mut stream = ChatStream::new(LIMITS);
    stream.push((delta(0, "a b c d", Some("stop")) + &delta(1, "x y z w", None)).as_bytes()).unwrap();
    let asked = stream.questions();
    assert_eq!(
        asked.iter().map(|(index, _, part)| (*index, *part)).collect::<Vec<_>>(),
        [(0, Part::Answer), (1, Part::Prefix)]
    );
    stream.take_pass(1, Part::Prefix, 7);
    assert!(stream.release().is_empty(), "choice 0 came first");
    stream.take_pass(0, Part::Answer, 7);
    assert_eq!(words(&stream.release()), "a b c dx y z w");
}

#[test]
fn the_end_waits_for_the_whole_answer() {
    let mut stream = ChatStream::new(LIMITS);
    stream.push((delta(0, "one two three ", None) + &delta(0, "", Some("stop"))).as_bytes()).unwrap();
    stream.take_pass(0, Part::Prefix, 14);
    assert_eq!(words(&stream.release()), "one two three ");
    assert!(!stream.is_empty(), "the end of the choice");
}

#[test]
fn what_is_not_understood_is_an_error() {
    let over = "x".repeat(2000);
    let good = json!({"index": 0, "delta": {"content": "a"}});
    for (body, code) in [
        (sse::event("not json"), "invalid_json"),
        (sse::event(r#"{"error": {"message": "no"}}"#), "invalid_event"),
        (sse::event(r#"{"choices": [{"delta": {"content": "a"}}]}"#), "missing_required_parameter"),
        (sse::event(r#"{"choices": [{"index": 0, "delta": {"tool_calls": [{}]}}]}"#), "unsupported_parameter"),
        (
            sse::event(r#"{"choices": [{"index": 0, "delta": {"content": "a", "content": "b"}}]}"#),
            "duplicate_parameter",
        ),
        (
            sse::event(&json!({"choices": [good]}).to_string()) + &sse::event(DONE) + &delta(0, "b", None),
            "invalid_event",
        ),
        (delta(0, "a", Some("stop")) + &delta(0, "b", None), "invalid_event"),
        (delta(0, "a", None) + &delta(1, "b", None) + &delta(2, "c", None), "too_many_choices"),
        (delta(0, &over, None), "event_too_large"),
        (delta(0, &over[..600], None) + &delta(0, &over[..600], None), "answer_too_large"),
    ] {
        assert_eq!(ChatStream::new(LIMITS).push(body.as_bytes()).unwrap_err().code, code, "{body}");
    }
}

#[test]
fn an_event_with_words_outside_its_text_does_not_leave() {
    let empty = json!({"index": 0, "delta": {"content": ""}});
    let mut with_logprobs = empty.clone();
    with_logprobs["logprobs"] = json!({"content": [{"token": "bad"}]});
    let mut with_ids = empty.clone();
    with_ids["token_ids"] = json!([7]);
    for event in [
        json!({"choices": [with_logprobs]}),
        json!({"choices": [with_ids]}),
        json!({"choices": [empty], "prompt_token_ids": [7]}),
        json!({"choices": [empty], "prompt_logprobs": ["bad"]}),
        json!({"choices": [], "__verbose": {"content": "bad"}}),
        json!({"choices": [], "usage": {"text": "bad"}}),
    ] {
        let mut stream = ChatStream::new(LIMITS);
        let problem = stream.push(sse::event(&event.to_string()).as_bytes()).unwrap_err();
        assert!(matches!(problem.code, "unknown_parameter" | "unsupported_parameter"), "{event}: {problem:?}");
        assert!(stream.release().is_empty() && !problem.message.contains("bad"), "{event}: {problem:?}");
    }
}

#[test]
fn padding_of_events_does_not_leave() {
    let event = json!({"id": "1", "choices": [], "usage": {"total_tokens": 3}, "obfuscation": "bad"});
    let mut stream = ChatStream::new(LIMITS);
    stream.push(sse::event(&event.to_string()).as_bytes()).unwrap();
    let sent = String::from_utf8(stream.release()).unwrap();
    assert!(sent.contains("total_tokens") && !sent.contains("bad"), "{sent}");
}

#[test]
fn errors_repeat_nothing_of_an_event() {
    for body in [r#"{"choices": [{"index": 0, "delta": {"content": ["forbidden"]}}]}"#, r#""forbidden""#, "forbidden"] {
        let problem = ChatStream::new(LIMITS).push(sse::event(body).as_bytes()).unwrap_err();
        assert!(!format!("{problem:?}").contains("forbidden"), "{problem:?}");
        let mut unended = ChatStream::new(LIMITS);
        unended.push(format!("data: {body}").as_bytes()).unwrap();
        assert!(!format!("{:?}", unended.end().unwrap_err()).contains("forbidden"), "{body}");
    }
}

#[test]
fn an_ending_refuses_every_open_choice() {
    let mut stream = ChatStream::new(LIMITS);
    stream.push((delta(0, "fine", Some("stop")) + &delta(1, "bad", None)).as_bytes()).unwrap();
    stream.take_pass(0, Part::Answer, 4);
    let replaced = String::from_utf8(stream.ending(OnUnsafe::Replace, "blocked", "No.")).unwrap();
    assert!(!replaced.contains("bad") && replaced.ends_with("data: [DONE]\n\n"), "{replaced}");
    let event: Value = serde_json::from_str(&Decoder::new(1000).push(replaced.as_bytes()).unwrap()[0]).unwrap();
    assert_eq!(event["choices"].as_array().unwrap().len(), 1, "{event}");
    assert_eq!(
        (&event["choices"][0]["index"], &event["choices"][0]["finish_reason"]),
        (&json!(1), &json!("content_filter"))
    );
    assert_eq!((&event["id"], &event["choices"][0]["delta"]["content"]), (&json!("1"), &json!("No.")));
    let blocked = String::from_utf8(stream.ending(OnUnsafe::Block, "blocked", "No.")).unwrap();
    assert!(blocked.contains(r#""code":"blocked""#) && !blocked.contains("choices"), "{blocked}");
}
