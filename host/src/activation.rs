//! Bundles of a running engine: they are prepared, and then installed in a lane.

use crate::{Engine, EngineError, Generation, lanes::Prepared};
use inferenceguard_bundle::Bundle;
use inferenceguard_model::{Caller, lock};
use std::sync::Arc;

impl Engine {
    /// Activates another bundle while requests run, with the methods, components, budgets and settings that this engine was
    /// built with. It compiles, configures and checks on the caller's thread; components that are compiled already are not
    /// compiled again. After it returns, the new bundle decides for all new requests. Running requests end under the bundle
    /// that they began with.
    ///
    /// # Errors
    /// As [`crate::EngineBuilder::build`]; the old bundle then stays.
    pub fn activate(&self, bundle: &Bundle) -> Result<Generation, EngineError> {
        let _one = lock(&self.activating);
        Ok(self.install(None, self.prepare(bundle)?))
    }

    /// The first half of [`Engine::activate`]: everything that takes time or can fail. Nothing changes yet. Each function of
    /// each component is called once on made-up rows: a bundle on which every request would fail is refused here, while the
    /// old one still decides.
    ///
    /// # Errors
    /// As [`crate::EngineBuilder::build`].
    pub fn prepare(&self, bundle: &Bundle) -> Result<Prepared, EngineError> {
        self.check_templates(bundle)?;
        let authors = self.model().sampling;
        let mut next = self.instances().for_activation(|| {
            let next = self.blueprint.later(bundle, authors)?;
            next.check(&mut self.handles(&Caller::default()), self.models())?;
            next.rehearse(self.model()).map(|()| next)
        })?;
        next.generation = self.lanes().next_number();
        Ok(Prepared(Arc::new(next)))
    }

    /// Calls the functions of the active bundle's components on made-up rows, as [`Engine::prepare`] does for every later
    /// bundle. A server calls it before it takes requests, so that a bundle on which every request would fail is found then.
    ///
    /// # Errors
    /// [`EngineError::Sandbox`]: the component, the function, and what it did.
    pub fn rehearse(&self) -> Result<(), EngineError> {
        self.instances().for_activation(|| self.current().rehearse(self.model()))
    }

    /// The second half of [`Engine::activate`]: from now on the prepared bundle decides for new requests of this lane. `None`
    /// is the main lane, of requests that name none. Any other lane exists from its first installation on.
    pub fn install(&self, lane: Option<&str>, prepared: Prepared) -> Generation {
        self.lanes().install(lane, prepared)
    }

    /// Removes a lane: new requests that name it fail, and its running requests continue.
    pub fn close(&self, lane: &str) {
        self.lanes().close(lane);
    }

    /// The generation that decides for new requests of this lane.
    ///
    /// # Errors
    /// [`EngineError::UnknownLane`].
    pub fn generation_in(&self, lane: Option<&str>) -> Result<Generation, EngineError> {
        Ok(self.lanes().get(lane)?.generation())
    }

    /// The deployment that decides for new requests of this lane, to judge answers by it.
    ///
    /// # Errors
    /// [`EngineError::UnknownLane`].
    pub fn prepared_in(&self, lane: Option<&str>) -> Result<Prepared, EngineError> {
        self.lanes().get(lane).map(Prepared)
    }

    /// The largest number that a generation of this engine has had, whether it decided or not.
    #[must_use]
    pub fn newest_number(&self) -> u64 {
        self.lanes().newest_number()
    }

    /// From now on, generations get larger numbers than this one. A program that continues from a saved state calls it.
    pub fn number_beyond(&self, number: u64) {
        self.lanes().number_beyond(number);
    }
}
