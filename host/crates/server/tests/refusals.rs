//! Refused requests: each gets the right status and one clear sentence.

mod common;

use common::{MANIFEST, SCRIPT, chat, engine, start, start_with, with};
use inferenceguard_host::{CancelToken, EngineBuilder, Request};
use inferenceguard_model::toy::ToyScript;
use inferenceguard_server::Settings;
use inferenceguard_testkit::hooked_score::HookedScore;
use serde_json::json;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

/// Two tenants and an administrator, with the keys `alice-key`, `bob-key` and `root-key`.
fn tenants() -> String {
    let [alice, bob, admin] = ["alice-key", "bob-key", "root-key"].map(common::sha256);
    format!(
        r#"
admin_token_sha256 = "{admin}"
[tenants.alice]
key_sha256 = "{alice}"
budgets = {{ harm = 2.0 }}
[tenants.bob]
key_sha256 = "{bob}"
per_minute = 2
"#
    )
}

#[test]
fn wrong_bodies_are_refused_with_a_message() {
    let server = start("max_body = 2000");
    let post = |body: &str| server.post("/v1/chat/completions", body);
    post("{").refuses(400, "invalid_json", "the body is no JSON");
    post("[]").refuses(400, "invalid_json", "expected an object");
    post("{}").refuses(400, "missing_required_parameter", "messages");
    post(r#"{"messages": "x"}"#).refuses(400, "invalid_type", "expected a list of turns");
    post(r#"{"messages": [{"role": "user", "content": 5}]}"#).refuses(400, "invalid_type", "messages[0].content");
    post(r#"{"messages": [], "messages": []}"#).refuses(400, "duplicate_parameter", "`messages` stands twice");
    post(&with(chat("ask"), "temperature", json!("hot")).to_string()).refuses(400, "invalid_type", "`temperature`");
    post(&with(chat("ask"), "temperature", json!(-1)).to_string()).refuses(400, "invalid_value", "temperature");
    post(&with(chat("ask"), "tools", json!([{}])).to_string()).refuses(400, "unsupported_parameter", "`tools`");
    post(&with(chat("ask"), "n", json!(99)).to_string()).refuses(400, "invalid_value", "expected 1 to 8");
    post(&with(chat("ask"), "inferenceguard", json!({"x": 1})).to_string()).refuses(
        400,
        "unknown_parameter",
        "inferenceguard.x",
    );
    assert_eq!(post(&with(chat("ask"), "max_tokens", json!(999)).to_string()).status, 200, "lowered to what there is");
    post(&chat(&"ask ".repeat(64)).to_string()).refuses(400, "context_length_exceeded", "64");
    post(&with(chat("ask"), "model", json!("gpt")).to_string()).refuses(404, "model_not_found", "`toy`");
    post(&chat("unheard").to_string()).refuses(400, "invalid_value", "not in the vocabulary");
    post(&chat("").to_string()).refuses(400, "invalid_value", "the prompt is empty");
    post(&chat(&"ask ".repeat(900)).to_string()).refuses(413, "invalid_body", "larger");
    let turns = json!({"messages": [{"role": "system", "content": "ask"}, {"role": "user", "content": "ask"}]});
    post(&turns.to_string()).refuses(400, "invalid_value", "one turn of the user");
    server.get("/v1/nothing").refuses(404, "unknown_url", "no such path");
    server.get("/v1/chat/completions").refuses(405, "method_not_allowed", "another method");
    assert_eq!(server.get("/health").text, "ok\n");
    let about = server.get("/");
    assert!(about.status == 200 && about.text.contains("POST /v1/chat/completions"), "{}", about.text);
    server.post("/", chat("ask")).refuses(405, "method_not_allowed", "another method");
    assert!(server.post("/v1/chat/completions", chat("ask")).status == 200, "the server goes on");
}

fn raw(server: &common::Running, bytes: &[u8]) -> String {
    raw_at(server.address(), bytes)
}

fn raw_at(address: SocketAddr, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection.write_all(bytes).unwrap();
    let mut text = String::new();
    drop(connection.read_to_string(&mut text));
    text
}

#[test]
fn bytes_that_are_no_text_and_slow_clients_are_refused() {
    let server = start("read_seconds = 1");
    let bad =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n\xff\xfe";
    let text = raw(&server, bad);
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("not UTF-8"), "{text}");
    // Headers that never end, and a body that never comes.
    assert_eq!(raw(&server, b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"), "", "closed without an answer");
    let text = raw(
        &server,
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 90\r\n\r\n{",
    );
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("in time"), "{text}");
    assert_eq!(server.engine.live(), 0);
}

#[test]
fn connections_that_end_before_a_request_are_counted_by_kind() {
    let server = start("read_seconds = 1");
    let ask = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let count = |kind: &str| {
        let page = raw_at(server.admin_address(), ask);
        let sample = format!("inferenceguard_connection_errors_total{{kind=\"{kind}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(sample.as_str())?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    for (kind, bytes, status) in [
        ("not_http", &b"NONSENSE\r\n\r\n"[..], "HTTP/1.1 400"),
        ("not_http", b"GET /a b c HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
        ("not_http", long.as_bytes(), "HTTP/1.1 431"),
        ("no_request", b"GET / HTTP/1.1\r\nhost: x\r\n", ""),
    ] {
        let before = count(kind);
        let text = raw(&server, bytes);
        assert!(text.starts_with(status) && text.is_empty() == status.is_empty(), "{kind}: {text}");
        let counted = (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            count(kind) == before + 1.0
        });
        assert!(counted, "{kind}: {before}");
    }
}

#[test]
fn the_operator_decides_how_many_likely_tokens_are_shown() {
    let server = start("max_top_logprobs = 0");
    let body = with(with(chat("ask"), "logprobs", json!(true)), "top_logprobs", json!(1));
    server.post("/v1/chat/completions", body).refuses(400, "invalid_value", "expected at most 0");
    let body = json!({"prompt": "ask", "logprobs": 1});
    server.post("/v1/completions", body).refuses(400, "invalid_value", "expected at most 0");
    assert_eq!(server.post("/v1/chat/completions", with(chat("ask"), "logprobs", json!(true))).status, 200);
}

#[test]
fn each_key_gives_its_own_access() {
    let server = start(&tenants());
    let ask = |key: &str| server.post_as(key, "/v1/chat/completions", chat("ask"));
    ask("").refuses(401, "invalid_api_key", "no API key");
    ask("mallory").refuses(401, "invalid_api_key", "not known");
    server.get("/v1/models").refuses(401, "invalid_api_key", "no API key");
    let budget = |answer: serde_json::Value| answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"].clone();
    assert_eq!((budget(ask("alice-key").json()), budget(ask("bob-key").json())), (json!(2.0), json!(4.0)));
    let loose = with(chat("ask"), "inferenceguard", json!({"budgets": {"harm": 3.5}}));
    assert_eq!(budget(server.post_as("alice-key", "/v1/chat/completions", loose).json()), json!(2.0));
    assert_eq!(ask("bob-key").status, 200);
    let third = ask("bob-key");
    third.refuses(429, "rate_limit_exceeded", "2 requests a minute");
    assert!(third.retry_after.unwrap().parse::<u64>().unwrap() > 0);
    server.admin("/admin/status").refuses(401, "invalid_api_key", "");
    server.put("/admin/bundle", "{}").refuses(401, "invalid_api_key", "");
    server.get("/metrics").refuses(404, "unknown_url", "no such path");
    assert!(server.admin("/metrics").text.contains("inferenceguard_requests_total"), "it has names of constraints");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let server = start_with(engine(1), toml::from_str("max_waiting = 2").unwrap());
    let several = |n: u32| server.post("/v1/chat/completions", with(chat("ask"), "n", json!(n)));
    several(4).refuses(400, "invalid_value", "at most 3");
    assert_eq!(several(3).status, 200, "as many as run and wait");
    while_busy(&server, |go| {
        thread::scope(|scope| {
            let waiting = scope.spawn(|| several(2));
            server.becomes(1, 2);
            let got = several(2);
            got.refuses(503, "overloaded", "waiting already");
            assert_eq!(got.retry_after.as_deref(), Some("1"));
            drop(go);
            assert_eq!(waiting.join().unwrap().status, 200);
        });
    });
}

/// Runs `work` while a request occupies the engine, until `work` drops its sender.
fn while_busy(server: &common::Running, work: impl FnOnce(mpsc::Sender<()>)) {
    let (go, held) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let hold = move |_| held.recv().unwrap_or(());
        scope.spawn(move || server.engine.stream(Request::new("ask"), &CancelToken::new(), hold).unwrap());
        server.becomes(1, 0);
        work(go);
    });
}

#[test]
fn a_waiting_request_that_a_denial_cancels_gets_the_denial() {
    let server = start_with(engine(1), Settings::default());
    while_busy(&server, |go| {
        thread::scope(|scope| {
            let ask = |stream: bool| server.post("/v1/chat/completions", with(chat("ask"), "stream", json!(stream)));
            let waiting = [false, true].map(|stream| scope.spawn(move || ask(stream)));
            server.becomes(1, 2);
            assert_eq!(server.put("/admin/denial", json!({"reason": "a leak"})).status, 204);
            for one in waiting {
                let got = one.join().unwrap();
                got.refuses(503, "denied", "a leak");
            }
            drop(go);
        });
    });
}

#[test]
fn a_stream_that_cannot_begin_has_a_status_like_any_answer() {
    let server = start("");
    let stream = |body| server.post("/v1/chat/completions", with(body, "stream", json!(true)));
    stream(chat("")).refuses(400, "invalid_value", "the prompt is empty");
    stream(with(chat("ask"), "temperature", json!(-1))).refuses(400, "invalid_value", "temperature");
    stream(chat(&"ask ".repeat(64))).refuses(400, "context_length_exceeded", "64");
    let own = |value| stream(with(chat("ask"), "inferenceguard", value));
    own(json!({"method": "magic"})).refuses(400, "invalid_value", "no method `magic`");
    own(json!({"budgets": {"harm": 5.0}})).refuses(400, "invalid_value", "a request can only tighten");
    stream(with(with(chat("ask"), "n", json!(3)), "temperature", json!(-1))).refuses(400, "invalid_value", "");
    assert!(stream(chat("ask")).text.trim_end().ends_with("data: [DONE]"));
}

#[test]
fn what_the_assistant_says_first_is_not_free_where_conversations_have_budgets() {
    let server = start("budget_per = \"conversation\"");
    let turn = |role, content| json!({"role": role, "content": content});
    let ask = |messages| server.post("/v1/chat/completions", json!({"messages": messages, "max_tokens": 1}));
    let got = ask(json!([turn("assistant", "bad bad"), turn("user", "ask")]));
    got.refuses(400, "invalid_value", "begin with a turn of the user");
    assert_eq!(ask(json!([turn("user", "ask"), turn("assistant", "good"), turn("user", "ask")])).status, 200);
}

#[test]
fn many_at_once_are_all_answered() {
    let server = start_with(engine(2), Settings::default());
    thread::scope(|scope| {
        let asked: Vec<_> = (0..24)
            .map(|seed| {
                scope.spawn({
                    let server = &server;
                    move || server.post("/v1/chat/completions", with(chat("ask"), "seed", json!(seed)))
                })
            })
            .collect();
        for one in asked {
            assert_eq!(one.join().unwrap().status, 200);
        }
    });
    assert_eq!(server.engine.live_beams(), Default::default());
}

#[test]
fn settings_that_cannot_be_are_named() {
    let key = common::sha256("k");
    let twice = format!("[tenants.a]\nkey_sha256 = \"{key}\"\n[tenants.b]\nkey_sha256 = \"{}\"", key.to_uppercase());
    for (text, words) in [
        ("max_body = 0", "key `max_body`: found 0"),
        ("admin_token_sha256 = \"secret\"", "key `admin_token_sha256`: found 6 characters"),
        ("[tenants.a]\nkey_sha256 = \"00\"", "key `tenants.a.key_sha256`"),
        ("release = { commit = 0 }", "key `release.commit`: found 0"),
        ("max_connections = 0", "key `max_connections`: found 0"),
        (
            "read_seconds = 9223372036854775807",
            "key `read_seconds`: found 9223372036854775807; expected at most 31536000",
        ),
        ("idle_seconds = 0", "key `idle_seconds`: found 0; expected at least 1"),
        ("idle_seconds = 31536001", "key `idle_seconds`: found 31536001"),
        ("write_seconds = 31536001", "key `write_seconds`: found 31536001"),
        ("stop_seconds = 31536001", "key `stop_seconds`: found 31536001"),
        ("max_top_logprobs = 21", "key `max_top_logprobs`: found 21; expected a number from 0 to 20"),
        (&twice, "key `tenants.b.key_sha256`: found the key of `a`"),
    ] {
        let error = toml::from_str::<Settings>(text).unwrap().validate().unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    assert!(toml::from_str::<Settings>("max_bodies = 1").is_err());
}

#[test]
fn a_server_whose_model_panicked_says_that_it_is_not_ready() {
    let toy = ToyScript::parse(SCRIPT).unwrap();
    let builder = EngineBuilder::new().model(Box::new(toy.model())).bundle(&common::bundle(MANIFEST));
    let scores = toy.scores().into_iter();
    let broken = |score| Box::new(HookedScore::before(score, || panic!("a bug in the back end")));
    let builder = scores.fold(builder, |builder, score| builder.score_model(broken(score)));
    let server = start_with(Arc::new(builder.build().unwrap()), Settings::default());
    assert_eq!(server.get("/ready").text, "ready\n");
    assert_eq!(server.post("/v1/chat/completions", chat("ask")).status, 500);
    server.get("/ready").refuses(503, "model_broken", "the server's log says why");
    assert_eq!(server.get("/health").status, 200);
}
