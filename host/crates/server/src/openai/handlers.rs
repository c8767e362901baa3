//! The paths under `/v1`.

use super::{
    answer::{Head, Style},
    ask::{Asked, Chat, Common, Completion, Defaults},
    job::{self, Job, Said},
    stream,
};
use crate::{app::App, bundles::lane_of, error::ApiError, settings::BudgetPer, span::RequestSpan};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use inferenceguard_host::Output;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    app.clients.client(&headers)?;
    let chat: Chat = parse(&body)?;
    app.serves(&chat.common)?;
    answer(app, &headers, Style::Chat, |defaults| chat.asked(defaults)).await
}

/// `POST /v1/completions`.
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    app.clients.client(&headers)?;
    let completion: Completion = parse(&body)?;
    app.serves(&completion.common)?;
    answer(app, &headers, Style::Completion, |defaults| completion.asked(defaults)).await
}

/// `GET /v1/models`.
pub(crate) async fn models(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    app.clients.client(&headers)?;
    let model = json!({"id": app.model, "object": "model", "created": app.since, "owned_by": "inferenceguard"});
    Ok(Json(json!({"object": "list", "data": [model]})))
}

/// One sentence for whatever is wrong with a body.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let bad = |message: String| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message);
    let text = std::str::from_utf8(body).map_err(|error| bad(format!("the body is not UTF-8: {error}")))?;
    serde_json::from_str(text).map_err(|error| bad(format!("the body does not fit: {error}")))
}

async fn answer(
    app: Arc<App>,
    headers: &HeaderMap,
    style: Style,
    asked: impl FnOnce(&Defaults) -> Result<Asked, ApiError>,
) -> Result<Response, ApiError> {
    let mut asked = asked(&app.defaults())?;
    app.is_open()?;
    app.has_room()?;
    let admitted = app.clients.admit(headers)?;
    let client = &admitted.0;
    asked.request.ceilings.clone_from(&client.tenant.budgets);
    let own = client.tenant.layer.as_ref().map(|_| lane_of(&client.name));
    asked.request.lane = own.or_else(|| app.bundles.lane_of_crowd(app.engine.waiting()));
    asked.request.whole_conversation = app.settings.budget_per == BudgetPer::Conversation;
    let number = app.numbers.fetch_add(1, Ordering::Relaxed);
    let head = Head { style, id: format!("{}-{number}", prefix(style)), created: now(), model: app.model.clone() };
    let entry = app.live.enter(number, &head.id, &admitted.0.name);
    let span = Arc::new(RequestSpan::begin(&app, headers, style, &asked.request, &head.id));
    let job = Job { number, cancel: entry.cancel.clone(), span };
    if asked.stream {
        return Ok(stream::respond(app, &asked, head, entry, admitted, &job));
    }
    let outputs = whole(&app, &asked, &job).await?;
    let tokenizer = asked.logprobs.then(|| app.engine.tokenizer());
    Ok(Json(head.answer(&outputs, tokenizer.as_deref())).into_response())
}

/// The outputs of all choices, in order.
async fn whole(app: &Arc<App>, asked: &Asked, job: &Job) -> Result<Vec<Output>, ApiError> {
    let mut said = job::start(app, &asked.request, asked.choices, job);
    let mut outputs: Vec<(usize, Output)> = Vec::new();
    while let Some(said) = said.next().await {
        if let Said::Ended(index, result) = said {
            outputs.push((index, *result?));
        }
    }
    if outputs.len() != asked.choices as usize {
        return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", "a request was lost"));
    }
    outputs.sort_by_key(|(index, _)| *index);
    Ok(outputs.into_iter().map(|(_, output)| output).collect())
}

fn prefix(style: Style) -> &'static str {
    match style {
        Style::Chat => "chatcmpl",
        Style::Completion => "cmpl",
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl App {
    /// Whether this is the model that is served.
    fn serves(&self, common: &Common) -> Result<(), ApiError> {
        match &common.model {
            Some(model) if *model != self.model => {
                let message = format!("the model `{model}` is not served here; there is `{}`", self.model);
                Err(ApiError {
                    param: Some("model".into()),
                    ..ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message)
                })
            }
            _ => Ok(()),
        }
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            sampling: self.engine.sampling(),
            release: self.settings.release,
            max_choices: self.settings.max_choices,
        }
    }

    /// Whether requests are answered at all.
    fn is_open(&self) -> Result<(), ApiError> {
        let denied = |reason| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "denied",
                format!("the operator denies all requests: {reason}"),
            )
        };
        self.bundles.denied().map_or(Ok(()), |reason| Err(denied(reason)))
    }

    /// Whether another request may wait.
    fn has_room(&self) -> Result<(), ApiError> {
        let waiting = self.engine.waiting();
        if waiting < self.settings.max_waiting {
            return Ok(());
        }
        let message = format!("{waiting} requests are waiting already; come back a little later");
        Err(ApiError::later(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message, 1))
    }
}
