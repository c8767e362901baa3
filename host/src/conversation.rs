//! Budgets of whole conversations: this answer has what earlier answers left.

use crate::{
    CancelToken, Engine, EngineError, Judgement, Request, Terms, deployment::Deployment, instances::Wait,
    request::ValidRequest,
};
use inferenceguard_model::{Message, ModelError};
use inferenceguard_search::{ConstraintReport, RoleFailure};
use std::{collections::BTreeMap, sync::Arc};

/// A budget under which nothing is safe: it is smaller than the margin of the audit.
const NOTHING: f64 = f64::MIN_POSITIVE;

/// The most turns of the assistant that are priced for one request: each is read with all that came before it, so a request of
/// many short turns would cost as much as many requests.
const TURNS: usize = 128;

/// What earlier turns cost, by the names of constraints.
pub(crate) type Spent = BTreeMap<String, f64>;

/// The least of a bundle's budget, what the request asks for, and the ceiling of its terms.
pub(crate) fn allowed_budget(budget: f64, name: &str, request: &Request, terms: &Terms) -> f64 {
    let smaller = [request.budgets.get(name), terms.ceilings.get(name)].into_iter().flatten();
    smaller.fold(budget, |least, one| least.min(*one))
}

/// What is left of a budget.
pub(crate) fn left_of(allowed: f64, name: &str, spent: &Spent) -> f64 {
    (allowed - spent.get(name).copied().unwrap_or(0.0)).max(NOTHING)
}

fn check_turns(history: &[Message]) -> Result<(), EngineError> {
    let found = history.iter().filter(|turn| may_be_an_answer(turn)).count();
    if found > TURNS { Err(EngineError::TooManyTurns { found, most: TURNS }) } else { Ok(()) }
}

impl Engine {
    /// The same terms with ceilings of what earlier turns of the assistant left, as this deployment prices them; unchanged
    /// where budgets are those of one answer. Beside them, the components that failed on a turn: a turn that could not be
    /// priced spends everything.
    pub(crate) fn less_spent(
        &self,
        deployment: &Arc<Deployment>,
        request: &Request,
        terms: &Terms,
        cancel: &CancelToken,
    ) -> Result<(Terms, Vec<RoleFailure>), EngineError> {
        let mut terms = terms.clone();
        if !terms.whole_conversation {
            return Ok((terms, Vec::new()));
        }
        // A wrong request fails before anything is priced.
        let models = self.handles(&terms.caller(cancel));
        ValidRequest::new(request, &terms, deployment, &models)?;
        let (spent, failures) = self.price_history(deployment, &request.history, &terms, Wait::ForOthers, cancel)?;
        for priced in &deployment.config.constraints {
            let (name, budget) = (&priced.constraint.name, priced.constraint.budget);
            let allowed = allowed_budget(budget, name, request, &terms);
            terms.ceilings.insert(name.clone(), left_of(allowed, name, &spent));
        }
        Ok((terms, failures))
    }

    /// What the assistant's turns in `history` cost by each constraint of a deployment, and the components that failed on
    /// them. Nothing where budgets are those of one answer, or where there are none.
    ///
    /// # Errors
    /// [`EngineError::TooManyTurns`] before anything is priced; [`EngineError::CancelledWaiting`]; those of a judgement.
    pub(crate) fn price_history(
        &self,
        deployment: &Arc<Deployment>,
        history: &[Message],
        terms: &Terms,
        wait: Wait,
        cancel: &CancelToken,
    ) -> Result<(Spent, Vec<RoleFailure>), EngineError> {
        if !terms.whole_conversation || deployment.config.constraints.is_empty() {
            return Ok((Spent::new(), Vec::new()));
        }
        check_turns(history)?;
        let terms = Terms { tenant: terms.tenant.clone(), whole_conversation: true, ..Terms::default() };
        let (mut spent, mut failures) = (BTreeMap::new(), Vec::new());
        for (at, turn) in history.iter().enumerate().filter(|(_, turn)| may_be_an_answer(turn)) {
            let tokens = self.tokenizer().encode(&turn.content).map_err(ModelError::from)?;
            let asked = before(&history[..at]);
            let judged = self.judge_admitted(deployment, (&asked, &terms, wait), &tokens, cancel);
            // A cancelled pricing is incomplete, so its result is not used.
            if cancel.is_cancelled() {
                return Err(EngineError::CancelledWaiting);
            }
            let judged = judged.map_err(|error| if at == 0 { unasked(error) } else { error })?;
            for (report, cost) in judged.constraints.iter().zip(charges(&judged)) {
                *spent.entry(report.name.clone()).or_insert(0.0) += cost;
            }
            failures.extend(judged.failures);
        }
        Ok((spent, failures))
    }
}

