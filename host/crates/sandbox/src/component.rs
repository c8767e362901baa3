//! A component that was loaded: checked, compiled, and asked what it is.

use crate::{
    SandboxError, Setting, SettingValue,
    activation::Activation,
    bindings::exports::inferenceguard::guard::{cost, critic, policy, setup, steering, tracker},
    convert, inspect,
    instance::Guest,
    runtime,
    sandbox::Sandbox,
    state::State,
};
use inferenceguard_model::dense::Networks;
use inferenceguard_search::Role;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};
use wasmtime::component::{Instance, InstancePre};

/// What a component says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Its name, in kebab-case.
    pub name: String,
    /// Its version, by semver.
    pub version: String,
    /// The role it fills.
    pub role: Role,
    /// One sentence for the operator.
    pub summary: String,
    /// Every setting it takes.
    pub settings: Vec<Setting>,
}

/// A component, ready to be activated. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) sandbox: Sandbox,
    pub(crate) name: Arc<str>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) setup: setup::GuestIndices,
    pub(crate) exports: Exports,
    pub(crate) role: Role,
    description: Description,
    bytes: u64,
}

/// Where the functions of its role are.
pub(crate) enum Exports {
    Policy(policy::GuestIndices),
    Tracker(tracker::GuestIndices),
    Critic(critic::GuestIndices),
    Cost(cost::GuestIndices),
    Steering(steering::GuestIndices),
}

impl Sandbox {
    /// Loads a component under the name it has in the deployment; `bytes` is its wasm file.
    ///
    /// # Errors
    /// Whatever is wrong with it, in words: no component, foreign imports, wrong version or exports, or it fails to say
    /// what it is.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<Component, SandboxError> {
        let size = bytes.len() as u64;
        if size > self.limits().component {
            let limit = self.limits().component;
            return Err(SandboxError::TooLarge { component: name.to_owned(), found: size, limit });
        }
        let role = inspect::role_of(name, bytes)?;
        let compiled = self.compile(name, bytes)?;
        let invalid = |error: wasmtime::Error| invalid(name, &error);
        let setup = setup::GuestIndices::new(&compiled).map_err(invalid)?;
        let exports = exports(role, &compiled).map_err(invalid)?;
        let name: Arc<str> = name.into();
        let description = describe(self, &name, role, &compiled, &setup, &exports)?;
        let inner =
            Inner { sandbox: self.clone(), name, pre: compiled, setup, exports, role, description, bytes: size };
        Ok(Component { inner: Arc::new(inner) })
    }

    fn compile(&self, name: &str, bytes: &[u8]) -> Result<InstancePre<State>, SandboxError> {
        self.compiled().get(bytes, || {
            let component = runtime::compile(self.engine(), bytes)?.map_err(|error| invalid(name, &error))?;
            self.linker().instantiate_pre(&component).map_err(|error| invalid(name, &error))
        })
    }
}

impl Component {
    /// What it says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.inner.description
    }

    /// The role it fills.
    #[must_use]
    pub fn role(&self) -> Role {
        self.inner.role
    }

    /// Itself, if it fills this role. Asked before it is activated, so that its settings are not blamed.
    ///
    /// # Errors
    /// [`SandboxError::WrongRole`].
    pub fn in_role(&self, expected: Role) -> Result<&Self, SandboxError> {
        if self.role() == expected {
            return Ok(self);
        }
        Err(SandboxError::WrongRole { component: self.name().to_owned(), found: self.role(), expected })
    }

    /// Its name in the deployment.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The size of its file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.inner.bytes
    }

    /// Activates it without networks.
    ///
    /// # Errors
    /// Settings it does not have or does not take; needs that make no sense; any failure.
    pub fn activate(&self, settings: &BTreeMap<String, SettingValue>) -> Result<Activation, SandboxError> {
        self.activate_with(settings, Arc::default())
    }

    /// Activates it with the networks of the deployment.
    ///
    /// # Errors
    /// As [`Component::activate`].
    pub fn activate_with(
        &self,
        settings: &BTreeMap<String, SettingValue>,
        networks: Arc<Networks>,
    ) -> Result<Activation, SandboxError> {
        Activation::new(Arc::clone(&self.inner), settings, networks)
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component").field("name", &self.name()).field("role", &self.role()).finish_non_exhaustive()
    }
}

