//! The policy `inference-guard`: a beam search within the budget that samples a failed chunk again. A critic may rank the
//! candidates. Paper: algorithm 1 and the scoring function E (section 4).
//!
//! Without a critic every candidate is priced, and the safe ones are ranked by task cost. With a critic, unfinished candidates
//! are ranked by its cost-to-go; the policy prices only those that are likely to stay safe, and no more than it needs. Finished
//! candidates are always judged by their real costs.
//!
//! With `adaptive-width`, a chunk has fewer candidates than `n` while no budget is at risk. If none of them is safe, the chunk
//! is sampled again with all `n`. What is kept or emitted is judged in the same way. This is not in the paper.
//!
//! Without a task cost all safe answers are equally good. Then the width is adaptive by itself, with one candidate, and the first
//! safe answer that ends is the answer: more candidates would only cost time.

mod adaptive;
mod foresight;

use adaptive::AdaptiveWidth;
use inferenceguard_guest::ranking::{Objective, Ranked, distinct, keep, spread, width};
use inferenceguard_guest::{BatchView, Decision, Description, Plan, Policy, Pricing, Retry, RoleError, Settings};
use inferenceguard_guest::{Setup, Value, describe, register_policy};
use std::collections::BTreeSet;

/// What the operator chose, and the finished beams of this request.
#[derive(Debug)]
pub struct InferenceGuard {
    n: u32,
    keep: usize,
    chunk_len: u32,
    retries: u32,
    retry: Retry,
    /// With a critic: how likely a beam must be to stay safe.
    threshold: Option<f64>,
    /// `None`: a chunk always has `n` candidates.
    adaptive: Option<AdaptiveWidth>,
    /// The adaptive width where no task cost ranks answers.
    unranked: Option<AdaptiveWidth>,
    /// Beams kept after the first try of this chunk.
    keep_now: usize,
    /// Ids of the finished beams kept so far. A chunk fails without a safe candidate of its own, even if one of these is safe.
    pool: BTreeSet<u64>,
}

impl Setup for InferenceGuard {
    fn describe() -> Description {
        let description = describe!("Searches for the best answer within every budget; retries chunks that fail.")
            .setting("n", Value::Integer(32), "Candidates per chunk, over all beams; 1 to 4096.")
            .setting("keep", Value::Integer(0), "Beams kept after a chunk; 0 means a quarter of n.")
            .setting("chunk-len", Value::Integer(32), "Tokens of a chunk; at least 1.")
            .setting("retries", Value::Integer(2), "How often a chunk without a safe candidate is sampled again.")
            .setting("penalty", Value::Number(8.0), "Taken from the logits of failed tokens in a retry; 0 to 1000.")
            .setting(
                "max-mass",
                Value::Number(0.9),
                "Beside the likeliest failed token: the share of the rest that penalties may hit; 0.01 to 1.",
            )
            .setting("critic", Value::Flag(false), "Whether a critic ranks unfinished beams before they are priced.")
            .setting("threshold", Value::Number(0.5), "With a critic: P(safe to the end) must be above this; 0 to 1.");
        AdaptiveWidth::described(description)
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let n = settings.integer("n", 1..=4096)?;
        let threshold = settings.number("threshold", 0.0..=1.0)?;
        let keep = width(settings.integer("keep", 0..=n)?, n);
        let (adaptive, unranked) = AdaptiveWidth::configure(settings, n)?;
        Ok(Self {
            n,
            keep,
            keep_now: keep,
            adaptive,
            unranked,
            chunk_len: settings.integer("chunk-len", 1..)?,
            retries: settings.integer("retries", 0..)?,
            retry: Retry {
                penalty: settings.number("penalty", 0.0..=1000.0)? as f32,
                max_mass: settings.number("max-mass", 0.01..=1.0)? as f32,
            },
            threshold: settings.flag("critic")?.then_some(threshold),
            pool: BTreeSet::new(),
        })
    }
}

impl Policy for InferenceGuard {
    fn plan(&mut self, rows: &dyn BatchView) -> Result<Plan, RoleError> {
        let critic = self.threshold.is_some();
        let adaptive = if rows.has_task() { &self.adaptive } else { &self.unranked };
        let fewer = match adaptive {
            Some(adaptive) if adaptive.is_enough(rows)? => Some(adaptive.candidates),
            _ => None,
        };
        self.keep_now = fewer.map_or(self.keep, |fewer| width(0, fewer).min(self.keep));
        Ok(Plan {
            candidates: spread(fewer.unwrap_or(self.n), rows.len()),
            retry_candidates: fewer.map(|_| self.n),
            keep: Some(self.keep as u32),
            chunk_len: self.chunk_len,
            pricing: if critic { Pricing::OnDemand } else { Pricing::All },
            // With a critic the real task cost decides between finished rows only, for which the host computes it anyway.
            task_cost: !critic,
            estimate: critic,
            ..Plan::default()
        })
    }

    fn select(&mut self, rows: &dyn BatchView) -> Result<Decision, RoleError> {
        let safe = match self.threshold {
            None => distinct(rows, Objective::Augmented.rank(rows)?)?,
            Some(threshold) => {
                let last_try = rows.attempt() >= self.retries;
                match foresight::look(rows, threshold, self.width(rows), last_try)? {
                    foresight::Look::Price(unpriced) => return Ok(Decision::Price(unpriced)),
                    foresight::Look::Safe(safe) => safe,
                }
            }
        };
        self.decide(rows, &safe)
    }
}

impl InferenceGuard {
    fn decide(&mut self, rows: &dyn BatchView, safe: &[Ranked]) -> Result<Decision, RoleError> {
        let fit = safe.iter().map(|one| one.row);
        // If the host has stopped the growth, only finished beams are left, and there is nothing to sample again.
        if !self.any_new(rows, fit)? && self.any_new(rows, 0..rows.len())? && rows.attempt() < self.retries {
            return Ok(Decision::Retry(self.retry));
        }
        if let Some(ended) = safe.iter().find(|one| one.finished && one.logprob.is_some()) {
            return Ok(Decision::Answer(ended.row));
        }
        if !rows.last() && safe.iter().any(|one| !one.finished) {
            let kept = keep(safe, self.width(rows), self.keep);
            self.remember(rows, &kept)?;
            return Ok(Decision::Keep(kept));
        }
        // Nothing can grow. The best safe answer may come from an earlier chunk.
        Ok(safe.first().map_or(Decision::Exhausted, |best| Decision::Answer(best.row)))
    }

    /// Beams to keep: fewer after a chunk of the adaptive width, `keep` after a retry.
    fn width(&self, rows: &dyn BatchView) -> usize {
        if rows.attempt() == 0 { self.keep_now } else { self.keep }
    }

    /// Whether any of these is a candidate of this chunk.
    fn any_new(&self, rows: &dyn BatchView, chosen: impl IntoIterator<Item = u32>) -> Result<bool, RoleError> {
        for row in chosen {
            if !self.pool.contains(&rows.id(row)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn remember(&mut self, rows: &dyn BatchView, kept: &[u32]) -> Result<(), RoleError> {
        self.pool.clear();
        for &row in kept {
            if rows.finished(row)? {
                self.pool.insert(rows.id(row)?);
            }
        }
        Ok(())
    }
}

register_policy!(InferenceGuard);
