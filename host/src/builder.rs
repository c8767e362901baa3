//! Puts an engine together.

use crate::{
    BundleIdentity, Engine, EngineError, RolesFactory,
    deployment::{Deployment, Ready},
    sandboxed::Loader,
    scores::ScoreModels,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_model::{Model, ScoreModel};
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::{Constraint, SearchConfig};
use std::{collections::BTreeMap, sync::Arc};

/// The name of the method that a bundle's own policy plays.
pub const OWN_METHOD: &str = "bundle";

/// Builds an [`Engine`]: a model, its score models, and a bundle (or roles in plain Rust).
#[derive(Default)]
pub struct EngineBuilder {
    model: Option<Box<dyn Model>>,
    scores: Vec<Box<dyn ScoreModel>>,
    bundle: Option<Bundle>,
    methods: Vec<String>,
    parts: BTreeMap<String, Vec<u8>>,
    native: Vec<(String, Arc<dyn RolesFactory>)>,
    config: Option<SearchConfig>,
    budgets: BTreeMap<String, f64>,
    sandbox: Option<Sandbox>,
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder").field("methods", &self.methods).finish_non_exhaustive()
    }
}

impl EngineBuilder {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The language model.
    #[must_use]
    pub fn model(mut self, model: Box<dyn Model>) -> Self {
        self.model = Some(model);
        self
    }

    /// One score model; costs find it by the name in its info.
    #[must_use]
    pub fn score_model(mut self, model: Box<dyn ScoreModel>) -> Self {
        self.scores.push(model);
        self
    }

    /// The bundle that decides.
    #[must_use]
    pub fn bundle(mut self, bundle: &Bundle) -> Self {
        self.bundle = Some(bundle.clone());
        self
    }

    /// A method a request may name; the first one named is that of requests that name none. Without any call, the
    /// bundle's own policy decides, under the name [`OWN_METHOD`].
    #[must_use]
    pub fn method(mut self, name: impl Into<String>) -> Self {
        self.methods.push(name.into());
        self
    }

    /// A policy component for [`EngineBuilder::method`], by the name of its package (`beam-search`).
    #[must_use]
    pub fn policy_component(mut self, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.parts.insert(name.into(), bytes);
        self
    }

    /// A steering component for [`EngineBuilder::method`], by the name of its package (`re-control`).
    #[must_use]
    pub fn steering_component(mut self, name: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.parts.insert(name.into(), bytes);
        self
    }

    /// Roles in plain Rust as the method of this name, without any sandbox: for tests, and for those who embed their
    /// own. Needs [`EngineBuilder::config`] unless there is a bundle.
    #[must_use]
    pub fn roles(mut self, method: impl Into<String>, roles: impl RolesFactory + 'static) -> Self {
        self.native.push((method.into(), Arc::new(roles)));
        self
    }

    /// Default settings; they replace those of the bundle.
    #[must_use]
    pub fn config(mut self, config: SearchConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Another budget for a constraint, in its cost's unit: the operator's, so it may be larger than the bundle's.
    #[must_use]
    pub fn budget(mut self, constraint: impl Into<String>, budget: f64) -> Self {
        self.budgets.insert(constraint.into(), budget);
        self
    }

    /// A sandbox shared with other engines, so that components are compiled once; its limits hold instead of the
    /// bundle's.
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    /// Compiles and configures the components, and checks that everything they read is there.
    ///
    /// # Errors
    /// What is missing or does not fit, in words.
    pub fn build(self) -> Result<Engine, EngineError> {
        let methods = self.ready_methods()?;
        let config = self.config.or_else(|| Some(self.bundle.as_ref()?.manifest().search_config()));
        let mut config =
            config.ok_or(EngineError::Incomplete { what: "settings", call: "bundle` or `EngineBuilder::config" })?;
        for (name, budget) in &self.budgets {
            constraint(&mut config, name)?.budget = *budget;
        }
        let identity = self.bundle.as_ref().map(identity).unwrap_or_default();
        let networks = self.bundle.as_ref().map(|bundle| bundle.networks().clone()).unwrap_or_default();
        let deployment = Deployment::new(identity, config, networks, methods)?;
        let mut model = self.model.ok_or(EngineError::Incomplete { what: "model", call: "model" })?;
        let scores = by_name(self.scores)?;
        deployment.check(model.as_mut(), &scores)?;
        Ok(Engine::new(deployment, model, scores))
    }

    fn ready_methods(&self) -> Result<Vec<(String, Ready)>, EngineError> {
        let mut ready = Vec::new();
        for (name, roles) in &self.native {
            ready.push((name.clone(), Ready::new(Arc::clone(roles))?));
        }
        if let Some(bundle) = &self.bundle {
            let loader = Loader::new(bundle, &self.parts, self.sandbox.clone())?;
            if self.methods.is_empty() && ready.is_empty() {
                ready.push(loader.own()?);
            }
            for name in &self.methods {
                ready.push(loader.method(name)?);
            }
        }
        Ok(ready)
    }
}

/// The constraint of this name.
pub(crate) fn constraint<'a>(config: &'a mut SearchConfig, name: &str) -> Result<&'a mut Constraint, EngineError> {
    let names: Vec<&str> = config.constraints.iter().map(|priced| priced.constraint.name.as_str()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let found = config.constraints.iter_mut().map(|priced| &mut priced.constraint).find(|one| one.name == name);
    found.ok_or_else(|| EngineError::UnknownConstraint { found: name.to_owned(), known })
}

fn identity(bundle: &Bundle) -> BundleIdentity {
    let manifest = bundle.manifest();
    let (name, version) = (manifest.name.clone(), manifest.version.clone());
    BundleIdentity { name, version, digest: bundle.digest().to_string() }
}

fn by_name(models: Vec<Box<dyn ScoreModel>>) -> Result<ScoreModels, EngineError> {
    let mut named = ScoreModels::new();
    for model in models {
        let name = model.info().name.clone();
        if named.insert(name.clone(), model).is_some() {
            return Err(EngineError::ScoreModelTwice { name });
        }
    }
    Ok(named)
}
