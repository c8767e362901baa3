//! What a server has done since it began, for the status page: counts, and the last ends. They hold no text and no clients.

use crate::{end::End, outcome};
use inferenceguard_bundle::seconds_since_1970;
use inferenceguard_host::Output;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// How many ends are kept.
const KEPT: usize = 20;

/// Counts, and the last ends.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Totals {
    /// By how choices and requests ended.
    ends: BTreeMap<&'static str, u64>,
    /// Tokens of answers that were sent, and tokens that were sampled for all of them.
    tokens: u64,
    sampled: u64,
    /// The newest first.
    last: VecDeque<Ended>,
}

/// The end of a choice with an output.
#[derive(Debug, Clone, Serialize)]
struct Ended {
    /// Seconds since 1970.
    at: u64,
    end: &'static str,
    seconds: f64,
    tokens: u64,
    sampled: u64,
    retries: u64,
    generation: Option<u64>,
    method: String,
    /// What decided, in a few words.
    reason: String,
    /// By constraint: its name, its budget, and what was spent of it; not known for a refusal.
    constraints: Vec<Spent>,
}

#[derive(Debug, Clone, Serialize)]
struct Spent {
    name: String,
    budget: f64,
    spent: Option<f64>,
}

impl Totals {
    /// Counts an end, with its output and the seconds it took, if there is an output.
    pub(crate) fn take(&mut self, end: End, answer: Option<(&Output, f64)>) {
        *self.ends.entry(end.name()).or_default() += 1;
        let Some((output, seconds)) = answer else { return };
        self.tokens += output.usage.completion_tokens;
        self.sampled += output.usage.sampled_tokens;
        self.last.truncate(KEPT - 1);
        self.last.push_front(Ended::of(end, output, seconds));
    }
}

impl Ended {
    fn of(end: End, output: &Output, seconds: f64) -> Self {
        let decided = outcome::is_decided(output);
        let spent = output.constraints.iter().map(|one| Spent {
            name: one.name.clone(),
            budget: one.budget,
            spent: decided.then_some(one.max_cost),
        });
        Self {
            at: seconds_since_1970(),
            end: end.name(),
            seconds,
            tokens: output.usage.completion_tokens,
            sampled: output.usage.sampled_tokens,
            retries: output.usage.retries,
            generation: output.generations.last().copied(),
            method: output.method.clone(),
            reason: reason(end, output),
            constraints: spent.collect(),
        }
    }
}

/// Why a choice ended as it did. Texts of components stay in the log: they may quote a prompt.
fn reason(end: End, output: &Output) -> String {
    let failed: Vec<String> =
        output.failures.iter().map(|one| format!("{} {} failed", one.role, one.kind.name())).collect();
    match end {
        _ if !failed.is_empty() => failed.join(", "),
        End::Refused => format!("no candidate within the budget, {} tries", output.usage.retries + 1),
        _ => outcome::finish(output.finish).to_owned(),
    }
}
