//! What a client asks for, and the check that it fits deployment and models: only a checked request reaches the search.

use crate::{
    EngineError, Terms, back_ends::Handles, blueprint::constraint, deployment::Deployment, likeliest, roles::readers,
};
use inferenceguard_model::{Message, Token};
use inferenceguard_search::{PricedConstraint, Release, RolesInfo, SamplingSettings, SearchConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a client asks for. What it leaves out comes from the bundle; what the operator decides is in [`Terms`].
///
/// Fill it with `..Request::new(prompt)`. A field may be added in any version: a literal that names them all stops
/// compiling then, which is what a test of all limits wants.
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
    /// The seed of all draws; the deployment's if left out, which is 0 with a bundle. The same request with the same seed
    /// gives the same tokens; draw a seed for each request that is to have an answer of its own.
    pub seed: Option<u64>,
    /// The most answer tokens. A larger number than the deployment's, or than what fits the context beside the prompt, is
    /// lowered to that.
    pub max_tokens: Option<u32>,
    /// How the language model is sampled; what is left out is the deployment's to say, which is a default and no limit.
    pub sampling: SamplingSettings,
    /// Texts that end the answer, beside the bundle's.
    pub stop: Vec<String>,
    /// How many of the most likely tokens come with each token of the answer; 0 for none. The model reads prompt and answer
    /// once more for them, which takes about as long as a plain answer of that length.
    pub top_logprobs: u32,
    /// When text is released; the deployment's rule is a default and no limit. Under every rule, text goes out after its
    /// audit.
    pub release: Option<Release>,
    /// Whether the output carries the trace.
    pub record: bool,
}

impl Request {
    /// A request with everything else from the bundle.
    #[must_use]
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), ..Self::default() }
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
        request: &Request,
        terms: &Terms,
        deployment: &Deployment,
        models: &Handles,
    ) -> Result<Self, EngineError> {
        if request.prompt.trim().is_empty() {
            return Err(EngineError::EmptyPrompt);
        }
        likeliest::check(request.top_logprobs, models.language.info().vocab, &models.abilities)?;
        let asked = request.max_tokens.unwrap_or(u32::MAX);
        let most = asked.min(deployment.config.max_tokens);
        Self::checked((request, terms), deployment, models, |room| room.at_most(most))
    }

    /// For an answer of `tokens` tokens that exists already: it may be longer than the deployment's answers, and the prompt
    /// may be any that the model takes.
    pub(crate) fn of_answer(
        asked: (&Request, &Terms),
        tokens: usize,
        deployment: &Deployment,
        models: &Handles,
    ) -> Result<Self, EngineError> {
        Self::checked(asked, deployment, models, |room| room.exactly(tokens))
    }

    fn checked(
        (request, terms): (&Request, &Terms),
        deployment: &Deployment,
        models: &Handles,
        max_tokens: impl FnOnce(Room) -> Result<u32, EngineError>,
    ) -> Result<Self, EngineError> {
        let method = request.method.clone().unwrap_or_else(|| deployment.default_method().to_owned());
        let info: &RolesInfo = &deployment.method(&method)?.info;
        let messages = messages(request);
        let prompt_tokens = models.language.encode_chat(&messages)?;
        let max_tokens = max_tokens(Room { prompt: prompt_tokens.len(), context: context(models, info) })?;
        let mut config = merge(request, terms, &deployment.config, max_tokens)?;
        config.margin = margin(&config, info, deployment.networks_rounding, models);
        config.validate(info)?;
        // Ceilings may be what a conversation has left: under too little, nothing is safe, and that is a refusal.
        for (name, budget) in &request.budgets {
            check_budget(name, *budget, config.margin)?;
        }
        deployment.check_budgets(info, &config)?;
        Ok(Self { prompt: request.prompt.clone(), messages, prompt_tokens, method, config, record: request.record })
    }
}

