//! What an engine is built from, apart from its models: kept, so that another bundle can be activated later.

use crate::{
    BundleIdentity, EngineError, OWN_METHOD, RolesFactory,
    deployment::{Deployment, Ready},
    sandboxed::Loader,
};
use inferenceguard_bundle::Bundle;
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::{Constraint, SearchConfig};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What holds for every bundle that this engine activates.
#[derive(Default)]
pub(crate) struct Blueprint {
    pub(crate) methods: Vec<String>,
    /// Components that methods bring, by the names of their packages.
    pub(crate) parts: BTreeMap<String, Vec<u8>>,
    pub(crate) native: Vec<(String, Arc<dyn RolesFactory>)>,
    pub(crate) config: Option<SearchConfig>,
    pub(crate) budgets: BTreeMap<String, f64>,
    /// Whether those budgets loosen no bundle, the first one included.
    pub(crate) tightens: bool,
    pub(crate) sandbox: Option<Sandbox>,
    /// The sandbox of the newest bundle, where none was given: the next one shares it if its limits are the same.
    pub(crate) own_sandbox: Mutex<Option<Sandbox>>,
}

impl Blueprint {
    /// Compiles and configures what the bundle names that the engine is built with.
    pub(crate) fn first(&self, bundle: Option<&Bundle>, generation: u64) -> Result<Deployment, EngineError> {
        self.deployment(bundle, generation, |own, given| if self.tightens { own.min(given) } else { given })
    }

    /// The same of one that comes later: what was said of the first one's budgets loosens no other's.
    pub(crate) fn later(&self, bundle: &Bundle) -> Result<Deployment, EngineError> {
        self.deployment(Some(bundle), 0, f64::min)
    }

    fn deployment(
        &self,
        bundle: Option<&Bundle>,
        generation: u64,
        budget_of: impl Fn(f64, f64) -> f64,
    ) -> Result<Deployment, EngineError> {
        let methods = self.ready_methods(bundle)?;
        let config = self.config.clone().or_else(|| Some(bundle?.manifest().search_config()));
        let mut config =
            config.ok_or(EngineError::Incomplete { what: "settings", call: "bundle` or `EngineBuilder::config" })?;
        for (name, given) in &self.budgets {
            let own = constraint(&mut config, name)?;
            own.budget = budget_of(own.budget, *given);
        }
        let identity = bundle.map(identity).unwrap_or_default();
        let networks = bundle.map(|bundle| bundle.networks().clone()).unwrap_or_default();
        Deployment::new(generation, identity, config, networks, methods)
    }

    /// Fuel used in this engine's sandbox.
    pub(crate) fn fuel(&self) -> u64 {
        let own = self.own_sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        self.sandbox.as_ref().or(own.as_ref()).map_or(0, Sandbox::fuel)
    }

    fn ready_methods(&self, bundle: Option<&Bundle>) -> Result<Vec<(String, Ready)>, EngineError> {
        let mut ready = Vec::new();
        for (name, roles) in &self.native {
            ready.push((name.clone(), Ready::new(Arc::clone(roles))?));
        }
        if let Some(bundle) = bundle {
            let loader = Loader::new(bundle, &self.parts, self.sandbox_for(bundle)?)?;
            if self.methods.is_empty() && ready.is_empty() {
                ready.push((OWN_METHOD.to_owned(), loader.own()?));
            }
            for name in &self.methods {
                ready.push((name.clone(), loader.method(name)?));
            }
        }
        Ok(ready)
    }

    fn sandbox_for(&self, bundle: &Bundle) -> Result<Sandbox, EngineError> {
        if let Some(given) = &self.sandbox {
            return Ok(given.clone());
        }
        let limits = &bundle.manifest().limits;
        let mut own = self.own_sandbox.lock().unwrap_or_else(PoisonError::into_inner);
        match own.as_ref().filter(|sandbox| sandbox.limits() == limits) {
            Some(sandbox) => Ok(sandbox.clone()),
            None => Ok(own.insert(Sandbox::new(limits.clone(), None)?).clone()),
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

fn identity(bundle: &Bundle) -> BundleIdentity {
    let manifest = bundle.manifest();
    let (name, version) = (manifest.name.clone(), manifest.version.clone());
    BundleIdentity { name, version, digest: bundle.digest().to_string() }
}
