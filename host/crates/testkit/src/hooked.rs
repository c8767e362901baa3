//! A toy model around whose calls a test does something: it writes them down, waits, spoils them, or describes itself in another way.

use inferenceguard_model::{
    BeamId, Model, ModelError, ModelInfo, Reading, Rows, SampleRequest, Sampled, Token, Tokenizer, toy::ToyModel,
};
use std::sync::Arc;

/// What a test does around the calls of a model. By default each call is passed on.
pub trait Hooks: Send {
    /// In place of [`Model::tokenizer`].
    fn tokenizer(&self, model: &ToyModel) -> Arc<dyn Tokenizer> {
        model.tokenizer()
    }

    /// Around [`Model::prefill_part`].
    ///
    /// # Errors
    /// As there.
    fn prefill_part(
        &mut self,
        model: &mut ToyModel,
        reading: &mut Reading,
        most: usize,
    ) -> Result<Option<(BeamId, Rows)>, ModelError> {
        model.prefill_part(reading, most)
    }

    /// Around [`Model::fork`].
    ///
    /// # Errors
    /// As there.
    fn fork(&mut self, model: &mut ToyModel, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        model.fork(parents)
    }

    /// Around [`Model::step`].
    ///
    /// # Errors
    /// As there.
    fn step(&mut self, model: &mut ToyModel, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        model.step(rows)
    }

    /// Around [`Model::project`].
    ///
    /// # Errors
    /// As there.
    fn project(&mut self, model: &mut ToyModel, latents: &Rows) -> Result<Rows, ModelError> {
        model.project(latents)
    }

    /// Around [`Model::layer_latents`].
    ///
    /// # Errors
    /// As there.
    fn layer_latents(&mut self, model: &mut ToyModel, beams: &[BeamId], layer: u32) -> Result<Rows, ModelError> {
        model.layer_latents(beams, layer)
    }

    /// Around [`Model::sample`].
    ///
    /// # Errors
    /// As there.
    fn sample(
        &mut self,
        model: &mut ToyModel,
        logits: &Rows,
        requests: &[(usize, SampleRequest)],
    ) -> Result<Vec<Sampled>, ModelError> {
        model.sample(logits, requests)
    }
}

/// Hooks that pass everything on.
impl Hooks for () {}

/// A toy with hooks.
#[derive(Debug)]
pub struct Hooked<H> {
    info: ModelInfo,
    model: ToyModel,
    hooks: H,
}

impl<H: Hooks> Hooked<H> {
    /// This model, which describes itself as it is.
    #[must_use]
    pub fn new(model: ToyModel, hooks: H) -> Self {
        Self { info: model.info().clone(), model, hooks }
    }

    /// The same model, which describes itself in another way.
    #[must_use]
    pub fn described(self, change: impl FnOnce(&mut ModelInfo)) -> Self {
        let Self { mut info, model, hooks } = self;
        change(&mut info);
        Self { info, model, hooks }
    }
}

impl<H: Hooks> Model for Hooked<H> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.hooks.tokenizer(&self.model)
    }

    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError> {
        self.model.encode_prompt(prompt)
    }

    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError> {
        self.model.prefill(prompt)
    }

    fn prefill_part(&mut self, reading: &mut Reading, most: usize) -> Result<Option<(BeamId, Rows)>, ModelError> {
        self.hooks.prefill_part(&mut self.model, reading, most)
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.hooks.fork(&mut self.model, parents)
    }

    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        self.hooks.step(&mut self.model, rows)
    }

    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError> {
        self.hooks.project(&mut self.model, latents)
    }

    fn layer_latents(&mut self, beams: &[BeamId], layer: u32) -> Result<Rows, ModelError> {
        self.hooks.layer_latents(&mut self.model, beams, layer)
    }

    fn sample(&mut self, logits: &Rows, requests: &[(usize, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        self.hooks.sample(&mut self.model, logits, requests)
    }

    fn release(&mut self, beams: &[BeamId]) {
        self.model.release(beams);
    }

    fn live_beams(&self) -> usize {
        self.model.live_beams()
    }
}
