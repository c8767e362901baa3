//! One question and its verdict.

use super::{Face, ask_error::AskError};
use crate::{
    admission::{Admitted, Slot},
    app::App,
    arrival::Arrival,
    auth::Client,
    deploy::without_canary,
    end::End,
    error::ApiError,
    failures,
};
use axum::http::StatusCode;
use inferenceguard_gateways::{BundleName, ModelNames, Part, Price, Question, Standing, Verdict};
use inferenceguard_host::{CancelToken, Engine, Generation, Judgement, Models, Prepared, Request, Terms};
use inferenceguard_model::ModelError;
use inferenceguard_search::{ConstraintReport, RoleFailure, RolesInfo};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::spawn_blocking, time::timeout};

/// A question, or why its text cannot be judged.
pub(super) type Asked = Result<Question, String>;

/// A verdict, and how long it took.
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    seconds: f64,
}

/// Why there is no verdict, and in which lane that happened.
struct Unjudged {
    lane: Option<String>,
    error: ApiError,
}

/// A question on its way through the engine.
struct Work {
    app: Arc<App>,
    asked: Asked,
    id: String,
    terms: Terms,
    cancel: CancelToken,
    _slots: Vec<Slot>,
}

impl App {
    /// Answers a question of a client. Counts what a canary is judged by: how each question ended, and what failed. Counts no
    /// end of a request, which may have several questions.
    ///
    /// # Errors
    /// 401 to 503 as for other requests; 503 `model_broken`; 504 `deadline_exceeded`; 404 `bundle_not_found`.
    pub(super) async fn ask(
        self: &Arc<Self>,
        client: &Arc<Client>,
        asked: Asked,
        arrival: &Arc<Arrival>,
    ) -> Result<Judged, ApiError> {
        let start = Instant::now();
        self.check_models()?;
        let admitted = self.admission.admit(&self.deployer.denial, client, "judge", 1)?;
        let terms = self.terms(client, &admitted);
        // Dropped with this future, if the gateway leaves: then the judgement is cancelled.
        let Admitted { id, slots, entry, .. } = admitted;
        let most = self.settings.judge.deadline();
        let asked_for = asked.as_ref().ok().and_then(|question| question.deadline_ms).map(Duration::from_millis);
        let cancel = entry.cancel.clone();
        let work = Work { app: Arc::clone(self), asked, id, terms, cancel: cancel.clone(), _slots: slots };
        let (lane, span) = (work.terms.lane.clone(), Arc::clone(arrival));
        let ran = spawn_blocking(move || span.span.within(|| work.run()));
        let ran = match timeout(asked_for.map_or(most, |asked| asked.min(most)), ran).await {
            Ok(ran) => ran.unwrap_or_else(|_| Err(Unjudged { lane, error: lost() })),
            Err(_) => {
                cancel.cancel();
                Err(Unjudged { lane, error: late() })
            }
        };
        match ran {
            Ok((verdict, failures)) => {
                self.metrics.count_failures(&failures);
                failures::log(&failures);
                let end = end_of(verdict.standing);
                self.deployer.count_end(verdict.lane.as_deref(), end, !failures.is_empty());
                Ok(Judged { verdict, seconds: start.elapsed().as_secs_f64() })
            }
            Err(Unjudged { lane, error }) => {
                let error = self.denied_or(error);
                self.deployer.count_end(lane.as_deref(), error.end(), false);
                Err(error)
            }
        }
    }

    /// An error of a judgement that a denial cancelled says so.
    fn denied_or(&self, error: ApiError) -> ApiError {
        self.deployer.denial.check().map_or_else(ApiError::from, |()| error)
    }

    /// Counts and traces a verdict.
    pub(super) fn report(&self, face: Face, part: Part, judged: &Judged, arrival: &Arrival) {
        let Judged { verdict, seconds } = judged;
        self.metrics.count_judgement(face.name(), part.name(), verdict.standing.name());
        self.metrics.observe_judgement(*seconds);
        arrival.span.set_verdict(verdict);
        arrival.span.set_end(end_of(verdict.standing));
    }

    /// Whether the costs that judge this client's text read what the text answers.
    pub(super) fn reads_prompts(&self, client: &Client) -> Result<bool, ApiError> {
        let lane = client.tenant.layer.as_ref().map(|_| crate::deploy::tenant_lane(&client.name));
        let prepared = self.engine.prepared_in(lane.as_deref())?;
        Ok(reads_prompts(prepared.roles()?))
    }
}

impl Work {
    /// Judges on this thread.
    fn run(&self) -> Result<(Verdict, Vec<RoleFailure>), Unjudged> {
        let in_lane = |terms: &Terms, error: AskError| Unjudged { lane: terms.lane.clone(), error: error.into() };
        let error = match self.under(&self.terms) {
            Ok(judged) => return Ok(judged),
            Err(error) => error,
        };
        let Some(terms) = error.engine().and_then(|engine| without_canary(&self.terms, engine)) else {
            return Err(in_lane(&self.terms, error));
        };
        let result = self.under(&terms);
        error.engine().into_iter().for_each(|error| self.app.deployer.count_retry(error, result.is_ok()));
        result.map_err(|error| in_lane(&terms, error))
    }

