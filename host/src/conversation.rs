//! Budgets of whole conversations: what earlier answers spent is not there any more for this one.

use crate::{CancelToken, Engine, EngineError, Request, deployment::Deployment, request::ValidRequest};
use inferenceguard_model::{Message, ModelError};
use inferenceguard_search::RoleFailure;
use std::{collections::BTreeMap, sync::Arc};

/// A budget under which nothing is safe: less than the audit keeps to spare.
const NOTHING: f64 = f64::MIN_POSITIVE;

impl Engine {
    /// The same request, its budgets lessened by what the assistant's earlier turns cost, as this deployment prices them;
    /// as it is, if its budgets are those of one answer. Beside it, the components that failed on a turn: what could not
    /// be priced has spent everything.
    pub(crate) fn less_spent(
        &self,
        deployment: &Arc<Deployment>,
        mut request: Request,
        cancel: &CancelToken,
    ) -> Result<(Request, Vec<RoleFailure>), EngineError> {
        if !request.whole_conversation {
            return Ok((request, Vec::new()));
        }
        // A request that is wrong costs nothing, and what fits the context bounds what there is to price.
        let (model, scores) = self.back_ends();
        ValidRequest::new(request.clone(), deployment, &model, &scores)?;
        let (spent, failures) = self.spent(deployment, &request.history, cancel)?;
        for priced in &deployment.config.constraints {
            let (name, budget) = (&priced.constraint.name, priced.constraint.budget);
            let smaller = [request.budgets.get(name), request.ceilings.get(name)].into_iter().flatten();
            let allowed = smaller.fold(budget, |least, one| least.min(*one));
            let left = allowed - spent.get(name).copied().unwrap_or(0.0);
            request.ceilings.insert(name.clone(), left.max(NOTHING));
        }
        Ok((request, failures))
    }

    fn spent(
        &self,
        deployment: &Arc<Deployment>,
        history: &[Message],
        cancel: &CancelToken,
    ) -> Result<(BTreeMap<String, f64>, Vec<RoleFailure>), EngineError> {
        let (mut spent, mut failures) = (BTreeMap::new(), Vec::new());
        for (at, turn) in history.iter().enumerate().filter(|(_, turn)| may_be_an_answer(turn)) {
            let tokens = self.tokenizer().encode(&turn.content).map_err(ModelError::from)?;
            let judged = self.judged(deployment, &before(&history[..at]), &tokens, cancel);
            // Half a price is none.
            if cancel.is_cancelled() {
                return Err(EngineError::CancelledWaiting);
            }
            let judged = judged.map_err(|error| if at == 0 { unasked(error) } else { error })?;
            for report in &judged.constraints {
                // What could not be priced has spent everything.
                let cost = if judged.failures.is_empty() { report.max_cost } else { f64::INFINITY };
                *spent.entry(report.name.clone()).or_insert(0.0) += cost;
            }
            failures.extend(judged.failures);
        }
        Ok((spent, failures))
    }
}

/// Whether a turn counts as one of the assistant's. A role that is not known may be another name for it; an empty turn
/// said nothing.
fn may_be_an_answer(turn: &Message) -> bool {
    !["user", "system"].contains(&turn.role.as_str()) && !turn.content.is_empty()
}

/// What a turn answered: the turn before it; nothing, if it is the first.
fn before(turns: &[Message]) -> Request {
    match turns.split_last() {
        Some((asked, earlier)) => Request { history: earlier.to_vec(), ..Request::new(&asked.content) },
        None => Request::default(),
    }
}

/// A first turn that the models do not take without a question.
fn unasked(error: EngineError) -> EngineError {
    if error.is_request() { EngineError::UnaskedTurn { source: Box::new(error) } } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_but_those_of_others_may_have_answered() {
        for (role, content, counts) in [
            ("assistant", "x", true),
            ("model", "x", true),
            ("Assistant", "x", true),
            ("assistant", " ", true),
            ("assistant", "", false),
            ("user", "x", false),
            ("system", "x", false),
        ] {
            let turn = Message { role: role.to_owned(), content: content.to_owned() };
            assert_eq!(may_be_an_answer(&turn), counts, "{turn:?}");
        }
    }
}
