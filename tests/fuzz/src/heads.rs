//! Heads of HTTP requests. hyper takes them apart; what is tried here is what the server reads from them: the key, the origin,
//! the encoding of the body, the trace, and how long the body is.

use crate::{
    guests::{self, Running},
    request::exchanged,
};
use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode,
        header::{ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONTENT_ENCODING, HOST, ORIGIN},
        request::Parts,
    },
};
use inferenceguard_server::{Face, ServerConfig, Settings, Tenant};
use serde_json::Value;
use std::sync::LazyLock;

/// Long enough that no mutation of anything else becomes one.
const KEYS: [&str; 2] = ["the-key-of-the-first-client", "the-key-of-the-second-client"];
const TOKEN: &str = "the-token-of-the-administrators";
/// The largest body.
const MOST: usize = 512;
/// Paths that are served without a key.
const OPEN: [&str; 3] = ["/health", "/ready", "/metrics"];
/// The page for administrators, which holds no data.
const PAGES: [&str; 2] = ["/", "/admin/"];
/// The route whose key may come in a header of its own.
const GATEWAY: &str = "/beta/litellm_basic_guardrail_api";
const GATEWAY_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// A deadline that is too short, or more ids than a client may have, is no fault of the server's.
const EXCUSED: [&str; 2] = ["deadline_exceeded", "too_many_prompts"];

static RUNNING: LazyLock<Running> = LazyLock::new(|| {
    let tenants = KEYS.map(|key| (key.to_owned(), Tenant::with_key(key)));
    let settings = Settings {
        max_body: MOST,
        admin_token_sha256: Some(Tenant::with_key(TOKEN).key_sha256),
        tenants: tenants.into(),
        ..Settings::default()
    };
    let faces = [Face::Judge, Face::Litellm, Face::Moderations].into();
    let config = ServerConfig { settings, faces, ..ServerConfig::new(guests::engine(), guests::bundle()) };
    Running::new(config)
});

/// The first byte chooses the listener; then come lines of a head, an empty line, and a body.
pub fn run(bytes: &[u8]) {
    let Some((listener, rest)) = bytes.split_first() else { return };
    let Some((mut head, body)) = request(rest) else { return };
    let Running { runtime, clients, admin } = &*RUNNING;
    let of_clients = listener % 2 == 0;
    if !of_clients {
        // Administrators only look: the next input finds the same server.
        head.method = Method::GET;
    }
    let router = if of_clients { clients } else { admin };
    let asked = Request::from_parts(head.clone(), Body::from(body.to_vec()));
    let (answer, text) = exchanged(runtime, router, asked);
    readable(&head.method, answer.status, &text);
    assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "pages of other sites may read answers");
    let path = head.uri.path();
    if of_clients {
        client(&head, path, body, answer.status);
    } else {
        administrator(&head, path, answer.status);
    }
}

/// The head and the body of a request; lines that are no headers are left out.
fn request(bytes: &[u8]) -> Option<(Parts, &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\n\n");
    let (head, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 2..]));
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, path) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let (mut parts, ()) = Request::builder().method(method).uri(path).body(()).ok()?.into_parts();
    parts.headers = lines.filter_map(header).collect();
    Some((parts, body))
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
}

/// No answer is the server's fault, and an error is JSON that says what is wrong.
fn readable(method: &Method, status: StatusCode, text: &Bytes) {
    let words = String::from_utf8_lossy(text);
    assert!(!status.is_server_error() || EXCUSED.iter().any(|code| words.contains(code)), "{status}: {words}");
    if status.is_client_error() && method != Method::HEAD {
        let error: Value = serde_json::from_slice(text).expect("errors are JSON");
        assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{words}");
    }
}

/// Nobody is served without a key, nor with a body that is too large or packed.
fn client(head: &Parts, path: &str, body: &[u8], status: StatusCode) {
    let has = |name: &HeaderName| KEYS.iter().any(|key| holds(&head.headers, name, key));
    let has_key = has(&AUTHORIZATION) || (path == GATEWAY && has(&GATEWAY_KEY));
    if status.is_success() && !OPEN.contains(&path) {
        assert!(has_key, "{path} is served without a key");
        assert!(body.len() <= MOST, "a body of {} bytes is taken", body.len());
        assert!(!packed(&head.headers), "a packed body is taken");
    }
    if path != GATEWAY && KEYS.iter().any(|key| is_bearer(&head.headers, key)) {
        assert_ne!(status, StatusCode::UNAUTHORIZED, "a known key is refused");
    }
}

