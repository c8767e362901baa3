//! What a bundle would have said of an answer that is already there.

use crate::{
    CancelToken, Engine, EngineError, Output, Prepared, Request,
    beams::Beams,
    deployment::Deployment,
    driver::Driver,
    engine::{drive, unfinished, vocabulary},
    profile::Stopwatch,
    request::ValidRequest,
    scores::Scores,
};
use inferenceguard_model::Token;
use inferenceguard_search::{
    Audit, Batch, ConstraintReport, Decision, Needs, OnExhausted, Plan, Policy, PricedConstraint, Pricing, Release,
    RoleFailure, SearchConfig, SearchError, Session, Source, Status, Vocabulary,
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
        // Tokens are taken, not drawn.
        valid.config.sampling.repetition_penalty = 1.0;
        valid.config.limits.chunks = u32::MAX;
        valid.config.on_exhausted = OnExhausted::LeastViolation;
        if tokens.is_empty() {
            return Ok(unspoken(deployment.generation, &valid.config));
        }
        let ready = deployment.method(&valid.method)?;
        let (mut roles, _holder) = self.instances().for_request(cancel, || ready.roles.open())?;
        (roles.policy, roles.critic, roles.steering) = (Box::new(Follow(Needs::default())), None, None);
        let tokenizer = inferenceguard_model::Model::tokenizer(&model);
        let vocabulary = ended_by_the_last(vocabulary(self.model()), tokens);
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
        if outcome.tokens != tokens && outcome.failures.is_empty() && !cancel.is_cancelled() {
            return Err(partly(outcome.tokens.len(), tokens.len()).into());
        }
        Ok(Judgement {
            generation: deployment.generation,
            within_budget: outcome.status == Status::WithinBudget,
            constraints: outcome.constraints.clone(),
            failures: outcome.failures.clone(),
        })
    }
}

/// What is said of an answer without tokens: there is nothing to charge.
fn unspoken(generation: u64, config: &SearchConfig) -> Judgement {
    let nothing = Audit::with_margin(config.margin);
    let report = |priced: &PricedConstraint| ConstraintReport {
        name: priced.constraint.name.clone(),
        budget: priced.constraint.budget,
        cost: 0.0,
        max_cost: 0.0,
        z: Vec::new(),
        whole: None,
    };
    Judgement {
        generation,
        within_budget: config.constraints.iter().all(|priced| nothing.holds(&priced.constraint)),
        constraints: config.constraints.iter().map(report).collect(),
        failures: Vec::new(),
    }
}

/// Only the last token may end an answer that is there already: an end token before it was said as any other token, and
/// what stands behind it was said too.
fn ended_by_the_last(vocabulary: Vocabulary, tokens: &[Token]) -> Vocabulary {
    let early =
        tokens.split_last().is_some_and(|(_, before)| before.iter().any(|token| vocabulary.eos.contains(token)));
    if early { Vocabulary { eos: Vec::new(), ..vocabulary } } else { vocabulary }
}

/// A verdict on a part of an answer is none.
fn partly(priced: usize, answer: usize) -> SearchError {
    SearchError::Protocol { need: "to price all tokens of an answer", answer: format!("{priced} of {answer}") }
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
