//! What is asked of an engine; only a checked request reaches the search.

use crate::{EngineError, blueprint::constraint, deployment::Deployment, roles::readers, scores::ScoreModels};
use inferenceguard_model::{Message, Model, Token};
use inferenceguard_search::{Release, RolesInfo, Sampling, SearchConfig};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// One request. What is left out comes from the bundle.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// The user's text; the model's chat template is applied.
    pub prompt: String,
    /// The turns before it, oldest first, if the model's chat template takes any. They are read and not priced, unless
    /// budgets are those of the whole conversation.
    pub history: Vec<Message>,
    /// One of the engine's methods; the engine's first if left out.
    pub method: Option<String>,
    /// Budgets by constraint name: finite, above 0, and no larger than the deployment's. A request can only tighten.
    pub budgets: BTreeMap<String, f64>,
    /// Budgets by constraint name that hold where they are smaller than all others: the operator's, for this client.
    #[serde(skip)]
    pub ceilings: BTreeMap<String, f64>,
    /// The seed of all draws; 0 if left out.
    pub seed: Option<u64>,
    /// The most answer tokens. Must fit the context beside the prompt; the bundle's own number is shortened to fit.
    pub max_tokens: Option<u32>,
    /// How the language model is sampled.
    pub sampling: Option<Sampling>,
    /// Texts that end the answer, beside the bundle's.
    pub stop: Vec<String>,
    /// When text is released.
    pub release: Option<Release>,
    /// Whether the output carries the trace.
    pub record: bool,
    /// Whether budgets are those of the whole conversation: what the assistant's turns in `history` cost is taken from them.
    #[serde(skip)]
    pub whole_conversation: bool,
    /// Whether a bundle that is activated while this runs is followed, at the next chunk: its constraints then hold beside
    /// those it began with, for all that was said. Where a critic decides, or a new cost reads latents, it is not.
    #[serde(skip)]
    pub migrate: bool,
    /// The lane whose bundle decides; see [`crate::Engine::install`].
    #[serde(skip)]
    pub lane: Option<String>,
}

impl Request {
    /// A request with everything else from the bundle.
    #[must_use]
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), ..Self::default() }
    }
}

/// Cancels a running request from another thread. Clones cancel the same request.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the request at the next step; what was released stays.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`CancelToken::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request that fits its deployment and its model.
pub(crate) struct ValidRequest {
    pub(crate) prompt: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) prompt_tokens: Vec<Token>,
    pub(crate) method: String,
    pub(crate) config: SearchConfig,
    pub(crate) record: bool,
}

impl ValidRequest {
    pub(crate) fn new(
        request: Request,
        deployment: &Deployment,
        model: &dyn Model,
        scores: &ScoreModels,
    ) -> Result<Self, EngineError> {
        if request.prompt.trim().is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        Self::of_any(request, deployment, model, scores)
    }

    /// The same for whatever prompt the model takes.
    pub(crate) fn of_any(
        request: Request,
        deployment: &Deployment,
        model: &dyn Model,
        scores: &ScoreModels,
    ) -> Result<Self, EngineError> {
        let method = request.method.clone().unwrap_or_else(|| deployment.default_method().to_owned());
        let info: &RolesInfo = &deployment.method(&method)?.info;
        let messages = messages(&request);
        let prompt_tokens = model.encode_chat(&messages)?;
        let context = context(model, scores, info);
        let max_tokens = fitting(&request, &deployment.config, prompt_tokens.len(), context)?;
        let mut config = merge(&request, &deployment.config, max_tokens)?;
        config.margin = config.margin.max(rounding(&config, info, model, scores));
        config.validate(info)?;
        deployment.check_budgets(info, &config)?;
        Ok(Self { prompt: request.prompt, messages, prompt_tokens, method, config, record: request.record })
    }
}

/// The whole conversation.
fn messages(request: &Request) -> Vec<Message> {
    let prompt = std::iter::once(Message::user(request.prompt.clone()));
    request.history.iter().cloned().chain(prompt).collect()
}

/// What the rounding of the back ends can do to the sums of the safety costs.
fn rounding(config: &SearchConfig, roles: &RolesInfo, model: &dyn Model, scores: &ScoreModels) -> f64 {
    let costs = config.constraints.iter().filter_map(|priced| roles.costs.get(&priced.cost));
    costs.fold(0.0, |most, cost| {
        let scored = cost.needs.scores.iter().filter_map(|name| scores.get(name)).map(|scores| scores.rounding());
        let read = cost.needs.newest_position() || cost.needs.logprobs;
        scored.chain(read.then(|| model.rounding())).fold(most, f64::max)
    })
}

/// The smallest context of the language model and of the score models that some role reads.
fn context(model: &dyn Model, scores: &ScoreModels, roles: &RolesInfo) -> usize {
    let read = readers(roles).into_iter().flat_map(|(_, _, needs)| &needs.scores);
    let scored = read.filter_map(|name| Some(scores.get(name)?.info().context));
    scored.fold(model.info().context, usize::min)
}

/// The most answer tokens: what was asked for must fit, what the bundle allows is shortened.
fn fitting(request: &Request, config: &SearchConfig, prompt: usize, context: usize) -> Result<u32, EngineError> {
    let room = context.saturating_sub(prompt);
    let wanted = request.max_tokens.map_or(1, |tokens| (tokens as usize).max(1));
    if wanted > room {
        return Err(EngineError::DoesNotFit { prompt, answer: wanted, context });
    }
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    Ok(request.max_tokens.unwrap_or_else(|| config.max_tokens.min(room)))
}

fn merge(request: &Request, defaults: &SearchConfig, max_tokens: u32) -> Result<SearchConfig, EngineError> {
    let mut config = SearchConfig { max_tokens, ..defaults.clone() };
    for (name, budget) in &request.budgets {
        let constraint = constraint(&mut config, name)?;
        let allowed = constraint.budget;
        if *budget > allowed {
            return Err(EngineError::LooserBudget { constraint: name.clone(), found: *budget, allowed });
        }
        constraint.budget = *budget;
    }
    for (name, ceiling) in &request.ceilings {
        let constraint = constraint(&mut config, name)?;
        constraint.budget = constraint.budget.min(*ceiling);
    }
    config.seed = request.seed.unwrap_or(config.seed);
    config.sampling = request.sampling.unwrap_or(config.sampling);
    config.release = request.release.unwrap_or(config.release);
    config.stop.extend(request.stop.iter().cloned());
    Ok(config)
}
