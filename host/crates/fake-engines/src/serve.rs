//! The answers of a fake server: honest ones, and what a test makes of them.

use crate::{
    Act, Seen, Shared, llama,
    model::{self, Bytewise},
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{Request, StatusCode},
    response::{IntoResponse, Response},
};
use inferenceguard_model::Tokenizer;
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering};

struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    shared.running.fetch_add(1, Ordering::SeqCst);
    let running = Running(Arc::clone(&shared));
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let seen = Seen {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    shared.seen.lock().unwrap().push(seen.clone());
    let act = shared.rule.lock().unwrap().as_ref().map_or(Act::Honest, |rule| rule(&seen));
    match act {
        Act::Honest => honest(&shared, &seen).into_response(),
        Act::Changed(change) => {
            let mut reply = honest(&shared, &seen);
            change(&mut reply.1);
            reply.into_response()
        }
        Act::Status(status, text) => reply(status, text.to_owned()),
        Act::Raw(text) => reply(200, text),
        Act::Half => {
            let head = [("content-length", "1000")];
            let begun = std::iter::once(Ok::<_, std::io::Error>(Bytes::from("{\"choices\":")));
            let body = Body::from_stream(Begun { parts: begun.collect(), _running: running });
            (StatusCode::OK, head, body).into_response()
        }
        Act::Never => std::future::pending().await,
        Act::Late(wait) => {
            tokio::time::sleep(wait).await;
            honest(&shared, &seen).into_response()
        }
    }
}

fn reply(status: u16, text: String) -> Response {
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "0")], text).into_response()
}

/// A body that gives its parts and then nothing; it is being answered until its connection is closed.
struct Begun {
    parts: Vec<Result<Bytes, std::io::Error>>,
    _running: Running,
}

impl futures_util::Stream for Begun {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.parts.pop().map_or(std::task::Poll::Pending, |part| std::task::Poll::Ready(Some(part)))
    }
}

/// A status and JSON.
struct Json(u16, Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        reply(self.0, self.1.to_string())
    }
}

fn honest(shared: &Shared, seen: &Seen) -> Json {
    let kind = shared.kind.lock().unwrap().clone();
    let key = seen.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if kind.key.is_some() && key != kind.key.as_ref().map(|key| format!("Bearer {key}")) {
        return Json(401, json!({"error": "Unauthorized"}));
    }
    match seen.path.as_str() {
        "/v1/models" => Json(
            200,
            json!({"object": "list", "data": [{"id": kind.model, "root": "/models/smol", "max_model_len": kind.context}]}),
        ),
        "/version" => Json(200, json!({"version": kind.version})),
        "/tokenize" => {
            let tokens =
                Bytewise.encode(seen.body["prompt"].as_str().or(seen.body["content"].as_str()).unwrap()).unwrap();
            Json(200, json!({"count": tokens.len(), "max_model_len": 2048, "tokens": tokens, "token_strs": null}))
        }
        "/v1/completions" if seen.body["logprobs"].as_u64().unwrap_or(0) as usize > kind.max_logprobs => {
            Json(400, json!({"error": {"message": "too many logprobs", "type": "BadRequestError", "code": 400}}))
        }
        "/v1/completions" if seen.body["model"] != kind.model.as_str() => {
            Json(404, json!({"error": {"message": "The model `x` does not exist.", "code": 404}}))
        }
        "/v1/completions" => Json(200, model::complete(&kind, &seen.body)),
        "/pooling" => Json(200, model::pool(&kind, &shared.read, &seen.body)),
        "/props" => Json(200, llama::props(&kind)),
        "/completion" => Json(200, llama::complete(&kind, &mut shared.slots.lock().unwrap(), &seen.body)),
        path if path.starts_with("/slots/") && kind.saves => {
            let slot = path.trim_start_matches("/slots/").parse().unwrap();
            llama::action(&mut shared.slots.lock().unwrap(), slot, &seen.query, &seen.body);
            Json(200, json!({"id_slot": slot}))
        }
        path if path.starts_with("/slots/") => {
            Json(501, json!({"error": {"message": "start it with `--slot-save-path`", "code": 501}}))
        }
        path => Json(404, json!({"detail": format!("Not Found: {path}")})),
    }
}
