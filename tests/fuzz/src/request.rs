//! Bodies of HTTP requests: an answer, or an error of the client's that says what is wrong; never the server's fault.

use crate::guests::{self, Running};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{
        Method, Request, StatusCode,
        header::{CONTENT_TYPE, HOST},
        response::Parts,
    },
};
use inferenceguard_server::ServerConfig;
use serde_json::Value;
use std::sync::LazyLock;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const ROUTES: [(&str, Method); 2] = [("/v1/chat/completions", Method::POST), ("/v1/completions", Method::POST)];
const ADMIN: [(&str, Method); 6] = [
    ("/admin/bundle", Method::PUT),
    ("/admin/canary", Method::PUT),
    ("/admin/shadow", Method::PUT),
    ("/admin/rollback", Method::POST),
    (DENIAL, Method::PUT),
    ("/admin/canary/promote", Method::POST),
];
const DENIAL: &str = "/admin/denial";
/// The most bytes of an answer.
const ANSWER: usize = 1 << 22;

static RUNNING: LazyLock<Running> =
    LazyLock::new(|| Running::new(ServerConfig::new(guests::engine(), guests::bundle())));

/// The first byte chooses the route.
pub fn run(bytes: &[u8]) {
    let Some((route, body)) = bytes.split_first() else { return };
    let route = usize::from(*route) % (ROUTES.len() + ADMIN.len());
    let (router, (path, method)) = match ROUTES.get(route) {
        Some(client) => (&RUNNING.clients, client),
        None => (&RUNNING.admin, &ADMIN[route - ROUTES.len()]),
    };
    let (status, answer) = answered(&RUNNING.runtime, router, (method, path), body);
    check(status, &answer);
    if *path == DENIAL {
        // It must not answer the next input.
        answered(&RUNNING.runtime, router, (&Method::DELETE, DENIAL), b"");
    }
}

/// The answer of a router to a body.
pub(crate) fn answered(
    runtime: &Runtime,
    router: &Router,
    (method, path): (&Method, &str),
    body: &[u8],
) -> (StatusCode, Bytes) {
    let request =
        Request::builder().method(method).uri(path).header(HOST, "127.0.0.1").header(CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_vec())).expect("a request");
    let (head, answer) = exchanged(runtime, router, request);
    (head.status, answer)
}

/// The answer of a router to a request.
pub(crate) fn exchanged(runtime: &Runtime, router: &Router, request: Request<Body>) -> (Parts, Bytes) {
    runtime.block_on(async {
        let (head, body) = router.clone().oneshot(request).await.expect("the router answers").into_parts();
        (head, to_bytes(body, ANSWER).await.expect("a whole answer"))
    })
}

