//! Errors of an engine. A component that fails within a request is no error: it is in the output.

use inferenceguard_model::{ModelError, TokenizerError, dense::DenseError};
use inferenceguard_sandbox::SandboxError;
use inferenceguard_schedule::StartError;
use inferenceguard_search::{Role, SearchError};

/// An error of building an engine or of one request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// Something is missing at build time.
    #[error("the engine has no {what}; call `EngineBuilder::{call}`")]
    Incomplete {
        /// What is missing.
        what: &'static str,
        /// The call that gives it.
        call: &'static str,
    },
    /// A table of methods cannot be read.
    #[error("the table of methods cannot be read: {problem}")]
    MethodTable {
        /// The line, and what is wrong there.
        problem: String,
    },
    /// Two score models have the same name.
    #[error("two score models are called `{name}`; give each its own name")]
    ScoreModelTwice {
        /// The name.
        name: String,
    },
    /// A role reads scores of a model that is not there.
    #[error(
        "{role} `{component}` reads the score model `{model}`; the engine has: {known}. Add it, or name one of these in the settings of `{component}`"
    )]
    NoScoreModel {
        /// The role.
        role: Role,
        /// Its name in the deployment.
        component: String,
        /// The score model it wants.
        model: String,
        /// The names there are.
        known: String,
    },
    /// A bundle names no prompt template, and a model was loaded with the template of another bundle.
    #[error(
        "the bundle names no prompt template for {whose}, which was loaded with `{found}` because another bundle names it; name one in the bundle, or give it with the model"
    )]
    NoTemplate {
        /// Which model.
        whose: String,
        /// What the model has.
        found: String,
    },
    /// A bundle was made for another prompt template than a model was loaded with.
    #[error("the bundle was made for {whose} with the prompt template `{expected}`; it was loaded with `{found}`")]
    OtherTemplate {
        /// Which model.
        whose: String,
        /// What the bundle says.
        expected: String,
        /// What the model has.
        found: String,
    },
    /// A bundle was made for another model.
    #[error(
        "the bundle was made for another model: its `[{table}] {key}` is {expected}, and that of the model given is {found}. Give the model that it was made for, or write the digests of this one into the bundle with `inferguard bundle pin`"
    )]
    OtherModel {
        /// The table of the manifest: `model`, or `scores.NAME`.
        table: String,
        /// What does not fit there.
        key: String,
        /// What the model has.
        found: String,
        /// What the bundle says.
        expected: String,
    },
    /// A bundle names a score model that is not there.
    #[error(
        "the bundle was made for a score model `[scores.{name}]`; the engine has: {known}. Give that score model, or correct the name in the manifest"
    )]
    NoPinnedModel {
        /// The name in the manifest.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A role reads latents that the back end cannot give.
    #[error("{role} `{component}` reads latents of layer {layer}: {source}")]
    NoLayer {
        /// The role.
        role: Role,
        /// Its name in the deployment.
        component: String,
        /// The layer.
        layer: u32,
        /// The error of the back end.
        #[source]
        source: ModelError,
    },
    /// A model that the request needs can give no answer until an operator acts.
    #[error("{why}; build another engine, or mend the engine that runs this model")]
    Broken {
        /// Which model, and why.
        why: String,
    },
    /// The engine cannot do what a role needs. Nothing is left out in silence.
    #[error(
        "in the method `{method}`, {role} `{component}` {need}, and the engine `{engine}` cannot do that: {remedy}"
    )]
    Unable {
        /// The method.
        method: String,
        /// The role.
        role: Role,
        /// Its name in the deployment.
        component: String,
        /// What it reads or does.
        need: String,
        /// The engine that runs the language model.
        engine: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A request asks for more of the most likely tokens than the engine gives.
    #[error(
        "the request asks for the {found} most likely tokens at each place; the engine `{engine}` gives at most {most}: ask for \
         fewer"
    )]
    TopLogprobs {
        /// What the request asks for.
        found: u32,
        /// The most that the engine gives.
        most: u32,
        /// The engine that runs the language model.
        engine: String,
    },
    /// The engine cannot price text that exists already.
    #[error(
        "the engine `{engine}` gives no log-probabilities of given tokens, so an answer that exists already cannot be priced: \
         hold budgets per answer instead of per conversation, or use an engine that gives them"
    )]
    Unpriceable {
        /// The engine that runs the language model.
        engine: String,
    },
    /// A text is to be judged by a bundle that guards nothing.
    #[error(
        "the bundle has no constraints, so it can judge no text; give one with `[[constraints]]`, or do not ask it for judgements"
    )]
    Unguarded,
    /// Nothing was installed in this lane.
    #[error("there is no lane `{found}`: install a bundle in it first")]
    UnknownLane {
        /// The name given.
        found: String,
    },
    /// There is no such method.
    #[error("there is no method `{found}`; expected one of: {known}")]
    UnknownMethod {
        /// The name given.
        found: String,
        /// The names there are.
        known: String,
    },
    /// A component that the method is made of was not given.
    #[error(
        "the method `{method}` needs the {role} component `{component}`; give it with `EngineBuilder::{role}_component`"
    )]
    NoComponent {
        /// The method.
        method: String,
        /// What it does there.
        role: Role,
        /// The component.
        component: String,
    },
    /// The method needs a critic and the bundle has none.
    #[error(
        "the method `{method}` needs a critic and the bundle has none; add `[critic]` to its manifest, with `component = \"latent-critic.wasm\"` and the weights in `[networks.critic]`, or leave `+critic` out"
    )]
    NoCritic {
        /// The method.
        method: String,
    },
    /// The bundle has settings for the steering of a method that has none.
    #[error("the bundle has `steering` settings for the method `{method}`, which does not steer; remove them")]
    NotSteered {
        /// The method.
        method: String,
    },
    /// The entry of the bundle's own policy among the methods says more than its number of candidates.
    #[error(
        "`[methods.bundle]` gives `{key}`; expected `candidates` alone, because this method is the bundle's own policy: put its settings into `[policy]`, the steering into `[steering]` and the critic into `[critic]`, or give a method with another policy another name"
    )]
    OwnMethod {
        /// The key that has no effect there.
        key: &'static str,
    },
    /// A role opens a network that the bundle does not have.
    #[error(
        "in the method `{method}`, {role} `{component}` opens the network `{network}`; the bundle has: {known}. Add `[networks.{network}]` with `file = \"{network}.safetensors\"` to its manifest, or name another in the settings of `{component}`"
    )]
    NoNetwork {
        /// The method.
        method: String,
        /// The role.
        role: Role,
        /// Its name in the deployment.
        component: String,
        /// The network it opens.
        network: String,
        /// The names there are.
        known: String,
    },
    /// A network was made for something else.
    #[error(
        "the network `{network}` of {role} `{component}` was made for {key} `{found}`; expected {expected}: use a network trained for this deployment"
    )]
    WrongNetwork {
        /// The network.
        network: String,
        /// The role that opens it.
        role: Role,
        /// Its name in the deployment.
        component: String,
        /// What does not fit: a key of the network's metadata.
        key: &'static str,
        /// What the network says.
        found: String,
        /// What this deployment has.
        expected: String,
    },
    /// A network was trained for other budgets.
    #[error(
        "the network `{network}` was trained for budgets of {range} of the constraint `{constraint}`; found {found}: use a budget in that range, or a network trained for this one"
    )]
    UntrainedBudget {
        /// The network.
        network: String,
        /// The constraint.
        constraint: String,
        /// The range: `low..high`.
        range: String,
        /// The budget.
        found: f64,
    },
    /// The prompt is empty.
    #[error("the prompt is empty; give at least one word")]
    EmptyPrompt,
    /// The prompt, or prompt and answer, do not fit.
    #[error(
        "a prompt of {prompt} tokens and an answer of {answer} do not fit the context of {context}; shorten the prompt or ask for fewer tokens"
    )]
    DoesNotFit {
        /// Tokens of the prompt, with the chat template.
        prompt: usize,
        /// The fewest answer tokens that were to fit.
        answer: usize,
        /// The model's context.
        context: usize,
    },
    /// A budget is given for a constraint that is not there.
    #[error("there is no constraint `{found}`; the deployment has: {known}")]
    UnknownConstraint {
        /// The name given.
        found: String,
        /// The names there are.
        known: String,
    },
    /// A request wants a larger budget than the deployment allows.
    #[error(
        "the request gives `{constraint}` a budget of {found:?}, the deployment allows at most {allowed:?}; a request can only \
         tighten: ask for less, or change the deployment"
    )]
    LooserBudget {
        /// The constraint.
        constraint: String,
        /// The budget given.
        found: f64,
        /// The deployment's budget.
        allowed: f64,
    },
    /// The audit's margin is larger than this budget: no answer would be safe.
    #[error(
        "no answer can be safe under a budget of {found:?} for `{constraint}`: {margin:?} of 1 + budget is kept to spare for \
         rounding; give a larger budget, or load the models in a number format that rounds less"
    )]
    BudgetWithinMargin {
        /// The constraint.
        constraint: String,
        /// The budget.
        found: f64,
        /// The part of `1 + budget` that must be left.
        margin: f64,
    },
    /// Budgets are those of the conversation, and its first turn cannot be priced.
    #[error(
        "the conversation begins with a turn of the assistant, which this model cannot price: {source}; begin with a turn of \
         the user"
    )]
    UnaskedTurn {
        /// The error of the back end.
        #[source]
        source: Box<EngineError>,
    },
    /// Budgets are those of the conversation, and it has too many turns to price.
    #[error(
        "the conversation has {found} turns of the assistant, each of which is priced again for every answer; at most {most} \
         are: begin a new conversation, or join earlier turns"
    )]
    TooManyTurns {
        /// The turns there are.
        found: usize,
        /// The most that are priced.
        most: usize,
    },
    /// The request was cancelled before it began.
    #[error("the request was cancelled before its answer began")]
    CancelledWaiting,
    /// The thread that computes on the models did not start.
    #[error(transparent)]
    Schedule(#[from] StartError),
    /// The back end failed. The request has ended and holds nothing.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A setting is out of range, or the search failed.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A component refuses a setting that the bundle's manifest gives it.
    #[error("{place}: {problem}")]
    Setting {
        /// The file, the line and the key.
        place: String,
        /// Why it is refused.
        problem: Box<SandboxError>,
    },
    /// A component was refused, or no instance was free.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A network's layers do not fit each other, or the device did not take it.
    #[error(transparent)]
    Dense(#[from] DenseError),
}

impl EngineError {
    /// True if the caller's request is wrong: another request can succeed where this one failed.
    #[must_use]
    pub fn is_callers_fault(&self) -> bool {
        matches!(
            self,
            Self::EmptyPrompt
                | Self::DoesNotFit { .. }
                | Self::UnknownConstraint { .. }
                | Self::LooserBudget { .. }
                | Self::UnaskedTurn { .. }
                | Self::TooManyTurns { .. }
                | Self::UnknownMethod { .. }
                | Self::UntrainedBudget { .. }
                | Self::BudgetWithinMargin { .. }
                | Self::TopLogprobs { .. }
                | Self::Search(SearchError::Config { .. })
                | Self::Model(
                    ModelError::Tokenizer(TokenizerError::Refused(_))
                        | ModelError::Conversation(_)
                        | ModelError::EmptyPrompt
                        | ModelError::ContextExceeded { .. }
                )
        )
    }

    /// Whether the request was cancelled before it began.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::CancelledWaiting)
    }

    /// True if all instances were in use: the same request may succeed later.
    #[must_use]
    pub fn may_succeed_later(&self) -> bool {
        matches!(self, Self::Sandbox(SandboxError::PoolDry { .. }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_cannot_be_encoded_is_the_requests_fault_and_a_broken_tokenizer_is_not() {
        let of = |error: TokenizerError| EngineError::from(ModelError::from(error));
        assert!(of(TokenizerError::Refused("no token for ü".to_owned())).is_callers_fault());
        assert!(!of(TokenizerError::Broken).is_callers_fault());
    }
}
