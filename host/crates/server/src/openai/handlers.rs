//! The paths under `/v1`.

use super::{
    answer::{Envelope, Style},
    job::{self, ChoiceEvent, Job},
    request::{self, ClientRequest, Defaults},
    stream,
};
use crate::{admission::Admitted, app::App, arrival::Arrival, auth::Client, error::ApiError, settings::Settings};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use inferenceguard_bundle::seconds_since_1970;
use inferenceguard_gateways::Fields;
use inferenceguard_host::{Output, Request};
use serde_json::{Value, json};
use std::sync::Arc;
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
    // The engine names the conversation; here the prompt is all of it.
    answered.map_err(|error| match error.code {
        "invalid_value" | "context_length_exceeded" => error.rename_param(&[("messages", "prompt")]),
        _ => error,
    })
}

/// `GET /v1/models`.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({"object": "list", "data": [app.model_object()]}))
}

/// `GET /v1/models/{model}`.
pub(crate) async fn model(
    State(app): State<Arc<App>>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let Path(name) =
        name.map_err(|_| ApiError::new(StatusCode::NOT_FOUND, "model_not_found", "the name is not UTF-8"))?;
    app.check_model(&name)?;
    Ok(Json(app.model_object()))
}

async fn answer(
    app: Arc<App>,
    client: &Arc<Client>,
    arrival: Arc<Arrival>,
    style: Style,
    body: &[u8],
) -> Result<Response, ApiError> {
    let ClientRequest { request, choices, output } = app.parse(style, body)?;
    let admitted = app.admission.admit(&app.deployer.denial, client, prefix(style), choices)?;
    let terms = app.terms(client, &admitted);
    let request = Request { record: app.records.get().is_some(), ..request };
    let Admitted { number, id, slots, entry, .. } = admitted;
    arrival.span.set_request(&request, &id);
    let envelope =
        Envelope { style, id, created: seconds_since_1970(), model: app.model.clone(), why: app.settings.why };
    let job = Job { number, cancel: entry.cancel.clone(), arrival, terms, streams: output.stream };
    let events = job::start(&app, request, slots, &job);
    if output.stream {
        return stream::respond(app, envelope, output, choices, events, entry).await;
    }
    let tokenizer = output.logprobs.then(|| app.engine.tokenizer());
    let outputs = all_outputs(events, choices as usize).await?;
    Ok(Json(envelope.answer(&outputs, tokenizer.as_deref())).into_response())
}

/// The outputs of all choices, in order.
async fn all_outputs(
    mut events: UnboundedReceiverStream<ChoiceEvent>,
    choices: usize,
) -> Result<Vec<Output>, ApiError> {
    let mut outputs: Vec<(usize, Output)> = Vec::new();
    while outputs.len() < choices {
        if let ChoiceEvent::Ended(index, result) = events.next().await.ok_or_else(job::lost)? {
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
    /// The request in a body, to the model that is served.
    fn parse(&self, style: Style, body: &[u8]) -> Result<ClientRequest, ApiError> {
        let mut fields = Fields::parse(body)?;
        request::model(&mut fields)?.map_or(Ok(()), |model| self.check_model(&model))?;
        match style {
            Style::Chat => request::chat(fields, &self.defaults()),
            Style::Completion => request::completion(fields, &self.defaults()),
        }
    }

    pub(crate) fn check_model(&self, model: &str) -> Result<(), ApiError> {
        if model == self.model {
            return Ok(());
        }
        let message = format!("the model `{model}` is not served here; there is `{}`", self.model);
        let error = ApiError::new(StatusCode::NOT_FOUND, "model_not_found", message);
        Err(ApiError { param: Some("model".into()), ..error })
    }

    fn model_object(&self) -> Value {
        json!({"id": self.model, "object": "model", "created": self.since, "owned_by": "inferenceguard"})
    }

    fn defaults(&self) -> Defaults {
        let Settings { release, max_choices, max_top_logprobs, .. } = self.settings;
        Defaults { release, max_choices, max_top_logprobs }
    }
}