/// An answer in JSON or in events, none where there is nothing to answer, or an error of the client's in words.
pub(crate) fn check(status: StatusCode, answer: &[u8]) {
    let text = String::from_utf8(answer.to_vec()).expect("answers are text");
    assert!(!status.is_server_error(), "{status}: {text}");
    if status.is_client_error() {
        let error: Value = serde_json::from_str(&text).expect("errors are JSON");
        assert!(error["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{text}");
    } else if status == StatusCode::NO_CONTENT {
        assert!(text.is_empty(), "{text}");
    } else if !text.starts_with("data: ") {
        serde_json::from_str::<Value>(&text).expect("answers are JSON");
    }
}

/// Requests with every field that is understood, and some that are not.
pub fn seeds() -> Vec<Vec<u8>> {
    let chat = [
        // A budget twice, nulls within objects, numbers of another kind, and text that no encoding has.
        r#"{"messages":[{"role":"user","content":"ask"}],"inferenceguard":{"budgets":{"harm":0.5,"harm":4.0},"release":null}}"#,
        r#"{"messages":[{"role":"user","content":"ask","name":null}],"stream":true,"n":1.0,
            "stream_options":{"include_usage":null}}"#,
        r#"{"messages":[{"role":"user","content":"\ud800 ask \u0000"}],"seed":-1,"max_tokens":1e2,"stop":["","\n"]}"#,
        r#"{"model":"toy","messages":[{"role":"user","content":"ask"}],"max_tokens":4,"seed":1}"#,
        r#"{"model":"toy","messages":[{"role":"system","content":"ask"},{"role":"user","content":[{"type":"text","text":"ask"}]}],
            "stream":true,"stream_options":{"include_usage":true},"temperature":0.5,"top_p":0.9,"stop":["bad"],"n":2}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"logprobs":true,"top_logprobs":2,"top_k":3,"min_p":0.1,
            "repetition_penalty":1.1,"presence_penalty":0,"frequency_penalty":0,"logit_bias":{},"user":"me"}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"tools":[],"response_format":{"type":"json_object"}}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"inferenceguard":{"budgets":{"harm":1.0},"method":"bundle","release":"agreement"}}"#,
        r#"{"messages":[{"role":"user","content":"ask"},{"role":"assistant","content":null,"refusal":"No."},
            {"role":"user","content":"ask"}],"max_completion_tokens":2,"inferenceguard":{"release":{"commit":1}},"stream":true}"#,
        // Fields of other servers, which change answers.
        r#"{"messages":[{"role":"user","content":"ask"}],"stop_token_ids":[3],"ignore_eos":true,"min_tokens":4,"bad_words":["bad"]}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"chat_template_kwargs":{"enable_thinking":false},"guided_json":{},
            "structured_outputs":{"regex":"a"},"extra_body":{"top_k":1},"continue_final_message":true}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"stream":true,"stream_options":{"include_usage":true,"every":1}}"#,
        // Seeds at their limits, and as clients write them that know no large integers; two limits of tokens at once.
        r#"{"messages":[{"role":"user","content":"ask"}],"seed":18446744073709551615,"n":2,"max_tokens":3,"max_completion_tokens":9}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"seed":1.8446744073709552e19,"max_tokens":4294967296,"n":-0}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"seed":"1","temperature":"NaN","top_p":-0.0,"top_k":-1,"min_p":1}"#,
        // Budgets that no answer keeps, that are no numbers, and that nobody has.
        r#"{"messages":[{"role":"user","content":"ask"}],"inferenceguard":{"budgets":{"harm":5e-324}}}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"inferenceguard":{"budgets":{"harm":-0.0},"method":null}}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"inferenceguard":{"budgets":{"harm":1e999,"rain":1}}}"#,
        r#"{"messages":[{"role":"user","content":"ask"}],"inferenceguard":null,"budgets":{"harm":1}}"#,
        // Turns in an order that templates refuse, parts of other kinds, an empty text, and lists in lists.
        r#"{"messages":[{"role":"assistant","content":"good"},{"role":"tool","content":"bad","tool_call_id":"1"}]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":""}]}]}"#,
        r#"{"messages":[{"role":"user","content":"ask","content":"bad"}],"messages":[]}"#,
        r#"{"messages":[{"role":"user","content":""}],"user":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#,
        r#"{"messages":[{"role":"user","content":"ask\u200d \ud83d\ude42 \ufffd <eos>"}],"stop":["ask ","","a","b","c"],"n":0}"#,
    ];
    let completions = [
        r#"{"prompt":"ask","max_tokens":3,"logprobs":2,"echo":false,"best_of":1}"#,
        r#"{"prompt":["ask"]}"#,
        r#"{"prompt":[1,2,3],"logprobs":5}"#,
        r#"{"prompt":[[1],[2]],"best_of":4,"n":5,"suffix":"","echo":true}"#,
        r#"{"prompt":"ask","max_tokens":8.5,"logprobs":true,"stop":"bad","stream":"yes"}"#,
        r#"{"prompt":"","max_tokens":0,"temperature":-1,"presence_penalty":-0.0,"frequency_penalty":1e308}"#,
    ];
    let manifest = serde_json::to_string(guests::MANIFEST).expect("a text");
    let (bundle, trial) =
        (format!("{{\"manifest\":{manifest}}}"), format!("{{\"manifest\":{manifest},\"share\":0.5}}"));
    let admin = [
        (2, r#"{"path":"/there/is/no/bundle"}"#),
        (2, &bundle),
        (3, &trial),
        (4, &trial),
        (5, ""),
        (6, r#"{"reason":"a leak"}"#),
        (7, ""),
    ];
    let all = chat.map(|text| (0, text)).into_iter().chain(completions.map(|text| (1, text))).chain(admin);
    all.map(|(route, text)| [&[route], text.as_bytes()].concat()).collect()
}
