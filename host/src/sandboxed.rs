//! Roles played by the components of a bundle.

use crate::{
    EngineError, OWN_METHOD, Roles, RolesFactory,
    deployment::Ready,
    methods::{Methods, Part},
};
use inferenceguard_bundle::{Bundle, Manifest, MethodEntry, Network, RoleEntry};
use inferenceguard_model::dense::{Dense, DenseError, Networks};
use inferenceguard_sandbox::{Activation, Sandbox, SandboxError, SettingValue, Shape};
use inferenceguard_search::Role;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

type Settings = BTreeMap<String, SettingValue>;

/// Tables of a manifest.
const COSTS: &str = "costs";
const SETTINGS: &str = "settings";
const LISTS: &str = "lists";

/// What every method of a bundle shares.
struct Shared {
    tracker: Activation,
    critic: Option<Activation>,
    steering: Option<Activation>,
    costs: BTreeMap<String, Activation>,
    /// Set once the tracker and the costs have answered made-up rows.
    rehearsed: OnceLock<()>,
}

/// One method of a bundle.
struct Sandboxed {
    policy: Activation,
    critic: Option<Activation>,
    steering: Option<Activation>,
    shared: Arc<Shared>,
}

impl RolesFactory for Sandboxed {
    fn open(&self) -> Result<Roles, EngineError> {
        let costs = self.shared.costs.iter().map(|(name, cost)| Ok((name.clone(), cost.cost()?)));
        Ok(Roles {
            policy: self.policy.policy()?,
            tracker: self.shared.tracker.tracker()?,
            critic: self.critic.as_ref().map(Activation::critic).transpose()?,
            steering: self.steering.as_ref().map(Activation::steering).transpose()?,
            costs: costs.collect::<Result<_, SandboxError>>()?,
        })
    }

    fn rehearse(&self, shape: &Shape) -> Result<(), EngineError> {
        let Self { policy, critic, steering, shared } = self;
        let mut own = std::iter::once(policy).chain(critic).chain(steering);
        own.try_for_each(|active| active.rehearse(shape))?;
        // The methods of a deployment share these.
        if shared.rehearsed.get().is_none() {
            let mut common = std::iter::once(&shared.tracker).chain(shared.costs.values());
            common.try_for_each(|active| active.rehearse(shape))?;
            let _ = shared.rehearsed.set(());
        }
        Ok(())
    }
}

/// Activates components of a bundle, with its networks.
pub(crate) struct Activator<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) sandbox: Sandbox,
    pub(crate) networks: Arc<Networks>,
}

impl Activator<'_> {
    /// The one component of a role.
    fn only(&self, role: Role, entry: &RoleEntry) -> Result<Activation, EngineError> {
        let name = role.to_string();
        let name = name.as_str();
        let activation = self.bytes(name, role, self.file(entry), &self.bundle.settings(entry));
        activation.map_err(|error| self.placed(error, &[&[name, SETTINGS], &[name, LISTS]]))
    }

    fn optional(&self, role: Role, entry: Option<&RoleEntry>) -> Result<Option<Activation>, EngineError> {
        entry.map(|entry| self.only(role, entry)).transpose()
    }

    fn cost(&self, name: &str, entry: &RoleEntry) -> Result<Activation, EngineError> {
        let activation = self.bytes(name, Role::Cost, self.file(entry), &self.bundle.settings(entry));
        activation.map_err(|error| self.placed(error, &[&[COSTS, name, SETTINGS], &[COSTS, name, LISTS]]))
    }

    /// Says where the manifest has a setting that a component refuses: in one of these tables, each named by the tables around it.
    fn placed(&self, error: EngineError, tables: &[&[&str]]) -> EngineError {
        let EngineError::Sandbox(problem) = error else { return error };
        let setting = match &problem {
            SandboxError::UnknownSetting { name, .. } | SandboxError::SettingType { name, .. } => Some(name.as_str()),
            // A component says in its own words which one.
            SandboxError::Configure { .. } => None,
            _ => return problem.into(),
        };
        let place = |table: &&[&str]| self.bundle.place(&table.iter().copied().chain(setting).collect::<Vec<_>>());
        match tables.iter().find_map(place) {
            Some(place) => EngineError::Setting { place, problem: Box::new(problem) },
            None => problem.into(),
        }
    }

    fn bytes(&self, name: &str, role: Role, bytes: &[u8], settings: &Settings) -> Result<Activation, EngineError> {
        let component = self.sandbox.load(name, bytes)?;
        Ok(component.in_role(role)?.activate_with(settings, Arc::clone(&self.networks))?)
    }

    /// A bundle holds every file its manifest names.
    fn file(&self, entry: &RoleEntry) -> &[u8] {
        self.bundle.file(&entry.component).unwrap_or_default()
    }
}

