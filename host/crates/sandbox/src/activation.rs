//! A component with its settings: tried once, then started afresh for every request.
//!
//! An instance is configured when it starts. That was chosen by measurement over snapshots of configured instances
//! (see the bench `speed`); the choice is private to [`Activation::configured`].

use crate::{
    SandboxError, SettingValue,
    bindings::exports::inferenceguard::guard::setup,
    bindings::inferenceguard::guard::types::Value,
    component::{Exports, Inner, invalid},
    convert,
    instance::{self, Guest},
    roles, settings,
};
use inferenceguard_model::dense::Networks;
use inferenceguard_search::{Cost, CostGrain, CostKind, Critic, FailureKind, Needs, Policy, Role, Steering, Tracker};
use std::{collections::BTreeMap, sync::Arc};
use wasmtime::component::Instance;

/// A component with settings that it accepted. Cheap to clone; instances may be started from any thread.
#[derive(Clone)]
pub struct Activation {
    inner: Arc<Active>,
}

struct Active {
    component: Arc<Inner>,
    networks: Arc<Networks>,
    settings: Vec<(String, Value)>,
    needs: Arc<Needs>,
    pricing: Option<(CostKind, CostGrain)>,
}

impl Activation {
    pub(crate) fn new(
        component: Arc<Inner>,
        given: &BTreeMap<String, SettingValue>,
        networks: Arc<Networks>,
    ) -> Result<Self, SandboxError> {
        let settings = configuration(&component, given)?;
        let mut active = Active { component, networks, settings, needs: Arc::default(), pricing: None };
        let (mut guest, instance, setup) = active.configured()?;
        let (listed, declared) =
            guest.raw(|store| instance::needs(store, &setup)).map_err(|kind| active.failed("needs", kind))?;
        active.needs = Arc::new(convert::our_needs(listed, declared).map_err(|wrong| active.bad_needs(wrong))?);
        active.pricing = active.ask_pricing(&mut guest, &instance)?;
        Ok(Self { inner: Arc::new(active) })
    }

    /// What it reads.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.inner.needs
    }

    /// For a cost: what its prices are for, and how many it gives.
    #[must_use]
    pub fn pricing(&self) -> Option<(CostKind, CostGrain)> {
        self.inner.pricing
    }

    /// The role it fills.
    #[must_use]
    pub fn role(&self) -> Role {
        self.inner.component.role
    }

    /// Its name in the deployment.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.component.name
    }

    /// A fresh policy.
    ///
    /// # Errors
    /// [`SandboxError::WrongRole`], [`SandboxError::PoolDry`], or any failure while it starts.
    pub fn policy(&self) -> Result<Box<dyn Policy>, SandboxError> {
        Ok(Box::new(self.start_policy()?))
    }

    /// A fresh tracker.
    ///
    /// # Errors
    /// As [`Activation::policy`].
    pub fn tracker(&self) -> Result<Box<dyn Tracker>, SandboxError> {
        Ok(Box::new(self.start_tracker()?))
    }

    /// A fresh critic.
    ///
    /// # Errors
    /// As [`Activation::policy`].
    pub fn critic(&self) -> Result<Box<dyn Critic>, SandboxError> {
        Ok(Box::new(self.start_critic()?))
    }

    /// A fresh cost.
    ///
    /// # Errors
    /// As [`Activation::policy`].
    pub fn cost(&self) -> Result<Box<dyn Cost>, SandboxError> {
        Ok(Box::new(self.start_cost()?))
    }

    /// A fresh steering.
    ///
    /// # Errors
    /// As [`Activation::policy`].
    pub fn steering(&self) -> Result<Box<dyn Steering>, SandboxError> {
        Ok(Box::new(self.start_steering()?))
    }

    pub(crate) fn start_policy(&self) -> Result<roles::WasmPolicy, SandboxError> {
        let Exports::Policy(indices) = self.exports() else { return Err(self.wrong_role(Role::Policy)) };
        let (mut guest, instance, _) = self.inner.configured()?;
        let functions = indices.load(&mut guest.store, &instance).map_err(|error| self.invalid(&error))?;
        Ok(roles::WasmPolicy { guest, functions, needs: Arc::clone(&self.inner.needs) })
    }

    pub(crate) fn start_tracker(&self) -> Result<roles::WasmTracker, SandboxError> {
        let Exports::Tracker(indices) = self.exports() else { return Err(self.wrong_role(Role::Tracker)) };
        let (mut guest, instance, _) = self.inner.configured()?;
        let functions = indices.load(&mut guest.store, &instance).map_err(|error| self.invalid(&error))?;
        Ok(roles::WasmTracker { guest, functions })
    }

    pub(crate) fn start_critic(&self) -> Result<roles::WasmCritic, SandboxError> {
        let Exports::Critic(indices) = self.exports() else { return Err(self.wrong_role(Role::Critic)) };
        let (mut guest, instance, _) = self.inner.configured()?;
        let functions = indices.load(&mut guest.store, &instance).map_err(|error| self.invalid(&error))?;
        Ok(roles::WasmCritic { guest, functions, needs: Arc::clone(&self.inner.needs) })
    }

    pub(crate) fn start_cost(&self) -> Result<roles::WasmCost, SandboxError> {
        let (Exports::Cost(indices), Some(pricing)) = (self.exports(), self.inner.pricing) else {
            return Err(self.wrong_role(Role::Cost));
        };
        let (mut guest, instance, _) = self.inner.configured()?;
        let functions = indices.load(&mut guest.store, &instance).map_err(|error| self.invalid(&error))?;
        Ok(roles::WasmCost { guest, functions, needs: Arc::clone(&self.inner.needs), pricing })
    }

    pub(crate) fn start_steering(&self) -> Result<roles::WasmSteering, SandboxError> {
        let Exports::Steering(indices) = self.exports() else { return Err(self.wrong_role(Role::Steering)) };
        let (mut guest, instance, _) = self.inner.configured()?;
        let functions = indices.load(&mut guest.store, &instance).map_err(|error| self.invalid(&error))?;
        Ok(roles::WasmSteering { guest, functions, needs: Arc::clone(&self.inner.needs) })
    }

    /// A fresh instance that has taken its settings, before any function of its role is called.
    pub(crate) fn start_bare(&self) -> Result<(Guest, Instance, setup::Guest), SandboxError> {
        self.inner.configured()
    }

    pub(crate) fn exports(&self) -> &Exports {
        &self.inner.component.exports
    }

    pub(crate) fn invalid(&self, error: &wasmtime::Error) -> SandboxError {
        invalid(self.name(), error)
    }

    fn wrong_role(&self, expected: Role) -> SandboxError {
        SandboxError::WrongRole { component: self.name().to_owned(), found: self.role(), expected }
    }
}

