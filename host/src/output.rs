//! What comes back.

use crate::Profile;
use inferenceguard_model::{Message, ModelIdentity, Token};
use inferenceguard_search::{
    Batch, BatchRow, ConstraintReport, Finish, Outcome, RoleFailure, RolesInfo, SearchConfig, Status, Trace, Usage,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which bundle decided.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BundleIdentity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of all its files, `sha256:…`; empty for roles that come from no bundle.
    pub digest: String,
}

/// One activation of a bundle in an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// The bundle.
    pub bundle: BundleIdentity,
}

/// A bundle that was activated while a request ran and that held it to its constraints from then on: under names that end with
/// `@` and the number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The number of its activation.
    pub number: u64,
    /// The bundle.
    pub bundle: BundleIdentity,
    /// The method whose roles priced and tracked.
    pub method: String,
}

/// The models behind an answer: everything in them that it depends on, by digest.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Models {
    /// The language model.
    pub model: ModelIdentity,
    /// The score models, by the names that costs use.
    pub scores: BTreeMap<String, ModelIdentity>,
}

/// A finished request. Its JSON is the one the command line prints.
#[derive(Debug, Clone, Serialize)]
pub struct Output {
    /// The answer, or the refusal text (after what was already released).
    pub text: String,
    /// How safe it is, with respect to the configured costs and to nothing else.
    pub status: Status,
    /// Why it ended.
    pub finish: Finish,
    /// The generated ids of the answer; empty for a refusal.
    pub tokens: Vec<Token>,
    /// The log-probability of each of them.
    #[serde(skip)]
    pub logprobs: Vec<f32>,
    /// The most likely tokens at the place of each of them, likeliest first, with their log-probabilities by the model alone:
    /// before steering, penalties and temperature. Empty unless [`Request::top_logprobs`](crate::Request) asks for them.
    #[serde(skip)]
    pub top_logprobs: Vec<Vec<(Token, f32)>>,
    /// The part of `text` that is the operator's refusal, if the request was refused or failed: its end.
    #[serde(skip)]
    pub refusal: Option<String>,
    /// The constraints, as they were held.
    pub constraints: Vec<ConstraintReport>,
    /// z of the first constraint: at the start, then after each token; empty without constraints.
    pub z: Vec<f64>,
    /// d of the first constraint.
    pub budget: Option<f64>,
    /// The reward of the answer: its task cost with the sign turned; absent without a task cost.
    pub reward: Option<f64>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Where they went.
    pub profile: Profile,
    /// What was used.
    pub usage: Usage,
    /// Which bundle decided.
    pub bundle: BundleIdentity,
    /// Which activations of the engine decided, oldest first.
    pub generations: Vec<u64>,
    /// The bundles of all but the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<Migration>,
    /// The lane it was decided in, if the request named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// Which model spoke, and which scored.
    #[serde(flatten)]
    pub models: Models,
    /// By which method.
    pub method: String,
    /// The seed of all draws: the same request with it gives the same tokens.
    pub seed: u64,
    /// The sum of the log-probabilities of the answer's tokens.
    pub logprob: f64,
    /// Components that failed on the way.
    pub failures: Vec<RoleFailure>,
    /// Every decision, if the request asked for it.
    #[serde(skip)]
    pub trace: Option<Trace>,
    /// What the search was given and what came of it, if the request asked for it.
    #[serde(skip)]
    pub recorded: Option<Box<Recorded>>,
}

/// What a record needs beside the trace.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What the search was given.
    pub inputs: Inputs,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a search is given: with the same inputs and answers it needs the same things.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The settings.
    pub config: SearchConfig,
    /// What the roles declared.
    pub roles: RolesInfo,
    /// The turns before the prompt, oldest first.
    #[serde(default)]
    pub history: Vec<Message>,
    /// The user's text.
    pub prompt: String,
    /// The whole conversation as tokens.
    pub prompt_tokens: Vec<Token>,
}

/// Where an output comes from.
pub(crate) struct Origin {
    pub(crate) bundle: BundleIdentity,
    pub(crate) generations: Vec<u64>,
    pub(crate) migrations: Vec<Migration>,
    pub(crate) lane: Option<String>,
    pub(crate) models: Models,
    pub(crate) method: String,
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    pub(crate) profile: Profile,
    pub(crate) trace: Option<Trace>,
    pub(crate) inputs: Option<Inputs>,
    pub(crate) top_logprobs: Vec<Vec<(Token, f32)>>,
    /// What is said instead of an answer, if nothing fit is found.
    pub(crate) refusal: String,
}

impl Output {
    pub(crate) fn new(outcome: Outcome, origin: Origin) -> Self {
        let recorded = origin.inputs.map(|inputs| Box::new(Recorded { inputs, outcome: outcome.clone() }));
        let first = outcome.constraints.first();
        Self {
            z: first.map(|c| c.z.clone()).unwrap_or_default(),
            budget: first.map(|c| c.budget),
            reward: outcome.task_cost.map(|cost| 0.0 - cost),
            text: outcome.text,
            status: outcome.status,
            finish: outcome.finish,
            tokens: outcome.tokens,
            logprobs: outcome.logprobs,
            top_logprobs: origin.top_logprobs,
            refusal: matches!(outcome.finish, Finish::Refused | Finish::Failed).then_some(origin.refusal),
            constraints: outcome.constraints,
            usage: outcome.usage,
            logprob: outcome.logprob,
            failures: outcome.failures,
            seconds: origin.seconds,
            profile: origin.profile,
            bundle: origin.bundle,
            generations: origin.generations,
            migrations: origin.migrations,
            lane: origin.lane,
            models: origin.models,
            method: origin.method,
            seed: origin.seed,
            trace: origin.trace,
            recorded,
        }
    }
}

/// What a running request says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The request fits and has its place; its answer begins.
    Begun,
    /// More text of the answer; its audit is done and it is never taken back.
    Released {
        /// The text.
        text: String,
    },
    /// The policy is about to decide.
    Progress(Progress),
}

/// Where a running request stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// The number of the chunk, from 0.
    pub chunk: u32,
    /// 0 for the first try of the chunk, then the number of the retry.
    pub attempt: u32,
    /// Answer tokens of the longest candidate.
    pub depth: u32,
    /// The most answer tokens there can be.
    pub max_depth: u32,
    /// Candidates and finished beams.
    pub candidates: usize,
    /// Those that tracker and audit both hold safe.
    pub safe: usize,
    /// The priced one with the most budget left, if any is priced.
    pub best: Option<Best>,
}

/// The candidate with the most budget left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// Its answer tokens.
    pub length: u32,
    /// The tracker's z, by constraint.
    pub z: Vec<f64>,
    /// Budget left by the audit, by constraint.
    pub margins: Vec<f64>,
}

impl Progress {
    pub(crate) fn of(batch: &Batch) -> Self {
        let least = |row: &BatchRow| row.margins.iter().copied().fold(f64::INFINITY, f64::min);
        let priced = batch.rows.iter().filter(|row| row.priced && !row.margins.is_empty());
        let best = priced.max_by(|a, b| least(a).total_cmp(&least(b)));
        Self {
            chunk: batch.moment.chunk,
            attempt: batch.moment.attempt,
            depth: batch.moment.depth,
            max_depth: batch.moment.max_depth,
            candidates: batch.rows.len(),
            safe: batch.rows.iter().filter(|row| row.safe).count(),
            best: best.map(Best::of),
        }
    }
}

impl Best {
    fn of(row: &BatchRow) -> Self {
        Self { length: row.length, z: row.budgets.iter().map(|state| state.z).collect(), margins: row.margins.clone() }
    }
}
