//! What an engine gives back for a request, as data: records are made of it and are checked without any engine.

use crate::{ConstraintReport, Finish, Found, Outcome, RoleFailure, RolesInfo, SearchConfig, Status, Trace, Usage};
use inferenceguard_model::{Message, ModelIdentity, Token};
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

/// A bundle activated during the request, whose constraints were added under the suffix `@N`, where N is its number.
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

/// What it takes to get the same answer again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatsFrom {
    /// The same request with the same seed gives the same tokens.
    #[default]
    Seed,
    /// The engine draws other tokens for the same seed: only the record holds what it drew.
    Record,
}

impl RepeatsFrom {
    /// Whether it is the seed.
    #[must_use]
    pub fn is_seed(&self) -> bool {
        *self == Self::Seed
    }
}

/// What ran the language model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EngineRun {
    /// The engine and its version, such as `candle 0.11`.
    pub engine: String,
    /// What it takes to get its answer again.
    pub repeats_from: RepeatsFrom,
}

/// Wall-clock seconds of one request, by what they were spent on. They add up to its `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// Waiting for a place among the running requests.
    pub queue: f64,
    /// The language model: prompt, steps and projections, waiting for the steps of others included.
    pub model: f64,
    /// Drawing tokens from logits.
    pub sampling: f64,
    /// Reward and cost models.
    pub scoring: f64,
    /// Components (or the native roles in their place), and what is computed for them to read.
    pub components: f64,
    /// Everything else: the search itself, its audit, text, bookkeeping.
    pub other: f64,
    /// Steps of the language model, the prompt counted as none.
    pub steps: u64,
    /// Rows of all steps together.
    pub positions: u64,
}

/// A finished request. Its JSON is the one the command line prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
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
    /// before steering, penalties and temperature. Empty unless the request asks for them.
    #[serde(skip)]
    pub top_logprobs: Vec<Vec<(Token, f32)>>,
    /// The part of `text` that is the operator's refusal, if the request was refused or failed: its end. Text that an error cut off
    /// has none.
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
    /// What ran the language model.
    #[serde(flatten)]
    pub ran: EngineRun,
    /// By which method.
    pub method: String,
    /// The seed of all draws: the same request with it gives the same tokens, if `ran` says so.
    pub seed: u64,
    /// The sum of the log-probabilities of the answer's tokens.
    pub logprob: f64,
    /// Components that failed on the way.
    pub failures: Vec<RoleFailure>,
    /// What costs found in the answer, and at which of its tokens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Found>,
    /// Every decision, if the request asked for it.
    #[serde(skip)]
    pub trace: Option<Trace>,
    /// What the search was given and what came of it, if the request asked for it.
    #[serde(skip)]
    pub recorded: Option<Box<Recorded>>,
}

/// What a record needs beside the trace.
#[derive(Debug, Clone, PartialEq)]
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

/// How an outcome came about: what an [`Output`] has beside it.
#[derive(Debug)]
pub struct Origin {
    /// Which bundle decided.
    pub bundle: BundleIdentity,
    /// Which activations of the engine decided, oldest first.
    pub generations: Vec<u64>,
    /// The bundles of all but the first of them.
    pub migrations: Vec<Migration>,
    /// The lane that the request named.
    pub lane: Option<String>,
    /// Which models spoke and scored.
    pub models: Models,
    /// What ran the language model.
    pub ran: EngineRun,
    /// The method.
    pub method: String,
    /// The seed of all draws.
    pub seed: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Where they went.
    pub profile: Profile,
    /// Every decision, if it was recorded.
    pub trace: Option<Trace>,
    /// What the search was given, if it was recorded.
    pub inputs: Option<Inputs>,
    /// As [`Output::notes`].
    pub notes: Vec<Found>,
    /// As [`Output::top_logprobs`].
    pub top_logprobs: Vec<Vec<(Token, f32)>>,
    /// The operator's refusal text.
    pub refusal: String,
}

impl Output {
    /// The output of this outcome.
    #[must_use]
    pub fn new(outcome: Outcome, origin: Origin) -> Self {
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
            notes: origin.notes,
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
            ran: origin.ran,
            method: origin.method,
            seed: origin.seed,
            trace: origin.trace,
            recorded,
        }
    }
}
