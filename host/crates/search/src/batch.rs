//! The rows a component is asked about: finished results, read only.

use crate::{BudgetState, Constraint, Estimate, Needs};
use inferenceguard_model::Token;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// A beam of one request, numbered by the search.
pub type BeamKey = u64;

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moment {
    /// The number of the chunk, from 0.
    pub chunk: u32,
    /// 0 for the first try of the chunk, then the number of the retry.
    pub attempt: u32,
    /// Answer tokens of the longest row.
    pub depth: u32,
    /// The most answer tokens a row may reach.
    pub max_depth: u32,
    /// No row can grow further.
    pub last: bool,
    /// No task cost ranks answers. Batches of records before revision 2 of the rules do not say it.
    #[serde(default, skip_serializing_if = "is_ranked")]
    pub unranked: bool,
}

/// Not written: records of requests with a task cost stay as they were.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_ranked(unranked: &bool) -> bool {
    !*unranked
}

/// The view of a component. The host refuses reads of undeclared columns, even if they are filled. Cheap to clone: clones
/// share the rows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Batch {
    /// Where the request stands.
    pub moment: Moment,
    /// The constraints, in the order used everywhere.
    pub constraints: Arc<[Constraint]>,
    /// The prompt's text.
    pub prompt: Arc<str>,
    /// What the reader declared.
    pub needs: Needs,
    /// The rows.
    pub rows: Arc<[BatchRow]>,
}

impl Batch {
    /// The rows, to be changed: copied first if another batch shares them.
    pub fn rows_mut(&mut self) -> &mut [BatchRow] {
        Arc::make_mut(&mut self.rows)
    }
}

/// Scores of one score model for a row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RowScores {
    /// One score per new token.
    pub tokens: Vec<f32>,
    /// The score of prompt and answer so far.
    pub end: f32,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BatchRow {
    /// The beam.
    pub id: BeamKey,
    /// The beam it continues.
    pub parent: BeamKey,
    /// The answer has ended.
    pub finished: bool,
    /// Answer tokens so far, new ones included.
    pub length: u32,
    /// The new tokens.
    pub tokens: Vec<Token>,
    /// The text of the new tokens (need: text).
    pub text: String,
    /// For every new token, the characters of `text` up to and including it (need: text).
    pub text_ends: Vec<u32>,
    /// Charged text right before `text` (need: lookback).
    pub lookback: String,
    /// The log-probability of each new token (need: logprobs).
    pub logprobs: Vec<f32>,
    /// The most likely next tokens with log-probabilities (need: top-k); filled by the engine.
    pub top_k: Option<Vec<(Token, f32)>>,
    /// All logits (need: logits); filled by the engine.
    pub logits: Option<Arc<[f32]>>,
    /// The latent (need: latents); filled by the engine.
    pub latent: Option<Arc<[f32]>>,
    /// The latents of the new tokens, token after token (need: token-latents); filled by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_latents: Option<Arc<[f32]>>,
    /// Scores by model (need: scores).
    pub scores: BTreeMap<String, RowScores>,
    /// All constraints are priced and tracked up to the newest token.
    pub priced: bool,
    /// Tracker and audit both hold the row safe.
    pub safe: bool,
    /// Budget states by constraint.
    pub budgets: Vec<BudgetState>,
    /// Budget left by the audit, by constraint.
    pub margins: Vec<f64>,
    /// Sum of raw costs, by constraint.
    pub spent: Vec<f64>,
    /// The task cost, once computed.
    pub task_cost: Option<f64>,
    /// Sum of the log-probabilities of all answer tokens.
    pub logprob: f64,
    /// For a forced expansion: the logit of the new token.
    pub expansion_logit: Option<f32>,
    /// The critic's estimate.
    pub estimate: Option<Estimate>,
}
