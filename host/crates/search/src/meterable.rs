//! Whether a constraint can be metered while another engine writes, and with which margin.

use crate::{Audit, Constraint, EPSILON, Granularity, Needs, PricedConstraint, SearchError};

/// The margin of constraints whose cost reads log-probabilities: another engine may compute them in bf16.
const FOREIGN_LOGPROBS: f64 = 3e-2;

/// The part of `1 + budget` that must be left of this constraint's budget; `reads` is what its cost reads, `least` the margin
/// of the settings.
///
/// # Errors
/// [`SearchError::Config`] if the cost is not there or cannot be served, if a price comes too late, or if the budget is no
/// larger than the margin.
pub(crate) fn margin(priced: &PricedConstraint, reads: Option<&Needs>, least: f64) -> Result<f64, SearchError> {
    let needs = reads.ok_or_else(|| beyond(&priced.cost, "a cost that is not there"))?;
    readable(&priced.cost, needs)?;
    due_in_time(priced)?;
    let margin = least.max(if needs.logprobs { FOREIGN_LOGPROBS } else { EPSILON });
    allows_an_answer(&priced.constraint, margin)?;
    Ok(margin)
}

fn readable(name: &str, needs: &Needs) -> Result<(), SearchError> {
    let wrong = [
        (!needs.scores.is_empty(), "scores of a score model"),
        (needs.latents.is_some() || !needs.token_latents.is_empty(), "latents"),
        (needs.logits || needs.top_k > 0, "logits"),
    ];
    wrong.into_iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, what)| Err(beyond(name, what)))
}

/// Whether the price of each token is known before the next one is appended.
fn due_in_time(priced: &PricedConstraint) -> Result<(), SearchError> {
    if priced.granularity != Granularity::Terminal {
        return Ok(());
    }
    Err(SearchError::Config {
        field: format!("constraint `{}`: granularity", priced.constraint.name),
        found: "terminal".to_owned(),
        expected: "token or chunk: another engine appends token by token, and a price at the end comes too late"
            .to_owned(),
    })
}

/// Whether a budget is larger than what is kept of it to spare.
fn allows_an_answer(constraint: &Constraint, margin: f64) -> Result<(), SearchError> {
    if Audit::with_margin(margin).holds(constraint) {
        return Ok(());
    }
    let least = margin / (1.0 - margin);
    Err(SearchError::Config {
        field: format!("constraint `{}`: budget", constraint.name),
        found: constraint.budget.to_string(),
        expected: format!("more than {least}, which is kept to spare for rounding"),
    })
}

fn beyond(name: &str, what: &str) -> SearchError {
    SearchError::Config {
        field: format!("cost `{name}`"),
        found: format!("a need for {what}"),
        expected: "costs that read tokens, text or log-probabilities: another engine gives nothing else".to_owned(),
    }
}
