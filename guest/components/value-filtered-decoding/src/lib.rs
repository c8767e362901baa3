//! The policy `value-filtered-decoding`: at every token the natural sample goes on while its value is safe enough. If it is not,
//! k tokens are drawn, and the safest of them goes on (arXiv 2605.14746).
//!
//! The paper samples among the tokens whose value passes; this takes the one with the best value, so that a threshold that no draw
//! passes needs no rule of its own. Budgets play no part: an answer may end beyond them, and its status says so.
//!
//! Where the parent is beyond the threshold or unsafe, its next token would hardly pass: the k are then drawn at once, instead of
//! one first. The host would not sample again after a budget that is broken for good.

use inferenceguard_guest::{BatchView, Decision, Description, Plan, Policy, Retry, RoleError, Settings, Setup};
use inferenceguard_guest::{Value, describe, harm::HarmLimit, ranking::spread, register_policy};

/// Draws again from the same distribution: no token is made less likely.
const AGAIN: Retry = Retry { penalty: 0.0, max_mass: 1.0 };

/// What the operator chose, and how the current token is drawn.
#[derive(Debug)]
pub struct ValueFilteredDecoding {
    k: u32,
    limit: HarmLimit,
    /// Whether the first try of this token has all k draws.
    at_once: bool,
}

impl Setup for ValueFilteredDecoding {
    fn describe() -> Description {
        let summary = "Keeps each token that was sampled while harm is unlikely; else draws k and takes the safest.";
        let k = "How many tokens are drawn where the natural one does not pass; 1 to 1024.";
        HarmLimit::described(describe!(summary).setting("k", Value::Integer(8), k))
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let (k, limit) = (settings.integer("k", 1..=1024)?, HarmLimit::configured(settings)?);
        Ok(Self { k, limit, at_once: false })
    }
}

impl Policy for ValueFilteredDecoding {
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError> {
        self.at_once = false;
        for row in 0..rows.len() {
            self.at_once |= self.is_beyond(rows, row)?;
        }
        Ok(Plan {
            candidates: spread(if self.at_once { self.k } else { 1 }, rows.len()),
            retry_candidates: Some(self.k),
            chunk_len: 1,
            estimate: self.limit.critic,
            ..Plan::default()
        })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        if rows.is_empty() {
            return Ok(Decision::Exhausted);
        }
        let natural = rows.attempt() == 0 && rows.priced(0)?;
        if natural && !self.limit.forbids(self.limit.read(rows, 0)?) {
            return go_on(rows, 0);
        }
        if rows.attempt() == 0 && !self.at_once {
            return Ok(Decision::Retry(AGAIN));
        }
        let safest = self.limit.safest(rows)?;
        safest.map_or(Ok(Decision::Exhausted), |safest| go_on(rows, safest.row))
    }
}

impl ValueFilteredDecoding {
    /// Whether a beam has begun and is beyond the threshold, or breaks a budget.
    fn is_beyond(&self, rows: &dyn BatchView, row: u32) -> Result<bool, RoleError> {
        let begun = rows.length(row)? > 0;
        Ok(begun && (!rows.safe(row)? || self.limit.forbids(self.limit.read(rows, row)?)))
    }
}

fn go_on(rows: &dyn BatchView, row: u32) -> Result<Decision, RoleError> {
    Ok(if rows.finished(row)? { Decision::Answer(row) } else { Decision::Keep(vec![row]) })
}

register_policy!(ValueFilteredDecoding);
