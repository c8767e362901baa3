//! `/v1/judge` and `/v1/moderations`.

use super::{Face, ask::Judged};
use crate::{app::App, arrival::Arrival, auth::Client, error::ApiError};
use axum::{Extension, Json, body::Bytes, extract::State};
use inferenceguard_gateways::{
    Part, Question, Verdict,
    judge::JudgeRequest,
    moderations::{self, ModerationRequest},
};
use serde_json::Value;
use std::sync::Arc;

/// `POST /v1/judge`.
pub(crate) async fn judge(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Arc<Client>>,
    Extension(arrival): Extension<Arc<Arrival>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let request = JudgeRequest::parse(&body)?;
    request.model.as_deref().map_or(Ok(()), |model| app.check_model(model))?;
    let on_unsafe = request.on_unsafe.unwrap_or(app.settings.judge.on_unsafe);
    let verdicts = app.ask_all(Face::Judge, &client, vec![request.question.clone()], &arrival).await?;
    let verdict = verdicts.first().ok_or_else(none)?;
    Ok(Json(request.answer(verdict, on_unsafe)))
}

/// `POST /v1/moderations`.
pub(crate) async fn moderations(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Arc<Client>>,
    Extension(arrival): Extension<Arc<Arrival>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let request = ModerationRequest::parse(&body, app.settings.judge.max_texts)?;
    let verdicts = app.ask_all(Face::Moderations, &client, request.questions(), &arrival).await?;
    let id = verdicts.first().map(|verdict| format!("modr-{}", verdict.id)).ok_or_else(none)?;
    Ok(Json(moderations::answer(&id, &app.model, &verdicts)))
}

fn none() -> ApiError {
    ApiError::bad("input", "there is no text")
}

/// What an interface calls the fields of `/v1/judge`.
fn fields(face: Face, part: Part) -> &'static [(&'static str, &'static str)] {
    const BUNDLE: (&str, &str) = ("bundle", "additional_provider_specific_params.bundle");
    match (face, part) {
        (Face::Moderations, _) => &[("answer", "input"), ("messages", "input"), ("bundle", "inferenceguard.bundle")],
        (Face::Litellm, Part::Prompt) => {
            &[("answer", "structured_messages"), ("messages", "structured_messages"), BUNDLE]
        }
        (Face::Litellm, _) => &[("answer", "texts"), ("messages", "structured_messages"), BUNDLE],
        _ => &[],
    }
}

impl App {
    /// The verdicts on all questions of a request, in order. Their ends are counted once all of them are there; if one fails,
    /// the request ends with its error.
    pub(super) async fn ask_all(
        self: &Arc<Self>,
        face: Face,
        client: &Arc<Client>,
        questions: Vec<Question>,
        arrival: &Arc<Arrival>,
    ) -> Result<Vec<Verdict>, ApiError> {
        let mut all: Vec<(_, Judged)> = Vec::new();
        for question in questions {
            let part = question.part;
            let judged = self.ask(client, Ok(question), arrival).await;
            all.push((part, judged.map_err(|error| error.rename_param(fields(face, part)))?));
        }
        all.iter().for_each(|(part, judged)| self.report(face, *part, judged, arrival));
        Ok(all.into_iter().map(|(_, judged)| judged.verdict).collect())
    }
}
