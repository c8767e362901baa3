//! What an engine runs: default settings, and the roles of every method.

use crate::{
    BundleIdentity, EngineError, Generation, Models, Request, RolesFactory,
    abilities::{self, inner_layer},
    back_ends::Handles,
    networks::{self, Networks},
    pins::Pins,
    request::{check_budget, margin},
    roles::readers,
    scores::ScoreModels,
};
use inferenceguard_model::{Generator, LatentSelector, ModelError, ModelInfo};
use inferenceguard_sandbox::Shape;
use inferenceguard_search::{RolesInfo, SearchConfig};
use std::{collections::BTreeMap, sync::Arc};

/// A method whose components are compiled and configured.
pub(crate) struct Ready {
    pub(crate) roles: Arc<dyn RolesFactory>,
    pub(crate) info: RolesInfo,
}

impl Ready {
    pub(crate) fn new(roles: Arc<dyn RolesFactory>) -> Result<Self, EngineError> {
        let info = roles.open()?.info();
        Ok(Self { roles, info })
    }
}

/// Everything fixed when a bundle is activated.
pub(crate) struct Deployment {
    /// The number of the activation in this engine, from 1.
    pub(crate) generation: u64,
    pub(crate) identity: BundleIdentity,
    pub(crate) config: SearchConfig,
    networks: Networks,
    /// What the rounding of the device that runs them can do to sums of costs, as [`Dense::rounding`] has it.
    ///
    /// [`Dense::rounding`]: inferenceguard_model::dense::Dense::rounding
    pub(crate) networks_rounding: f64,
    pins: Pins,
    methods: BTreeMap<String, Ready>,
    default: String,
}

impl Deployment {
    /// The first method is the default.
    pub(crate) fn new(
        generation: u64,
        identity: BundleIdentity,
        config: SearchConfig,
        (networks, networks_rounding): (Networks, f64),
        pins: Pins,
        methods: Vec<(String, Ready)>,
    ) -> Result<Self, EngineError> {
        let missing = EngineError::Incomplete { what: "roles", call: "bundle` or `EngineBuilder::roles" };
        let default = methods.first().map(|(name, _)| name.clone()).ok_or(missing)?;
        let methods = methods.into_iter().collect();
        Ok(Self { generation, identity, config, networks, networks_rounding, pins, methods, default })
    }

    pub(crate) fn generation(&self) -> Generation {
        Generation { number: self.generation, bundle: self.identity.clone() }
    }

    pub(crate) fn default_method(&self) -> &str {
        &self.default
    }

    pub(crate) fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.keys().map(String::as_str)
    }

    /// The method that a request asks for.
    pub(crate) fn requested_method(&self, request: &Request) -> Result<&Ready, EngineError> {
        self.method(request.method.as_deref().unwrap_or(&self.default))
    }

    pub(crate) fn method(&self, name: &str) -> Result<&Ready, EngineError> {
        self.methods.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.methods().collect();
            EngineError::UnknownMethod { found: name.to_owned(), known: known.join(", ") }
        })
    }

    /// Whether the back ends are those that the bundle was made for, and can do all that the roles need.
    pub(crate) fn check(&self, handles: &mut Handles, models: &Models) -> Result<(), EngineError> {
        self.pins.check(models)?;
        for (method, ready) in &self.methods {
            self.config.validate(&ready.info)?;
            let margin = margin(&self.config, &ready.info, self.networks_rounding, handles);
            for one in self.config.constraints.iter().map(|priced| &priced.constraint) {
                check_budget(&one.name, one.budget, margin)?;
            }
            check_scores(&ready.info, &handles.scores)?;
            let model = handles.language.as_mut();
            abilities::check(method, ready, &self.config, model.info().vocab, &handles.abilities)?;
            check_layers(&ready.info, model)?;
            networks::check(method, &ready.info, &self.networks, model.info(), &self.config)?;
        }
        Ok(())
    }

    /// Whether every component answers made-up rows of this model as a request could use it.
    pub(crate) fn rehearse(&self, model: &ModelInfo) -> Result<(), EngineError> {
        let constraints = self.config.constraints.iter().map(|priced| priced.constraint.clone()).collect();
        let shape = Shape {
            hidden: model.hidden,
            vocabulary: model.vocab,
            constraints,
            limits: self.config.limits,
            unranked: self.config.task.is_none(),
        };
        self.methods.values().try_for_each(|ready| ready.roles.rehearse(&shape))
    }

    /// Whether the networks that these roles open were trained for the budgets of a request.
    pub(crate) fn check_budgets(&self, info: &RolesInfo, config: &SearchConfig) -> Result<(), EngineError> {
        networks::check_budgets(info, &self.networks, config)
    }
}

fn check_scores(info: &RolesInfo, scores: &ScoreModels) -> Result<(), EngineError> {
    for (role, component, needs) in readers(info) {
        if let Some(model) = needs.scores.iter().find(|name| !scores.contains_key(*name)) {
            let known =
                if scores.is_empty() { "none".into() } else { scores.keys().cloned().collect::<Vec<_>>().join(", ") };
            let (component, model) = (component.to_owned(), model.clone());
            return Err(EngineError::NoScoreModel { role, component, model, known });
        }
    }
    Ok(())
}

fn check_layers(info: &RolesInfo, model: &mut dyn Generator) -> Result<(), EngineError> {
    for (role, component, needs) in readers(info) {
        let places = needs.latents.iter().chain(&needs.token_latents);
        for layer in places.filter_map(inner_layer) {
            let component = component.to_owned();
            let refused = |source| EngineError::NoLayer { role, component, layer, source };
            probe_layer(model, layer).map_err(refused)?;
        }
    }
    Ok(())
}

/// Reads the layer of a beam of one token: the only way to know whether the back end has it.
fn probe_layer(model: &mut dyn Generator, layer: u32) -> Result<(), ModelError> {
    let beam = model.open(&[0])?;
    let latents = model.latents(&[beam], LatentSelector::Layer(layer));
    model.release(&[beam]);
    latents.map(|_| ())
}