pub(crate) fn invalid(component: &str, error: &wasmtime::Error) -> SandboxError {
    let (component, reason) = (component.to_owned(), format!("{error:#}"));
    // The engine's errors have no public types.
    match OVER.iter().find(|(words, _)| reason.contains(words)) {
        Some((_, limit)) => SandboxError::OverLimit { component, reason, limit },
        None => SandboxError::Invalid { component, reason },
    }
}

/// What the engine says of a component that does not fit its pool, and the limit that it means.
const OVER: [(&str, &str); 7] = [
    ("core module instances, which exceeds", "core-instances"),
    ("Wasm linear memories, which exceeds", "memories"),
    ("defined memories count", "memories"),
    ("memory has a minimum byte size", "memory"),
    ("tables, which exceeds", "tables"),
    ("defined tables count", "tables"),
    ("has a minimum element size", "table-elements"),
];

fn exports(role: Role, pre: &InstancePre<State>) -> wasmtime::Result<Exports> {
    Ok(match role {
        Role::Policy => Exports::Policy(policy::GuestIndices::new(pre)?),
        Role::Tracker => Exports::Tracker(tracker::GuestIndices::new(pre)?),
        Role::Critic => Exports::Critic(critic::GuestIndices::new(pre)?),
        Role::Cost => Exports::Cost(cost::GuestIndices::new(pre)?),
        Role::Steering => Exports::Steering(steering::GuestIndices::new(pre)?),
        Role::Model => return Err(wasmtime::Error::msg("the language model is no component")),
    })
}

/// Asks what it is, and checks on the way that its functions have the types they must.
fn describe(
    sandbox: &Sandbox,
    name: &Arc<str>,
    role: Role,
    pre: &InstancePre<State>,
    setup: &setup::GuestIndices,
    exports: &Exports,
) -> Result<Description, SandboxError> {
    let (mut guest, instance) = Guest::start(sandbox, name, role, pre, Arc::default())?;
    let functions = setup.load(&mut guest.store, &instance).map_err(|error| invalid(name, &error))?;
    check_types(exports, &mut guest, &instance).map_err(|error| invalid(name, &error))?;
    let failed = |kind| SandboxError::Failed { component: name.to_string(), function: "describe", kind };
    let description = guest.raw(|store| functions.call_describe(store)).map_err(failed)?;
    check_description(name, role, convert::our_description(description))
}

fn check_types(exports: &Exports, guest: &mut Guest, instance: &Instance) -> wasmtime::Result<()> {
    let store = &mut guest.store;
    match exports {
        Exports::Policy(indices) => indices.load(store, instance).map(drop),
        Exports::Tracker(indices) => indices.load(store, instance).map(drop),
        Exports::Critic(indices) => indices.load(store, instance).map(drop),
        Exports::Cost(indices) => indices.load(store, instance).map(drop),
        Exports::Steering(indices) => indices.load(store, instance).map(drop),
    }
}

fn check_description(component: &str, role: Role, description: Description) -> Result<Description, SandboxError> {
    let error = |found: String, expected: String| {
        Err(SandboxError::Description { component: component.to_owned(), found, expected })
    };
    if description.role != role {
        return error(format!("the role {}", description.role), format!("{role}, the role it exports"));
    }
    let mut names = std::collections::BTreeSet::new();
    if let Some(twice) = description.settings.iter().find(|setting| !names.insert(&setting.name)) {
        return error(format!("the setting `{}` twice", twice.name), "each setting once".to_owned());
    }
    if description.name.is_empty() || description.version.is_empty() {
        return error("no name or no version".to_owned(), "both".to_owned());
    }
    Ok(description)
}

impl Inner {
    pub(crate) fn takes(&self) -> &[Setting] {
        &self.description.settings
    }
}