/// The whole conversation.
fn messages(request: &Request) -> Vec<Message> {
    let prompt = std::iter::once(Message::user(request.prompt.clone()));
    request.history.iter().cloned().chain(prompt).collect()
}

/// The margin of these settings, or what the rounding of the back ends needs, if that is more.
pub(crate) fn margin(config: &SearchConfig, roles: &RolesInfo, networks: f64, models: &Handles) -> f64 {
    config.margin.max(rounding(&config.constraints, roles, networks, models))
}

/// Whether this budget allows any answer: the audit keeps `margin * (1 + budget)` of it to spare.
pub(crate) fn check_budget(constraint: &str, found: f64, margin: f64) -> Result<(), EngineError> {
    if found > margin * (1.0 + found) {
        return Ok(());
    }
    Err(EngineError::BudgetWithinMargin { constraint: constraint.to_owned(), found, margin })
}

/// What the rounding of the back ends can do to the sums of the costs of these constraints; `networks` is that of the device
/// that runs networks.
pub(crate) fn rounding(constraints: &[PricedConstraint], roles: &RolesInfo, networks: f64, models: &Handles) -> f64 {
    let costs = constraints.iter().filter_map(|priced| roles.costs.get(&priced.cost));
    costs.fold(0.0, |most, cost| {
        let scored = cost.needs.scores.iter().filter_map(|name| models.scores.get(name)).map(|model| model.rounding());
        let read = cost.needs.newest_position() || cost.needs.logprobs;
        let opened = (!cost.needs.networks.is_empty()).then_some(networks);
        scored.chain(read.then_some(models.rounding)).chain(opened).fold(most, f64::max)
    })
}

/// The smallest context of the language model and of the score models that some role reads.
fn context(models: &Handles, roles: &RolesInfo) -> usize {
    let read = readers(roles).into_iter().flat_map(|(_, _, needs)| &needs.scores);
    let scored = read.filter_map(|name| Some(models.scores.get(name)?.info().context));
    scored.fold(models.language.info().context, usize::min)
}

/// The context, and what the prompt takes of it, in tokens.
struct Room {
    prompt: usize,
    context: usize,
}

impl Room {
    /// As many answer tokens as fit, at most `tokens`.
    fn at_most(&self, tokens: u32) -> Result<u32, EngineError> {
        let left = self.context.saturating_sub(self.prompt);
        if left == 0 {
            return Err(self.exceeded_by(1));
        }
        Ok(u32::try_from(left).unwrap_or(u32::MAX).min(tokens))
    }

    /// `tokens` answer tokens, at least 1: they must fit.
    fn exactly(&self, tokens: usize) -> Result<u32, EngineError> {
        let answer = tokens.max(1);
        let fits = answer <= self.context.saturating_sub(self.prompt);
        u32::try_from(answer).ok().filter(|_| fits).ok_or_else(|| self.exceeded_by(answer))
    }

    fn exceeded_by(&self, answer: usize) -> EngineError {
        EngineError::DoesNotFit { prompt: self.prompt, answer, context: self.context }
    }
}

fn merge(
    request: &Request,
    terms: &Terms,
    defaults: &SearchConfig,
    max_tokens: u32,
) -> Result<SearchConfig, EngineError> {
    let mut config = SearchConfig { max_tokens, ..defaults.clone() };
    for (name, budget) in &request.budgets {
        let constraint = constraint(&mut config, name)?;
        let allowed = constraint.budget;
        if *budget > allowed {
            return Err(EngineError::LooserBudget { constraint: name.clone(), found: *budget, allowed });
        }
        constraint.budget = *budget;
    }
    for (name, ceiling) in &terms.ceilings {
        let constraint = constraint(&mut config, name)?;
        constraint.budget = constraint.budget.min(*ceiling);
    }
    config.seed = request.seed.unwrap_or(config.seed);
    config.sampling = request.sampling.or(config.sampling.into()).into();
    config.release = request.release.unwrap_or(config.release);
    config.stop.extend(request.stop.iter().cloned());
    Ok(config)
}