/// What a turn spent of each budget: the worse of its prices in chunks and in one piece. Everything, if it could not be
/// priced, or if it broke a budget in a way that no reported price shows, such as in its re-tokenised spelling.
fn charges(judged: &Judgement) -> Vec<f64> {
    let worse = |report: &ConstraintReport| report.max_cost.max(report.whole.unwrap_or(0.0));
    let fits = judged.constraints.iter().all(|report| worse(report) <= report.budget);
    let unknown = !judged.failures.is_empty() || (fits && !judged.within_budget);
    judged.constraints.iter().map(|report| if unknown { f64::INFINITY } else { worse(report) }).collect()
}

/// Whether a turn counts as one of the assistant's: an unknown role may be another name for it. An empty turn costs
/// nothing.
fn may_be_an_answer(turn: &Message) -> bool {
    !["user", "system"].contains(&turn.role.as_str()) && !turn.content.is_empty()
}

/// The request that a turn answers: the turn before it, after all earlier ones. The first turn answers an empty prompt.
fn before(turns: &[Message]) -> Request {
    match turns.split_last() {
        Some((asked, earlier)) => Request { history: earlier.to_vec(), ..Request::new(&asked.content) },
        None => Request::default(),
    }
}

/// The error for a first turn that the models do not take without a question.
fn unasked(error: EngineError) -> EngineError {
    if error.is_callers_fault() { EngineError::UnaskedTurn { source: Box::new(error) } } else { error }
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

    #[test]
    fn the_priced_turns_of_a_request_are_limited() {
        let turn = |role: &str| Message { role: role.to_owned(), content: "x".to_owned() };
        let history = |turns: usize| (0..turns).flat_map(|_| [turn("user"), turn("assistant")]).collect::<Vec<_>>();
        assert!(check_turns(&history(TURNS)).is_ok());
        let error = check_turns(&history(TURNS + 1)).unwrap_err();
        assert!(error.is_callers_fault() && error.to_string().contains("129 turns"), "{error}");
    }

    #[test]
    fn a_turn_is_charged_its_worse_price_or_everything_if_no_price_shows_what_it_broke() {
        let report = |budget, max_cost, whole| ConstraintReport {
            name: "harm".into(),
            budget,
            cost: 0.0,
            max_cost,
            z: Vec::new(),
            whole,
        };
        let all = f64::INFINITY;
        for (reports, within_budget, expected) in [
            (vec![report(9.0, 2.0, None)], true, vec![2.0]),
            (vec![report(9.0, 2.0, Some(1.0))], true, vec![2.0]),
            (vec![report(9.0, 2.0, Some(6.0))], true, vec![6.0]),
            (vec![report(9.0, 2.0, Some(12.0)), report(5.0, 1.0, Some(1.0))], false, vec![12.0, 1.0]),
            (vec![report(9.0, 12.0, None)], false, vec![12.0]),
            // The re-tokenised spelling broke a budget: which one is not known.
            (vec![report(9.0, 2.0, Some(2.0)), report(5.0, 1.0, Some(1.0))], false, vec![all, all]),
        ] {
            let judged = Judgement { generation: 1, within_budget, constraints: reports, failures: Vec::new() };
            assert_eq!(charges(&judged), expected, "{judged:?}");
        }
    }
}
