//! What an engine is built from, apart from its models. The engine keeps it to prepare later bundles.

use crate::{
    EngineError, OWN_METHOD, RolesFactory,
    deployment::{Deployment, Ready},
    methods::Methods,
    pins::Pins,
    sandboxed::{self, Activator, Loader, Trial},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_model::{
    SamplingSettings,
    dense::{CpuDense, Dense},
};
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::{Constraint, SearchConfig};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

/// What holds for every bundle that this engine activates.
#[derive(Default)]
pub(crate) struct Blueprint {
    pub(crate) methods: Vec<String>,
    /// What those names mean, where a bundle does not say.
    pub(crate) table: Methods,
    /// Components that methods bring, by the names of their packages.
    pub(crate) parts: BTreeMap<String, Vec<u8>>,
    pub(crate) native: Vec<(String, Arc<dyn RolesFactory>)>,
    pub(crate) config: Option<SearchConfig>,
    pub(crate) budgets: BTreeMap<String, f64>,
    /// Whether those budgets can only tighten, for the first bundle as well.
    pub(crate) tightens: bool,
    /// What runs networks of components; the reference on the processor if not set.
    pub(crate) dense: Option<Arc<dyn Dense>>,
    pub(crate) sandbox: Option<Sandbox>,
    /// The sandbox that was made for the first bundle, if the builder was given none. Later bundles share it.
    pub(crate) own_sandbox: OnceLock<Sandbox>,
}

impl Blueprint {
    /// Compiles and configures what the bundle names that the engine is built with. `authors` is how the model's authors
    /// sample from it.
    pub(crate) fn first(
        &self,
        bundle: Option<&Bundle>,
        generation: u64,
        authors: SamplingSettings,
    ) -> Result<Deployment, EngineError> {
        let budget = |own: f64, given| if self.tightens { own.min(given) } else { given };
        self.deployment(bundle, generation, (authors, Trial::No), budget)
    }

    /// Same, for a later bundle. Budgets of the builder can only tighten it. A bundle that cannot run under its own limits
    /// is refused here, while the old one still decides.
    pub(crate) fn later(&self, bundle: &Bundle, authors: SamplingSettings) -> Result<Deployment, EngineError> {
        self.deployment(Some(bundle), 0, (authors, Trial::Yes), f64::min)
    }

    fn deployment(
        &self,
        bundle: Option<&Bundle>,
        generation: u64,
        (authors, trial): (SamplingSettings, Trial),
        budget_of: impl Fn(f64, f64) -> f64,
    ) -> Result<Deployment, EngineError> {
        let methods = self.ready_methods(bundle, trial)?;
        let config = self.config.clone().or_else(|| Some(bundle?.manifest().search_config_for(authors)));
        let mut config =
            config.ok_or(EngineError::Incomplete { what: "settings", call: "bundle` or `EngineBuilder::config" })?;
        for (name, given) in &self.budgets {
            let own = constraint(&mut config, name)?;
            own.budget = budget_of(own.budget, *given);
        }
        let identity = bundle.map(Bundle::identity).unwrap_or_default();
        let networks = bundle.map(|bundle| bundle.networks().clone()).unwrap_or_default();
        let pins = bundle.map(|bundle| Pins::from(bundle.manifest())).unwrap_or_default();
        Deployment::new(generation, identity, config, (networks, self.dense().rounding()), pins, methods)
    }

    /// What runs networks of components.
    fn dense(&self) -> &dyn Dense {
        self.dense.as_deref().unwrap_or(&CpuDense)
    }

    /// Fuel used in this engine's sandbox.
    pub(crate) fn fuel(&self) -> u64 {
        self.sandbox.as_ref().or(self.own_sandbox.get()).map_or(0, Sandbox::fuel)
    }

    fn ready_methods(&self, bundle: Option<&Bundle>, trial: Trial) -> Result<Vec<(String, Ready)>, EngineError> {
        let mut ready = Vec::new();
        for (name, roles) in &self.native {
            ready.push((name.clone(), Ready::new(Arc::clone(roles))?));
        }
        if let Some(bundle) = bundle {
            let networks = sandboxed::networks(bundle, self.dense())?;
            let methods = self.table.clone().with(bundle.manifest());
            let activator = Activator { bundle, trial, sandbox: self.sandbox_for(bundle)?, networks };
            let loader = Loader::new(activator, &self.parts, methods)?;
            if self.methods.is_empty() && ready.is_empty() {
                ready.push((OWN_METHOD.to_owned(), loader.own()?));
            }
            for name in &self.methods {
                ready.push((name.clone(), loader.method(name)?));
            }
        }
        Ok(ready)
    }

    /// The sandbox for a bundle's components, under that bundle's own limits.
    fn sandbox_for(&self, bundle: &Bundle) -> Result<Sandbox, EngineError> {
        let limits = &bundle.manifest().limits;
        match self.sandbox.as_ref().or(self.own_sandbox.get()) {
            Some(sandbox) => Ok(sandbox.with_limits(limits)?),
            None => {
                let made = Sandbox::new(limits.clone(), None)?;
                // If another thread made one meanwhile, that one is used.
                Ok(self.own_sandbox.get_or_init(|| made).with_limits(limits)?)
            }
        }
    }
}

/// The constraint of this name.
pub(crate) fn constraint<'a>(config: &'a mut SearchConfig, name: &str) -> Result<&'a mut Constraint, EngineError> {
    let names: Vec<&str> = config.constraints.iter().map(|priced| priced.constraint.name.as_str()).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let found = config.constraints.iter_mut().map(|priced| &mut priced.constraint).find(|one| one.name == name);
    found.ok_or_else(|| EngineError::UnknownConstraint { found: name.to_owned(), known })
}
