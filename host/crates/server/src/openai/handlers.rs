//! The paths under `/v1`.

use super::{
    answer::{Head, Style},
    ask::{Asked, Chat, Common, Completion, Defaults},
    job::{self, Job, Said},
    stream,
};
use crate::{app::App, auth::Client, error::ApiError, layers::lane_of, settings::BudgetPer, span::RequestSpan};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
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
use tokio_stream::wrappers::UnboundedReceiverStream;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Arc<Client>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let chat: Chat = parse(&body)?;
    app.serves(&chat.common)?;
    answer(app, &client, &headers, Style::Chat, |defaults| chat.asked(defaults)).await
}

/// `POST /v1/completions`.
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Arc<Client>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let completion: Completion = parse(&body)?;
    app.serves(&completion.common)?;
    answer(app, &client, &headers, Style::Completion, |defaults| completion.asked(defaults)).await
}

/// `GET /v1/models`.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [app.described()]}))
}

/// `GET /v1/models/{model}`.
pub(crate) async fn model(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    app.is_served(&name)?;
    Ok(Json(app.described()))
}

/// One sentence for whatever is wrong with a body.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let bad = |message: String| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", message);
    let text = std::str::from_utf8(body).map_err(|error| bad(format!("the body is not UTF-8: {error}")))?;
    serde_json::from_str(text).map_err(|error| bad(format!("the body does not fit: {error}")))
}

async fn answer(
    app: Arc<App>,
    client: &Arc<Client>,
    headers: &HeaderMap,
    style: Style,
    asked: impl FnOnce(&Defaults) -> Result<Asked, ApiError>,
) -> Result<Response, ApiError> {
    let mut asked = asked(&app.defaults())?;
    app.is_open()?;
    let crowd = app.crowd.waiting();
    let places = app.places(client, asked.choices)?;
    asked.request.ceilings.clone_from(&client.tenant.budgets);
    let own = client.tenant.layer.as_ref().map(|_| lane_of(&client.name));
    asked.request.lane = own.or_else(|| app.bundles.lane_of_crowd(crowd));
    asked.request.whole_conversation = app.settings.budget_per == BudgetPer::Conversation;
    let number = app.numbers.fetch_add(1, Ordering::Relaxed);
    let head = Head { style, id: format!("{}-{number}", prefix(style)), created: now(), model: app.model.clone() };
    let entry = app.live.enter(number, &head.id, &client.name);
    // A denial that came meanwhile has not cancelled this one.
    app.is_open()?;
    let span = Arc::new(RequestSpan::begin(&app, headers, style, &asked.request, &head.id));
    let job = Job { number, cancel: entry.cancel.clone(), span };
    if asked.stream {
        return stream::respond(app, asked, head, entry, places, &job).await;
    }
    let tokenizer = asked.logprobs.then(|| app.engine.tokenizer());
    let outputs = whole(job::start(&app, asked.request, places, &job), asked.choices as usize).await?;
    Ok(Json(head.answer(&outputs, tokenizer.as_deref())).into_response())
}

/// The outputs of all choices, in order.
async fn whole(mut said: UnboundedReceiverStream<Said>, choices: usize) -> Result<Vec<Output>, ApiError> {
    let mut outputs: Vec<(usize, Output)> = Vec::new();
    while outputs.len() < choices {
        if let Said::Ended(index, result) = said.next().await.ok_or_else(job::lost)? {
            outputs.push((index, *result?));
        }
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
        common.model.as_ref().map_or(Ok(()), |model| self.is_served(model))
    }

    fn is_served(&self, model: &str) -> Result<(), ApiError> {
        if model == self.model {
            return Ok(());
        }
        let message = format!("the model `{model}` is not served here; there is `{}`", self.model);
        let error = ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message);
        Err(ApiError { param: Some("model".into()), ..error })
    }

    fn described(&self) -> Value {
        json!({"id": self.model, "object": "model", "created": self.since, "owned_by": "inferenceguard"})
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            sampling: self.engine.sampling(),
            release: self.settings.release,
            max_choices: self.settings.max_choices,
        }
    }
}
