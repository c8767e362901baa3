//! LiteLLM's generic guardrail route: joins the two calls of a request.

use super::{Face, Prompts};
use crate::{app::App, arrival::Arrival, auth::Client, error::ApiError};
use axum::{Extension, Json, body::Bytes, extract::State};
use inferenceguard_gateways::{
    Conversation, Part,
    litellm::{self, Call, Content, Input},
};
use serde_json::Value;
use std::sync::Arc;

/// `POST /beta/litellm_basic_guardrail_api`.
pub(crate) async fn litellm(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Arc<Client>>,
    Extension(arrival): Extension<Arc<Arrival>>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let call = Call::parse(&body, app.settings.judge.max_texts)?;
    let caller = Caller { app, client, arrival };
    let answer = match &call.input {
        Input::Request(content) => caller.prompt(&call, content).await?,
        Input::Response(content) => caller.answer(&call, content).await?,
    };
    Ok(Json(answer))
}

/// Who calls.
struct Caller {
    app: Arc<App>,
    client: Arc<Client>,
    arrival: Arc<Arrival>,
}

impl Caller {
    /// A prompt is remembered for its answer, after it was judged if the operator wants that.
    async fn prompt(&self, call: &Call, content: &Content<Conversation>) -> Result<Value, ApiError> {
        let (app, screens) = (&self.app, self.app.settings.judge.prompts == Prompts::Screen);
        let reads = app.reads_prompts(&self.client)?;
        let conversation = match content {
            Err(reason) if reads || screens => return self.unjudged(Part::Prompt, reason).await,
            Err(_) => return self.wait_for_answer(),
            Ok(conversation) => conversation,
        };
        if reads && call.id.is_none() {
            let message = "`litellm_call_id` is missing; without it nobody knows which answer belongs to this prompt";
            return Err(ApiError::with_code("missing_required_parameter", "litellm_call_id", message));
        }
        if screens {
            let question = vec![call.screen(&conversation.prompt)];
            let verdicts = app.ask_all(Face::Litellm, &self.client, question, &self.arrival).await?;
            if let Some(verdict) = verdicts.iter().find(|verdict| !verdict.standing.passes()) {
                return Ok(litellm::blocked(&verdict.refusal));
            }
        }
        if let Some(id) = &call.id {
            let full = app.gateways.remember(&self.client, id, conversation.clone()).err();
            full.filter(|_| reads).map_or(Ok(()), Err)?;
        }
        if screens { Ok(litellm::pass()) } else { self.wait_for_answer() }
    }

    /// An answer is judged as one to the prompt with the same id.
    async fn answer(&self, call: &Call, content: &Content<Vec<String>>) -> Result<Value, ApiError> {
        let texts = match content {
            Err(reason) => return self.unjudged(Part::Answer, reason).await,
            Ok(texts) => texts,
        };
        let asked = call.id.as_deref().and_then(|id| self.app.gateways.find(&self.client, id));
        let questions = call.questions(texts, asked.as_ref());
        let verdicts = self.app.ask_all(Face::Litellm, &self.client, questions, &self.arrival).await?;
        Ok(litellm::answer(texts, &verdicts, call.on_unsafe.unwrap_or_default()))
    }

    /// The prompt passes and is not judged: its answer will be. A denial holds for it as well.
    fn wait_for_answer(&self) -> Result<Value, ApiError> {
        self.app.check_models()?;
        self.app.deployer.denial.check()?;
        self.app.metrics.count_judgement(Face::Litellm.name(), Part::Prompt.name(), "waits_for_answer");
        Ok(litellm::pass())
    }

    /// Blocks what cannot be judged.
    async fn unjudged(&self, part: Part, reason: &str) -> Result<Value, ApiError> {
        let judged = self.app.ask(&self.client, Err(reason.to_owned()), &self.arrival).await?;
        self.app.report(Face::Litellm, part, &judged, &self.arrival);
        Ok(litellm::blocked(reason))
    }
}
