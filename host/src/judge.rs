//! What a bundle would have said of an answer that is already there.

use crate::{
    CancelToken, Engine, EngineError, Output, Prepared, Request,
    beams::Beams,
    deployment::Deployment,
    driver::Driver,
    engine::{drive, unfinished, vocabulary},
    instances,
    profile::Stopwatch,
    request::ValidRequest,
    scores::Scores,
};
use inferenceguard_model::Token;
use inferenceguard_search::{
    Batch, ConstraintReport, Decision, Needs, OnExhausted, Plan, Policy, Pricing, Release, RoleFailure, Session,
    Source, Status,
};
use serde::Serialize;
use std::sync::Arc;

/// Tokens priced together.
const CHUNK: u32 = 32;

/// What a bundle says of an answer. It is a statement beside the answer: there is no way from here into one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Judgement {
    /// The generation that judged.
    pub generation: u64,
    /// Whether all its constraints held.
    pub within_budget: bool,
    /// Its constraints.
    pub constraints: Vec<ConstraintReport>,
    /// Components that failed; then the answer is not within budget.
    pub failures: Vec<RoleFailure>,
}

impl Engine {
    /// Prices an answer by the costs, the tracker and the audit of a bundle: as `request`, its ids as they are.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn judge(&self, judge: &Prepared, request: &Request, output: &Output) -> Result<Judgement, EngineError> {
        self.judge_tokens(judge, request, &output.tokens)
    }

    /// As [`Engine::judge`], for ids from elsewhere, such as a record.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn judge_tokens(
        &self,
        judge: &Prepared,
        request: &Request,
        tokens: &[Token],
    ) -> Result<Judgement, EngineError> {
        let cancel = CancelToken::new();
        let _place = self.gate().enter(&cancel)?;
        self.judged(&judge.0, request, tokens, &cancel)
    }

    /// The same for one who has a place already; what is cancelled says nothing of the rest of the answer. The prompt may
    /// be empty, if the model's chat template takes that.
    pub(crate) fn judged(
        &self,
        deployment: &Deployment,
        request: &Request,
        tokens: &[Token],
        cancel: &CancelToken,
    ) -> Result<Judgement, EngineError> {
        let (mut model, mut scores) = self.back_ends();
        let request = Request { method: None, max_tokens: None, release: Some(Release::AtEnd), ..request.clone() };
        let mut valid = ValidRequest::of_answer(request, tokens.len(), deployment, &model, &scores)?;
        // Nothing but the ids decides where it ends, and what goes out is only looked at.
        valid.config.stop.clear();
        valid.config.on_exhausted = OnExhausted::LeastViolation;
        let ready = deployment.method(&valid.method)?;
        let mut roles = instances::for_request(self.gate(), cancel, || ready.roles.open())?;
        (roles.policy, roles.critic, roles.steering) = (Box::new(Follow(Needs::default())), None, None);
        let (tokenizer, vocabulary) = (inferenceguard_model::Model::tokenizer(&model), vocabulary(self.model()));
        let info = roles.info();
        let mut driver = Driver {
            beams: Beams::new(&mut model),
            scores: Scores::new(&mut scores, valid.messages, Arc::clone(&tokenizer)),
            roles,
            more: Vec::new(),
            watch: Stopwatch::default(),
            forced: Some(tokens.iter().copied().collect()),
        };
        let mut session = Session::new(valid.config, info, vocabulary, &valid.prompt, valid.prompt_tokens, tokenizer)?;
        drive(&mut session, &mut driver, cancel, None, &mut |_| {})?;
        let outcome = session.outcome().ok_or_else(unfinished)?;
        Ok(Judgement {
            generation: deployment.generation,
            within_budget: outcome.status == Status::WithinBudget,
            constraints: outcome.constraints.clone(),
            failures: outcome.failures.clone(),
        })
    }
}

/// A policy with one candidate, kept whatever it costs.
struct Follow(Needs);

impl Policy for Follow {
    fn needs(&self) -> &Needs {
        &self.0
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        Ok(Plan {
            candidates: vec![1; rows.rows.len()],
            chunk_len: CHUNK,
            source: Source::Sample,
            pricing: Pricing::All,
            task_cost: false,
            estimate: false,
            retry_candidates: None,
            keep: None,
            unknown_options: Vec::new(),
        })
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        Ok(match rows.rows.first() {
            Some(row) if row.finished => Decision::Answer(0),
            Some(_) => Decision::Keep(vec![0]),
            None => Decision::Exhausted,
        })
    }
}
