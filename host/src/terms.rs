//! What the operator decides for a request, and an engine that answers under it.

use crate::{
    CancelToken, Engine, EngineError, Event, Judgement, Output, Prepared, Request, instances::Wait, judge::check_forced,
};
use inferenceguard_model::{Caller, ModelError, Token};
use std::collections::BTreeMap;

/// What the operator decides for a request, beside what its client asks for. The default adds nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Terms {
    /// The most that a client's budgets may be, by the name of the constraint, each in its cost's unit. A ceiling holds
    /// where it is smaller than the budgets of request and deployment.
    pub ceilings: BTreeMap<String, f64>,
    /// The lane whose bundle decides, see [`Engine::install`]; the main lane if left out.
    pub lane: Option<String>,
    /// Whether budgets are those of the whole conversation: the cost of the assistant's turns in the request's history is
    /// taken from them.
    pub whole_conversation: bool,
    /// Whether a bundle that is activated while the request runs binds it from the next chunk on: the constraints of that
    /// bundle then hold beside those that the request began with, for the whole answer; where budgets are those of the
    /// conversation, the new bundle prices the earlier turns too, and takes their cost from its own budgets. Requests whose
    /// critic decides, and bundles with a cost that reads latents, do not migrate.
    pub migrate: bool,
    /// Whose request it is. Back ends keep the prompts of tenants apart, here and in engines elsewhere, so that no tenant can find
    /// out by timing what another one asked.
    pub tenant: Option<String>,
}

impl Terms {
    /// The request, as its handles on back ends know it.
    pub(crate) fn caller(&self, cancel: &CancelToken) -> Caller {
        Caller { tenant: self.tenant.clone(), cancel: cancel.clone() }
    }
}

/// An engine whose requests are under an operator's terms; [`Engine::under`] gives one.
#[derive(Debug, Clone, Copy)]
pub struct UnderTerms<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) terms: &'e Terms,
}

impl UnderTerms<'_> {
    /// Whether the engine can do what these terms need, whatever is asked under them.
    ///
    /// # Errors
    /// [`EngineError::Unpriceable`] for budgets of whole conversations.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.terms.whole_conversation { check_forced(self.engine.abilities()) } else { Ok(()) }
    }

    /// As [`Engine::generate`].
    ///
    /// # Errors
    /// As [`Engine::generate`]; [`EngineError::UnknownLane`], [`EngineError::UnknownConstraint`] for terms that name what is
    /// not there.
    pub fn generate(&self, request: Request) -> Result<Output, EngineError> {
        self.stream(request, &CancelToken::new(), |_| {})
    }

    /// As [`Engine::stream`].
    ///
    /// # Errors
    /// As [`UnderTerms::generate`], and [`EngineError::CancelledWaiting`] if it is cancelled before its turn.
    pub fn stream(
        &self,
        request: Request,
        cancel: &CancelToken,
        mut on_event: impl FnMut(Event),
    ) -> Result<Output, EngineError> {
        self.run(&request, cancel, &mut on_event).map_err(|error| match error {
            // Once the answer has begun, the end of a cancelled request is an output.
            EngineError::Model(ModelError::Cancelled) => EngineError::CancelledWaiting,
            other => other,
        })
    }

    /// As [`Engine::judge_tokens`]; only the ceilings of the terms count.
    ///
    /// # Errors
    /// As [`UnderTerms::generate`].
    pub fn judge_tokens(
        &self,
        judge: &Prepared,
        request: &Request,
        tokens: &[Token],
    ) -> Result<Judgement, EngineError> {
        let cancel = CancelToken::new();
        let _admission = self.engine.gate().enter(&cancel)?;
        self.engine.judge_admitted(&judge.0, (request, self.terms, Wait::ForOthers), tokens, &cancel)
    }

    /// Prices an answer under all of the terms, until `cancel` is used. Where budgets are those of the whole conversation, the
    /// answer has what the earlier turns of the request left.
    ///
    /// # Errors
    /// As [`UnderTerms::generate`]; [`EngineError::CancelledWaiting`] if it is cancelled before all of the answer is priced.
    pub fn judge_answer(
        &self,
        judge: &Prepared,
        request: &Request,
        tokens: &[Token],
        cancel: &CancelToken,
    ) -> Result<Judgement, EngineError> {
        let _admission = self.engine.gate().enter(cancel)?;
        let (terms, earlier) = match request.history.is_empty() {
            true => (self.terms.clone(), Vec::new()),
            false => self.engine.less_spent(&judge.0, request, self.terms, cancel)?,
        };
        let judged = self.engine.judge_admitted(&judge.0, (request, &terms, Wait::ForOthers), tokens, cancel);
        // A cancelled pricing covers only a part of the answer.
        if cancel.is_cancelled() {
            return Err(EngineError::CancelledWaiting);
        }
        Ok(judged?.after(earlier))
    }
}
