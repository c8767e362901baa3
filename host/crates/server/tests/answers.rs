//! Answers, whole and as streams: OpenAI's fields and this server's own.

mod common;

use common::{chat, start, with};
use inferenceguard_host::{CancelToken, Request};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

fn content(event: &Value) -> &str {
    event["choices"][0]["delta"]["content"].as_str().unwrap_or_default()
}

#[test]
fn a_chat_is_answered_within_budget() {
    let server = start("");
    let answer = server.post("/v1/chat/completions", chat("ask")).json();
    let choice = &answer["choices"][0];
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!("toy")));
    assert_eq!((&choice["message"]["role"], &choice["message"]["refusal"]), (&json!("assistant"), &Value::Null));
    assert!(choice["message"]["content"].as_str().unwrap().contains("good"), "{answer}");
    let guard = &choice["inferenceguard"];
    assert_eq!((&guard["status"], &guard["generations"]), (&json!("within_budget"), &json!([1])));
    assert_eq!((&guard["constraints"][0]["name"], &guard["constraints"][0]["left"]), (&json!("harm"), &json!(4.0)));
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], 1);
    assert!(usage["completion_tokens"].as_u64().unwrap() <= 12);
    assert!(
        guard["sampled_tokens"].as_u64() > usage["completion_tokens"].as_u64(),
        "the extension shows all sampled tokens"
    );
    let again = server.post("/v1/chat/completions", chat("ask")).json();
    assert_eq!(again["choices"], answer["choices"], "the same seed");
    assert_eq!(server.get("/v1/models").json()["data"][0]["id"], "toy");
    assert_eq!(server.get("/v1/models/toy").json()["id"], "toy");
    server.get("/v1/models/other").refuses(404, "model_not_found", "there is `toy`");
}

#[test]
fn a_refusal_says_so() {
    let server = start("");
    let answer = server.post("/v1/chat/completions", chat("doomed")).json();
    let choice = &answer["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["refusal"]), (&json!("content_filter"), &json!("No.")));
    assert_eq!(choice["inferenceguard"]["status"], "no_safe_candidate");
    let constraint = &choice["inferenceguard"]["constraints"][0];
    assert!(constraint["max_cost"].is_null() && constraint["left"].is_null(), "{constraint}");
    assert_eq!(answer["usage"]["completion_tokens"], 0, "no token of an answer was given");
    let events = server.post("/v1/chat/completions", with(chat("doomed"), "stream", json!(true))).events();
    assert_eq!(events.iter().map(content).collect::<String>(), "No.");
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn a_stream_is_the_answer_in_order_and_ends() {
    let server = start("");
    for release in [json!("agreement"), json!("at_end"), json!({"commit": 1})] {
        let body = with(with(chat("ask"), "stream", json!(true)), "inferenceguard", json!({"release": release}));
        let got = server.post("/v1/chat/completions", with(body, "stream_options", json!({"include_usage": true})));
        assert!(got.text.trim_end().ends_with("data: [DONE]"), "{}", got.text);
        let events = got.events();
        assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        let [.., ending, usage] = events.as_slice() else { panic!("{}", got.text) };
        assert_eq!(ending["choices"][0]["inferenceguard"]["status"], "within_budget");
        assert!(usage["choices"].as_array().unwrap().is_empty() && usage["usage"]["total_tokens"].as_u64() > Some(1));
        let text: String = events.iter().map(content).collect();
        assert!(!text.is_empty() && !text.contains("bad"), "{release}: {text}");
        if release == json!("at_end") {
            let whole = server.post("/v1/chat/completions", chat("ask")).json();
            assert_eq!(whole["choices"][0]["message"]["content"], text);
        }
    }
}

#[test]
fn several_choices_stops_lengths_and_logprobs() {
    let server = start("");
    let answer = server.post("/v1/chat/completions", with(chat("ask"), "n", json!(3))).json();
    let indices: Vec<_> = answer["choices"].as_array().unwrap().iter().map(|choice| choice["index"].clone()).collect();
    assert_eq!(indices, [json!(0), json!(1), json!(2)]);
    assert_eq!(answer["choices"][2]["inferenceguard"]["seed"], 3, "one seed after the other");
    let events =
        server.post("/v1/chat/completions", with(with(chat("ask"), "n", json!(2)), "stream", json!(true))).events();
    let ends = events.iter().filter(|event| !event["choices"][0]["finish_reason"].is_null()).count();
    assert_eq!(ends, 2);

    let short = server.post("/v1/chat/completions", with(chat("ask"), "max_completion_tokens", json!(2))).json();
    assert!(short["usage"]["completion_tokens"].as_u64().unwrap() <= 2);
    let stopped = server.post("/v1/chat/completions", with(chat("ask"), "stop", json!(["good"]))).json();
    assert!(!stopped["choices"][0]["message"]["content"].as_str().unwrap().contains("good"), "{stopped}");

    let answer = server.post("/v1/chat/completions", with(chat("ask"), "logprobs", json!(true))).json();
    let tokens = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(tokens.len() as u64, answer["usage"]["completion_tokens"].as_u64().unwrap());
    assert!(tokens.iter().all(|token| token["logprob"].as_f64().unwrap() < 0.0), "{tokens:?}");
    let bytes = tokens.iter().flat_map(|token| token["bytes"].as_array().unwrap());
    let bytes: Vec<u8> = bytes.map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), answer["choices"][0]["message"]["content"].as_str().unwrap());
}

