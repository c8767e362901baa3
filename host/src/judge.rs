//! What a bundle says of an answer that exists already.

use crate::{
    CancelToken, Engine, EngineError, Output, Prepared, Request, Terms, back_ends,
    deployment::Deployment,
    driver::Driver,
    growing::Forced,
    instances::Wait,
    request::ValidRequest,
    roles::readers,
    run::{drive, unfinished, vocabulary},
};
use inferenceguard_model::{Abilities, Token};
use inferenceguard_search::{
    Audit, Batch, ConstraintReport, Decision, Needs, OnExhausted, Outcome, Plan, Policy, PricedConstraint, PricedText,
    Release, RoleFailure, SearchConfig, SearchError, Session, Status, Vocabulary,
};
use serde::Serialize;

/// Tokens priced together.
const CHUNK: u32 = 32;

/// What a bundle says of an answer. It changes no answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Judgement {
    /// The generation that judged; 0 if it judged a text without an engine.
    pub generation: u64,
    /// Whether all its constraints held.
    pub within_budget: bool,
    /// Its constraints.
    pub constraints: Vec<ConstraintReport>,
    /// Components that failed; then the answer is not within budget.
    pub failures: Vec<RoleFailure>,
}

impl Judgement {
    /// Of a text that was priced without a model.
    #[must_use]
    pub fn of_text(priced: &[PricedText]) -> Self {
        let report = |one: &PricedText| ConstraintReport {
            name: one.constraint.name.clone(),
            budget: one.constraint.budget,
            cost: one.counted,
            max_cost: one.counted,
            z: Vec::new(),
            whole: Some(one.counted),
        };
        Self {
            generation: 0,
            within_budget: priced.iter().all(|one| one.holds),
            constraints: priced.iter().map(report).collect(),
            failures: Vec::new(),
        }
    }

    /// This judgement after components failed on earlier turns: then nobody knows what is left of the budgets.
    pub(crate) fn after(mut self, earlier: Vec<RoleFailure>) -> Self {
        self.within_budget &= earlier.is_empty();
        self.failures.extend(earlier);
        self
    }
}

impl Engine {
    /// Prices an answer by the costs, the tracker and the audit of a bundle: as `request`, its ids as they are.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn judge(&self, judge: &Prepared, request: &Request, output: &Output) -> Result<Judgement, EngineError> {
        self.under(&Terms::default()).judge_tokens(judge, request, &output.tokens)
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
        self.under(&Terms::default()).judge_tokens(judge, request, tokens)
    }

    /// Same, for a caller that is admitted already. A cancelled call covers only part of the answer. The prompt may be
    /// empty, if the model's chat template takes that.
    pub(crate) fn judge_admitted(
        &self,
        deployment: &Deployment,
        (request, terms, wait): (&Request, &Terms, Wait),
        tokens: &[Token],
        cancel: &CancelToken,
    ) -> Result<Judgement, EngineError> {
        let request = Request { method: None, max_tokens: None, release: Some(Release::AtEnd), ..request.clone() };
        self.check_health(&deployment.requested_method(&request)?.info)?;
        if deployment.config.constraints.is_empty() {
            return Err(EngineError::Unguarded);
        }
        let mut handles = self.handles(&terms.caller(cancel));
        let mut valid = ValidRequest::of_answer((&request, terms), tokens.len(), deployment, &handles)?;
        take_as_it_is(&mut valid.config);
        if tokens.is_empty() {
            return Ok(of_nothing(deployment.generation, &valid.config));
        }
        let ready = deployment.method(&valid.method)?;
        let (mut roles, _holder) = self.instances().take(wait, cancel, || ready.roles.open())?;
        (roles.policy, roles.critic, roles.steering) = (Box::new(KeepOnly(Needs::default())), None, None);
        let tokenizer = self.tokenizer();
        let vocabulary = ended_by_the_last(vocabulary(self.model()), tokens);
        let info = roles.info();
        let logprobs = readers(&info).iter().any(|(_, _, needs)| needs.logprobs);
        if logprobs || terms.whole_conversation {
            check_forced(&handles.abilities)?;
        }
        let mut driver = Driver::new(&mut handles, valid.method, valid.messages, (roles, &info));
        driver.forced = Some(Forced::new(tokens, logprobs));
        let mut session = Session::new(valid.config, info, vocabulary, &valid.prompt, valid.prompt_tokens, tokenizer)?;
        drive(&mut session, &mut driver, cancel, None, &mut |_| {})?;
        let outcome = session.outcome().ok_or_else(unfinished)?;
        if outcome.tokens != tokens && outcome.failures.is_empty() && !cancel.is_cancelled() {
            return Err(partly(outcome.tokens.len(), tokens.len()).into());
        }
        Ok(of_outcome(deployment.generation, outcome))
    }
}

/// Only the ids decide where the answer ends, and nothing is released.
fn take_as_it_is(config: &mut SearchConfig) {
    config.stop.clear();
    // Tokens are taken, not drawn.
    config.sampling.repetition_penalty = 1.0;
    config.limits.chunks = u32::MAX;
    config.on_exhausted = OnExhausted::LeastViolation;
}

/// Whether the engine gives log-probabilities of tokens that it did not choose.
pub(crate) fn check_forced(abilities: &Abilities) -> Result<(), EngineError> {
    match abilities.forced {
        true => Ok(()),
        false => Err(EngineError::Unpriceable { engine: back_ends::engine(&abilities.engine) }),
    }
}

/// The judgement of an answer whose tokens were all taken.
fn of_outcome(generation: u64, outcome: &Outcome) -> Judgement {
    Judgement {
        generation,
        within_budget: outcome.status == Status::WithinBudget,
        constraints: outcome.constraints.clone(),
        failures: outcome.failures.clone(),
    }
}

/// The judgement of an answer without tokens: there is nothing to charge.
fn of_nothing(generation: u64, config: &SearchConfig) -> Judgement {
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

/// Only the last token may end an answer that exists already: an end token before it was emitted like any other token, and
/// so was the text after it.
fn ended_by_the_last(vocabulary: Vocabulary, tokens: &[Token]) -> Vocabulary {
    let early =
        tokens.split_last().is_some_and(|(_, before)| before.iter().any(|token| vocabulary.eos.contains(token)));
    if early { Vocabulary { eos: Vec::new(), ..vocabulary } } else { vocabulary }
}

/// The error for an answer of which only a part was priced.
fn partly(priced: usize, answer: usize) -> SearchError {
    SearchError::Protocol { need: "to price all tokens of an answer", answer: format!("{priced} of {answer}") }
}

/// A policy with one candidate, kept whatever it costs.
struct KeepOnly(Needs);

impl Policy for KeepOnly {
    fn needs(&self) -> &Needs {
        &self.0
    }

    fn plan(&mut self, rows: &Batch) -> Result<Plan, RoleFailure> {
        Ok(Plan::new(vec![1; rows.rows.len()], CHUNK))
    }

    fn select(&mut self, rows: &Batch) -> Result<Decision, RoleFailure> {
        Ok(match rows.rows.first() {
            Some(row) if row.finished => Decision::Answer(0),
            Some(_) => Decision::Keep(vec![0]),
            None => Decision::Exhausted,
        })
    }
}