/// Loads and configures the components of a bundle.
pub(crate) struct Loader<'a> {
    activator: Activator<'a>,
    /// Components that methods bring, by the names of their packages.
    parts: &'a BTreeMap<String, Vec<u8>>,
    methods: Methods,
    shared: Arc<Shared>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        activator: Activator<'a>,
        parts: &'a BTreeMap<String, Vec<u8>>,
        methods: Methods,
    ) -> Result<Self, EngineError> {
        let manifest = activator.bundle.manifest();
        manifest.methods.iter().try_for_each(|(name, entry)| check_entry(&methods, name, entry))?;
        let shared = Arc::new(shared(&activator, manifest)?);
        Ok(Self { activator, parts, methods, shared })
    }

    /// The bundle's own policy, with everything the bundle has.
    pub(crate) fn own(&self) -> Result<Ready, EngineError> {
        let policy = self.activator.only(Role::Policy, &self.manifest().policy)?;
        self.ready(policy, self.shared.critic.clone(), self.shared.steering.clone())
    }

    /// A method by name.
    pub(crate) fn method(&self, name: &str) -> Result<Ready, EngineError> {
        if name == OWN_METHOD {
            return self.own();
        }
        let critic = self.methods.find(name)?.critic;
        if critic && self.shared.critic.is_none() {
            return Err(EngineError::NoCritic { method: name.to_owned() });
        }
        let bundle = self.activator.bundle;
        let policy = self.part(name, Role::Policy, &self.methods.policy(bundle, name)?)?;
        let steering = self.methods.steering(bundle, name)?;
        let steering = steering.map(|part| self.part(name, Role::Steering, &part)).transpose()?;
        self.ready(policy, self.shared.critic.clone().filter(|_| critic), steering)
    }

    fn ready(
        &self,
        policy: Activation,
        critic: Option<Activation>,
        steering: Option<Activation>,
    ) -> Result<Ready, EngineError> {
        let roles = Sandboxed { policy, critic, steering, shared: Arc::clone(&self.shared) };
        Ready::new(Arc::new(roles))
    }

    /// The component of a method: the bundle's file, or the embedder's component of that name.
    fn part(&self, method: &str, role: Role, part: &Part) -> Result<Activation, EngineError> {
        let file = part.file.as_deref().and_then(|file| self.activator.bundle.file(file));
        let given = || self.parts.get(&part.component).map(Vec::as_slice);
        let missing =
            || EngineError::NoComponent { method: method.to_owned(), role, component: part.component.clone() };
        let bytes = file.or_else(given).ok_or_else(missing)?;
        let name = role.to_string();
        let (activator, name) = (&self.activator, name.as_str());
        let own = if role == Role::Steering { "steering" } else { SETTINGS };
        let activation = activator.bytes(name, role, bytes, &part.settings);
        activation
            .map_err(|error| activator.placed(error, &[&["methods", method, own], &[name, SETTINGS], &[name, LISTS]]))
    }

    fn manifest(&self) -> &Manifest {
        self.activator.bundle.manifest()
    }
}

fn check_entry(methods: &Methods, name: &str, entry: &MethodEntry) -> Result<(), EngineError> {
    if name == OWN_METHOD {
        return check_own(entry);
    }
    let steers = methods.find(name)?.steering.is_some();
    if entry.steering.is_empty() || steers {
        return Ok(());
    }
    Err(EngineError::NotSteered { method: name.to_owned() })
}

/// Of the bundle's own policy an entry says one thing only: the other settings are the policy's.
fn check_own(entry: &MethodEntry) -> Result<(), EngineError> {
    let MethodEntry { policy, steering_component, critic, candidates: _, settings, steering } = entry;
    let more = [
        ("policy", policy.is_some()),
        ("steering_component", steering_component.is_some()),
        ("critic", *critic),
        ("settings", !settings.is_empty()),
        ("steering", !steering.is_empty()),
    ];
    let key = more.into_iter().find(|(_, given)| *given);
    key.map_or(Ok(()), |(key, _)| Err(EngineError::OwnMethod { key }))
}

/// The networks of a bundle on a device.
pub(crate) fn networks(bundle: &Bundle, dense: &dyn Dense) -> Result<Arc<Networks>, DenseError> {
    let load = |(name, network): (&String, &Network)| Ok((name.clone(), dense.load(name, &network.layers)?));
    Ok(Arc::new(bundle.networks().iter().map(load).collect::<Result<_, DenseError>>()?))
}

fn shared(activator: &Activator<'_>, manifest: &Manifest) -> Result<Shared, EngineError> {
    let costs = manifest.costs.iter().map(|(name, entry)| Ok((name.clone(), activator.cost(name, entry)?)));
    Ok(Shared {
        tracker: activator.only(Role::Tracker, &manifest.tracker)?,
        critic: activator.optional(Role::Critic, manifest.critic.as_ref())?,
        steering: activator.optional(Role::Steering, manifest.steering.as_ref())?,
        costs: costs.collect::<Result<_, EngineError>>()?,
        rehearsed: OnceLock::new(),
    })
}