impl std::fmt::Debug for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Activation").field("name", &self.name()).field("needs", self.needs()).finish_non_exhaustive()
    }
}

impl Active {
    /// A fresh instance that has taken its settings.
    fn configured(&self) -> Result<(Guest, Instance, setup::Guest), SandboxError> {
        let Inner { sandbox, name, role, pre, .. } = &*self.component;
        let (mut guest, instance) = Guest::start(sandbox, name, *role, pre, Arc::clone(&self.networks))?;
        let setup = self.component.setup.load(&mut guest.store, &instance).map_err(|error| invalid(name, &error))?;
        let answer = guest.raw(|store| setup.call_configure(store, &self.settings));
        let answer = answer.map_err(|kind| self.failed("configure", kind))?;
        answer.map_err(|message| SandboxError::Configure { component: name.to_string(), message })?;
        Ok((guest, instance, setup))
    }

    fn ask_pricing(
        &self,
        guest: &mut Guest,
        instance: &Instance,
    ) -> Result<Option<(CostKind, CostGrain)>, SandboxError> {
        let Exports::Cost(indices) = &self.component.exports else { return Ok(None) };
        let cost = indices.load(&mut guest.store, instance).map_err(|error| invalid(&self.component.name, &error))?;
        let kind = guest.raw(|store| cost.call_kind(store)).map_err(|kind| self.failed("kind", kind))?;
        let grain = guest.raw(|store| cost.call_grain(store)).map_err(|kind| self.failed("grain", kind))?;
        let pricing = (convert::our_kind(kind), convert::our_grain(grain));
        if pricing == (CostKind::Task, CostGrain::Token) {
            return Err(self.bad_needs(("a task cost per token".to_owned(), "a task cost per chunk")));
        }
        Ok(Some(pricing))
    }

    fn failed(&self, function: &'static str, kind: FailureKind) -> SandboxError {
        SandboxError::Failed { component: self.component.name.to_string(), function, kind }
    }

    fn bad_needs(&self, (found, expected): (String, &'static str)) -> SandboxError {
        let component = self.component.name.to_string();
        SandboxError::Description { component, found, expected: expected.to_owned() }
    }
}

fn configuration(
    component: &Inner,
    given: &BTreeMap<String, SettingValue>,
) -> Result<Vec<(String, Value)>, SandboxError> {
    let resolved = settings::resolve(&component.name, component.takes(), given)?;
    Ok(resolved.iter().map(|(name, value)| (name.clone(), convert::value(value))).collect())
}