/// Nobody is served without the token, nor from a page of another site.
fn administrator(head: &Parts, path: &str, status: StatusCode) {
    if !status.is_success() || OPEN.contains(&path) {
        return;
    }
    assert!(PAGES.contains(&path) || holds(&head.headers, &AUTHORIZATION, TOKEN), "{path} is served without the token");
    let text = |name: HeaderName| Some(head.headers.get(name)?.to_str().ok()?.to_ascii_lowercase());
    if let (Some(origin), Some(host)) = (text(ORIGIN), text(HOST)) {
        assert!(origin.ends_with(&*host), "a page of another site is served");
    }
}

/// Whether a value of this header has these words in it.
fn holds(headers: &HeaderMap, name: &HeaderName, words: &str) -> bool {
    headers.get_all(name).iter().any(|value| String::from_utf8_lossy(value.as_bytes()).contains(words))
}

/// Whether the key is there, once, and as it should be.
fn is_bearer(headers: &HeaderMap, key: &str) -> bool {
    let values: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
    matches!(values.as_slice(), [one] if one.as_bytes() == format!("Bearer {key}").as_bytes())
}

fn packed(headers: &HeaderMap) -> bool {
    let plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    headers.get_all(CONTENT_ENCODING).iter().any(|value| !plain(value.as_bytes().trim_ascii()))
}

/// Requests of every kind of caller: with and without a key, packed, too large, traced, and from other sites.
pub fn seeds() -> Vec<Vec<u8>> {
    let [one, two] = KEYS;
    let chat = r#"{"messages":[{"role":"user","content":"ask"}],"max_tokens":2,"seed":1}"#;
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\ntracestate: a=1,b=2";
    let large = "x".repeat(MOST + 1);
    let chats = "POST /v1/chat/completions\ncontent-type: application/json";
    let heads = [
        (0, format!("{chats}\nauthorization: Bearer {one}\n{trace}\n\n{chat}")),
        (0, format!("{chats}\nauthorization: bearer  {two}\ncontent-encoding: identity\ncontent-length: 78\n\n{chat}")),
        (0, format!("{chats}\nauthorization: Basic {one}\nauthorization: Bearer {two}\n\n{chat}")),
        (0, format!("{chats}\nauthorization: Bearer {one}\ncontent-encoding: gzip\n\n{chat}")),
        (0, format!("{chats}\nauthorization: Bearer {one}\n\n{large}")),
        (0, format!("{chats}\nx-api-key: {one}\norigin: http://other.example\n\n{chat}")),
        (0, format!("POST {GATEWAY}\nx-api-key: {two}\n\n{{\"input_type\":\"request\",\"texts\":[\"ask\"]}}")),
        (0, format!("GET /v1/models/toy%20one\nauthorization: Bearer {one}\n{trace}\n\n")),
        (0, "GET /health\nhost: guard.example\n\n".to_owned()),
        (0, "OPTIONS /v1/chat/completions\norigin: http://other.example\n\n".to_owned()),
        (0, format!("HEAD /v1/models\nauthorization:  bEaReR   {one} \n\n")),
        (0, format!("GET /v1/models/org/na%2Fme/\nauthorization: Bearer {one}\nauthorization: Bearer {two}\n\n")),
        (
            0,
            format!(
                "{chats}\nauthorization: Bearer {one}\ncontent-encoding: identity, gzip\nexpect: 100-continue\n\n{chat}"
            ),
        ),
        (
            0,
            format!(
                "{chats}\nauthorization: Bearer {one}\ncontent-type: text/plain\naccept: text/event-stream\n\n{chat}\r\n"
            ),
        ),
        (1, format!("GET /admin/status\nhost: localhost:8081\nauthorization: Bearer {TOKEN}\n\n")),
        (1, format!("GET /admin/swaps\nhost: a\norigin: http://A\nauthorization: Bearer {TOKEN}\n\n")),
        (1, format!("GET /admin/status\nhost: a\norigin: http://b\nauthorization: Bearer {TOKEN}\n\n")),
        (1, "GET /admin/\nhost: guard.example\n\n".to_owned()),
        (1, "GET /metrics\naccept: application/openmetrics-text;version=1.0.0, text/plain;q=0.5\n\n".to_owned()),
    ];
    heads.into_iter().map(|(listener, text)| [&[listener], text.as_bytes()].concat()).collect()
}
