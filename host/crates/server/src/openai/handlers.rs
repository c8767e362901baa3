//! The paths under `/v1`.

use super::{
    answer::{Head, Style},
    ask::{self, Asked, Defaults},
    fields::Fields,
    job::{self, Job, Said},
    stream,
};
use crate::{
    app::App,
    arrival::Arrival,
    auth::Client,
    deploy::{seconds_since_1970, tenant_lane},
    error::ApiError,
    settings::BudgetPer,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use inferenceguard_host::Output;
use serde_json::{Value, json};
use std::sync::{Arc, atomic::Ordering};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Arc<Client>>,
    Extension(arrival): Extension<Arc<Arrival>>,
    body: Bytes,
) -> Result<Response, ApiError> {
    answer(app, &client, arrival, Style::Chat, &body).await
}

/// `POST /v1/completions`.
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Arc<Client>>,
    Extension(arrival): Extension<Arc<Arrival>>,
    body: Bytes,
) -> Result<Response, ApiError> {
    let answered = answer(app, &client, arrival, Style::Completion, &body).await;
    // What the engine says of a conversation is about the only text there is.
    answered.map_err(|error| match error.param.as_deref() {
        Some("messages") if matches!(error.code, "invalid_value" | "context_length_exceeded") => {
            ApiError { param: Some("prompt".into()), ..error }
        }
        _ => error,
    })
}

/// `GET /v1/models`.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [app.described()]}))
}

/// `GET /v1/models/{model}`.
pub(crate) async fn model(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    // A name that is no text is not this model's.
    let Path(name) =
        name.map_err(|_| ApiError::new(StatusCode::NOT_FOUND, "model_not_found", "the name is not UTF-8"))?;
    app.is_served(&name)?;
    Ok(Json(app.described()))
}

async fn answer(
    app: Arc<App>,
    client: &Arc<Client>,
    arrival: Arc<Arrival>,
    style: Style,
    body: &[u8],
) -> Result<Response, ApiError> {
    let mut asked = app.asked(style, body)?;
    app.deployer.denial.check()?;
    let crowd = app.crowd.waiting();
    let places = app.places(client, asked.choices)?;
    asked.request.ceilings.clone_from(&client.tenant.budgets);
    let own = client.tenant.layer.as_ref().map(|_| tenant_lane(&client.name));
    asked.request.lane = own.or_else(|| app.deployer.reduced_lane(crowd));
    asked.request.whole_conversation = app.settings.budget_per == BudgetPer::Conversation;
    let number = app.numbers.fetch_add(1, Ordering::Relaxed);
    let head = Head {
        style,
        id: format!("{}-{number}", prefix(style)),
        created: seconds_since_1970(),
        model: app.model.clone(),
    };
    let entry = app.live.enter(number, &head.id, &client.name);
    // A denial that came meanwhile has not cancelled this one.
    app.deployer.denial.check()?;
    arrival.span.asked(&asked.request, &head.id);
    let job = Job { number, cancel: entry.cancel.clone(), arrival };
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

impl App {
    /// What a body asks for, of the model that is served.
    fn asked(&self, style: Style, body: &[u8]) -> Result<Asked, ApiError> {
        let mut fields = Fields::parse(body)?;
        ask::model(&mut fields)?.map_or(Ok(()), |model| self.is_served(&model))?;
        match style {
            Style::Chat => ask::chat(fields, &self.defaults()),
            Style::Completion => ask::completion(fields, &self.defaults()),
        }
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
        Defaults { release: self.settings.release, max_choices: self.settings.max_choices }
    }
}