    fn under(&self, terms: &Terms) -> Result<(Verdict, Vec<RoleFailure>), AskError> {
        let prepared = self.app.engine.prepared_in(terms.lane.as_deref())?;
        let unjudged = self.unjudged(&prepared, terms);
        let question = match &self.asked {
            Err(reason) => return Ok((Verdict { reason: Some(reason.clone()), ..unjudged }, Vec::new())),
            Ok(question) => question,
        };
        if let Some(wanted) = question.bundle.as_ref().filter(|wanted| **wanted != unjudged.bundle.name) {
            return Err(AskError::OtherBundle { wanted: wanted.clone(), active: unjudged.bundle.name });
        }
        if question.conversation.is_none() && question.part != Part::Prompt && reads_prompts(prepared.roles()?) {
            let reason = "the costs of this bundle read the prompt, and the prompt of this text is not known";
            return Ok((Verdict { reason: Some(reason.to_owned()), ..unjudged }, Vec::new()));
        }
        let judged = judge_question(&self.app.engine, question, (&prepared, terms), &self.cancel)?;
        Ok((with(unjudged, question, &judged), judged.failures))
    }

    /// The verdict before anything was priced.
    fn unjudged(&self, prepared: &Prepared, terms: &Terms) -> Verdict {
        let Generation { number: generation, bundle, .. } = prepared.generation();
        Verdict {
            id: self.id.clone(),
            standing: Standing::Unjudged,
            prices: Vec::new(),
            reason: None,
            failures: Vec::new(),
            refusal: prepared.refusal().to_owned(),
            judged_chars: 0,
            bundle: BundleName { name: bundle.name, version: bundle.version, digest: bundle.digest },
            models: model_names(self.app.engine.models()),
            generation,
            lane: terms.lane.clone(),
        }
    }
}

fn model_names(models: &Models) -> ModelNames {
    let scores = models.scores.iter().map(|(name, one)| (name.clone(), one.fingerprint.clone()));
    ModelNames { model: models.model.fingerprint.clone(), scores: scores.collect() }
}

/// Score models read the conversation as well.
fn reads_prompts(roles: &RolesInfo) -> bool {
    roles.costs.values().any(|cost| cost.needs.prompt || !cost.needs.scores.is_empty())
}

fn judge_question(
    engine: &Engine,
    question: &Question,
    (prepared, terms): (&Prepared, &Terms),
    cancel: &CancelToken,
) -> Result<Judgement, AskError> {
    let tokens = engine.tokenizer().encode_continued(question.judged_text());
    let tokens = tokens.map_err(|error| AskError::Text(ModelError::from(error).into()))?;
    let request = match &question.conversation {
        Some(conversation) => {
            Request { history: conversation.history.clone(), ..Request::new(conversation.prompt.clone()) }
        }
        None => Request::default(),
    };
    Ok(engine.under(terms).judge_answer(prepared, &request, &tokens, cancel)?)
}

fn with(unjudged: Verdict, question: &Question, judged: &Judgement) -> Verdict {
    let standing = match (judged.failures.is_empty(), judged.within_budget) {
        (false, _) => Standing::Failed,
        (true, true) => Standing::Within,
        (true, false) => Standing::Exceeded,
    };
    let price = |report: &ConstraintReport| Price {
        name: report.name.clone(),
        spent: report.cost,
        max: report.max_cost,
        whole: report.whole,
        budget: report.budget,
    };
    Verdict {
        standing,
        prices: judged.constraints.iter().map(price).collect(),
        failures: failures::shown(&judged.failures),
        judged_chars: question.judged_text().chars().count(),
        ..unjudged
    }
}

/// As what a judgement counts for canaries and spans.
fn end_of(standing: Standing) -> End {
    match standing {
        Standing::Within => End::Answered,
        Standing::Exceeded | Standing::Unjudged => End::Refused,
        Standing::Failed => End::Failed,
    }
}

fn late() -> ApiError {
    let message = "the text was not judged before the deadline; send less text, or raise `deadline_ms`";
    ApiError::later(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", message, 1)
}

fn lost() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", "a judgement was lost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kept_budget_counts_as_answered() {
        for (standing, end) in [
            (Standing::Within, End::Answered),
            (Standing::Exceeded, End::Refused),
            (Standing::Unjudged, End::Refused),
            (Standing::Failed, End::Failed),
        ] {
            assert_eq!(end_of(standing), end);
        }
        assert_eq!((late().end(), late().status.as_u16()), (End::Late, 504));
    }
}