#[test]
fn logprobs_end_where_a_stop_text_cut_the_answer() {
    let server = start("");
    let text = |tokens: &Value| tokens.as_array().unwrap().iter().filter_map(Value::as_str).collect::<String>();
    let mut cut = 0;
    // The scripted model spells whole words only, so no stop text lies inside one; `answer.rs` cuts tokens in the middle.
    for stop in ["good", "bad", "plain"] {
        let body = with(with(with(chat("ask"), "stop", json!([stop])), "logprobs", json!(true)), "seed", json!(1));
        let answer = server.post("/v1/chat/completions", body).json();
        let choice = answer["choices"][0].clone();
        let tokens = choice["logprobs"]["content"].as_array().unwrap_or_else(|| panic!("{stop:?}: {answer}"));
        let tokens = tokens.iter().map(|token| token["token"].clone());
        let content = choice["message"]["content"].as_str().unwrap();
        assert_eq!(text(&tokens.collect()), content, "{stop:?}: {choice}");
        cut += usize::from(choice["inferenceguard"]["finish"] == "stop");

        let body = json!({"prompt": "ask", "seed": 1, "stop": [stop], "logprobs": 0});
        let choice = server.post("/v1/completions", body).json()["choices"][0].clone();
        let logprobs = &choice["logprobs"];
        assert_eq!(text(&logprobs["tokens"]), choice["text"].as_str().unwrap(), "{stop:?}: {choice}");
        let count = |name: &str| logprobs[name].as_array().unwrap().len();
        assert_eq!((count("token_logprobs"), count("text_offset")), (count("tokens"), count("tokens")));
    }
    assert!(cut > 0, "a stop text came up");
}

#[test]
fn completions_answer_in_their_own_shape() {
    let server = start("");
    let body = json!({"prompt": "ask", "seed": 1, "logprobs": 0});
    let answer = server.post("/v1/completions", &body).json();
    let text = answer["choices"][0]["text"].as_str().unwrap();
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(
        answer["choices"][0]["logprobs"]["tokens"].as_array().unwrap().len() as u64,
        answer["usage"]["completion_tokens"].as_u64().unwrap()
    );
    let logprobs = &answer["choices"][0]["logprobs"];
    for (token, at) in logprobs["tokens"].as_array().unwrap().iter().zip(logprobs["text_offset"].as_array().unwrap()) {
        let (token, at) = (token.as_str().unwrap(), at.as_u64().unwrap() as usize);
        assert!(text.chars().skip(at).collect::<String>().starts_with(token), "{logprobs}");
    }
    let events = server.post("/v1/completions", with(body, "stream", json!(true))).events();
    let streamed: String = events.iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert!(!streamed.is_empty() && !text.is_empty());
}

#[test]
fn budgets_of_a_request_only_tighten() {
    let server = start("");
    let ask = |budget: f64| {
        server.post("/v1/chat/completions", with(chat("ask"), "inferenceguard", json!({"budgets": {"harm": budget}})))
    };
    assert_eq!(ask(2.0).json()["choices"][0]["inferenceguard"]["constraints"][0]["budget"], 2.0);
    ask(5.0).refuses(400, "invalid_value", "a request can only tighten");
}

#[test]
fn a_client_that_leaves_cancels_its_request_even_if_it_sent_more_bytes() {
    let next =
        format!("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n{}", "x".repeat(20_000));
    for (after, stream, half) in [
        ("", true, false),
        ("\r\n", true, false),
        ("", false, false),
        ("\r\n", false, false),
        ("GET /health", false, false),
        (&*next, false, false),
        // A client that closes only its half has left as well.
        ("", false, true),
        ("\r\n", false, true),
    ] {
        leaves(after, stream, half);
    }
}

fn leaves(after: &str, stream: bool, half: bool) {
    let server = common::start_with(common::engine(1), Default::default());
    let body = with(with(chat("ask"), "stream", json!(stream)), "n", json!(8)).to_string();
    let (go, held) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let engine = &server.engine;
        let hold = move |_| held.recv().unwrap_or(());
        scope.spawn(move || engine.stream(Request::new("ask"), &CancelToken::new(), hold).unwrap());
        server.becomes(1, 0);
        let mut connection = TcpStream::connect(server.address()).unwrap();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all(format!("{head}{body}{after}").as_bytes()).unwrap();
        server.becomes(1, 8);
        connection.shutdown(if half { Shutdown::Write } else { Shutdown::Both }).unwrap();
        // The running request still runs, so the waiting ones can only have been cancelled.
        server.becomes(1, 0);
        drop(go);
    });
}

#[test]
fn clients_that_leave_during_an_answer_leave_nothing_behind() {
    let server = start("");
    // Eight choices, so that the request takes long.
    let body = with(with(chat("ask"), "stream", json!(true)), "n", json!(8)).to_string();
    for _ in 0..10 {
        let mut connection = TcpStream::connect(server.address()).unwrap();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body.as_bytes()).unwrap();
        connection.read_exact(&mut [0; 15]).unwrap();
    }
    let start = Instant::now();
    while (server.engine.live(), server.engine.waiting()) != (0, 0) || server.engine.live_beams() != Default::default()
    {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", server.engine.live_beams());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.admin("/admin/status").json()["requests"].as_array().unwrap().is_empty());
}
