//! Builds an engine.

use crate::{
    Engine, EngineError, RolesFactory,
    back_ends::{BackEnds, Own, by_name},
    blueprint::Blueprint,
    methods::Methods,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_model::{BackEnd, Model, SamplingSettings, ScoreBackEnd, ScoreModel, dense::Dense};
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::SearchConfig;
use std::sync::Arc;

/// The name of the method that a bundle's own policy plays.
pub const OWN_METHOD: &str = "bundle";

/// Builds an [`Engine`]: a model, its score models, and a bundle (or roles in plain Rust).
#[derive(Default)]
pub struct EngineBuilder {
    own: Own,
    back_end: Option<Arc<dyn BackEnd>>,
    scores: Vec<Arc<dyn ScoreBackEnd>>,
    bundle: Option<Bundle>,
    blueprint: Blueprint,
    max_live: Option<usize>,
    generation: Option<u64>,
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder").field("methods", &self.blueprint.methods).finish_non_exhaustive()
    }
}

impl EngineBuilder {
    /// A builder without a model and without a bundle.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The language model. The engine computes on it, and on the score models of [`EngineBuilder::score_model`], in one thread
    /// of its own.
    #[must_use]
    pub fn model(mut self, model: Box<dyn Model>) -> Self {
        (self.own.model, self.back_end) = (Some(model), None);
        self
    }

    /// The language model as a back end, which other engines may use too, or which runs elsewhere. It replaces
    /// [`EngineBuilder::model`].
    #[must_use]
    pub fn back_end(mut self, language: Arc<dyn BackEnd>) -> Self {
        (self.own.model, self.back_end) = (None, Some(language));
        self
    }

    /// One score model; costs find it by the name in its info.
    #[must_use]
    pub fn score_model(mut self, model: Box<dyn ScoreModel>) -> Self {
        self.own.scores.push(model);
        self
    }

    /// One score model as a back end, which other engines may use too, or which runs elsewhere.
    #[must_use]
    pub fn score_back_end(mut self, scores: Arc<dyn ScoreBackEnd>) -> Self {
        self.scores.push(scores);
        self
    }

    /// The bundle that decides.
    #[must_use]
    pub fn bundle(mut self, bundle: &Bundle) -> Self {
        self.bundle = Some(bundle.clone());
        self
    }

    /// Adds a method that requests may name. The first one is the default. Without any call, the bundle's own policy
    /// decides, under the name [`OWN_METHOD`].
    #[must_use]
    pub fn method(mut self, name: impl Into<String>) -> Self {
        self.blueprint.methods.push(name.into());
        self
    }

    /// The table of methods, in place of this crate's. A bundle's own methods come on top.
    #[must_use]
    pub fn methods(mut self, table: Methods) -> Self {
        self.blueprint.table = table;
        self
    }

    /// A policy component for [`EngineBuilder::method`], by the name of its package (`beam-search`).
    #[must_use]
    pub fn policy_component(mut self, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.blueprint.parts.insert(name.into(), bytes);
        self
    }

    /// A steering component for [`EngineBuilder::method`], by the name of its package (`re-control`).
    #[must_use]
    pub fn steering_component(mut self, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.blueprint.parts.insert(name.into(), bytes);
        self
    }

    /// Roles in plain Rust as the method of this name, without a sandbox: for tests and for roles of the embedder. Needs
    /// [`EngineBuilder::config`] unless there is a bundle.
    #[must_use]
    pub fn roles(mut self, method: impl Into<String>, roles: impl RolesFactory + 'static) -> Self {
        self.blueprint.native.push((method.into(), Arc::new(roles)));
        self
    }

    /// Default settings; they replace those of the bundle.
    #[must_use]
    pub fn config(mut self, config: SearchConfig) -> Self {
        self.blueprint.config = Some(config);
        self
    }

    /// The operator's budget for a constraint, in its cost's unit. It replaces that of the bundle that the engine is built
    /// with, and may be larger. It can only tighten bundles that are activated later.
    #[must_use]
    pub fn budget(mut self, constraint: impl Into<String>, budget: f64) -> Self {
        self.blueprint.budgets.insert(constraint.into(), budget);
        self
    }

    /// Makes budgets of [`EngineBuilder::budget`] tighten only, for the first bundle as well.
    #[must_use]
    pub fn budgets_tighten(mut self) -> Self {
        self.blueprint.tightens = true;
        self
    }

    /// The device that runs networks of components, in place of the back end's own ([`BackEnd::dense`]).
    #[must_use]
    pub fn dense(mut self, dense: Arc<dyn Dense>) -> Self {
        self.blueprint.dense = Some(dense);
        self
    }

    /// A sandbox whose compiled code is shared with other engines, so that components are compiled once. The limits of each
    /// bundle hold for its components all the same.
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.blueprint.sandbox = Some(sandbox);
        self
    }

    /// How many requests run at once; others wait in the order they came. 8 if not set.
    #[must_use]
    pub fn max_live(mut self, requests: usize) -> Self {
        self.max_live = Some(requests);
        self
    }

    /// The number of the first generation; 1 if not set. A program that continues from a saved state sets it.
    #[must_use]
    pub fn generation(mut self, number: u64) -> Self {
        self.generation = Some(number);
        self
    }

    /// Only the roles of a method, without any model: for replaying recorded calls.
    ///
    /// # Errors
    /// As [`EngineBuilder::build`].
    pub fn build_roles(self, method: &str) -> Result<Arc<dyn RolesFactory>, EngineError> {
        let deployment = self.blueprint.first(self.bundle.as_ref(), 0, SamplingSettings::default())?;
        Ok(Arc::clone(&deployment.method(method)?.roles))
    }

    /// Compiles and configures the components, and checks that everything they read is there.
    ///
    /// # Errors
    /// [`EngineError`]: what is missing or does not fit.
    pub fn build(mut self) -> Result<Engine, EngineError> {
        let (own, scores) = self.own.start()?;
        let language = self.back_end.or(own);
        let scores = by_name(scores.into_iter().chain(self.scores))?;
        let of_model = || Some(language.as_ref()?.dense());
        self.blueprint.dense = self.blueprint.dense.take().or_else(of_model);
        let authors = language.as_ref().map(|language| language.info().sampling).unwrap_or_default();
        let deployment = self.blueprint.first(self.bundle.as_ref(), self.generation.unwrap_or(1), authors)?;
        let language = language.ok_or(EngineError::Incomplete { what: "model", call: "model" })?;
        let engine = Engine::new(self.blueprint, deployment, BackEnds::new(language, scores), self.max_live);
        self.bundle.as_ref().map_or(Ok(()), |bundle| engine.check_templates(bundle))?;
        engine.check()?;
        Ok(engine)
    }
}
