//! A model for several callers without a thread of its own: a call waits for the one before.

use crate::{
    Abilities, BackEnd, BeamId, Caller, Effort, Generator, GrowRow, GrownRow, Growth, Holding, KeptTokens,
    LatentSelector, Likely, Message, Model, ModelError, ModelInfo, Native, Rows, SampleRequest, Sampled, TemplateNames,
    Token, Tokenizer, dense::Dense, lock,
};
use std::sync::{Arc, Mutex, MutexGuard};

/// A back end for tests and tools. Calls wait for each other and share no step; a scheduler does better.
#[derive(Clone)]
pub struct LockedBackEnd {
    native: Arc<Mutex<Native>>,
    info: ModelInfo,
    abilities: Abilities,
    tokenizer: Arc<dyn Tokenizer>,
    dense: Arc<dyn Dense>,
    rounding: f64,
}

impl std::fmt::Debug for LockedBackEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LockedBackEnd").field("name", &self.info.name).finish_non_exhaustive()
    }
}

impl LockedBackEnd {
    /// Takes over a model.
    #[must_use]
    pub fn new(model: Box<dyn Model>) -> Self {
        let (info, abilities, tokenizer) =
            (model.info().clone(), Native::abilities_of(model.as_ref()), model.tokenizer());
        let (dense, rounding) = (model.dense(), model.rounding());
        let native = Arc::new(Mutex::new(Native::new(model)));
        Self { native, info, abilities, tokenizer, dense, rounding }
    }

    fn lock(&self) -> Result<MutexGuard<'_, Native>, ModelError> {
        self.native.lock().map_err(|_| ModelError::Broken("it panicked in an earlier call".to_owned()))
    }
}

impl BackEnd for LockedBackEnd {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn handle(&self, caller: &Caller) -> Box<dyn Generator> {
        Box::new(Handle { back_end: self.clone(), own: Holding::new(caller) })
    }

    fn live_beams(&self) -> usize {
        lock(&self.native).live_beams()
    }

    fn broken(&self) -> Option<String> {
        self.native.is_poisoned().then(|| "it panicked in an earlier call; load it again".to_owned())
    }

    fn dense(&self) -> Arc<dyn Dense> {
        Arc::clone(&self.dense)
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

/// What one caller holds.
struct Handle {
    back_end: LockedBackEnd,
    own: Holding,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let all = self.own.beams.remove_all();
        if let Ok(mut native) = self.back_end.lock() {
            native.release(&all);
        }
    }
}

impl Handle {
    fn call<T>(&mut self, work: impl FnOnce(&mut Native) -> Result<T, ModelError>) -> Result<T, ModelError> {
        self.own.caller.cancel.check()?;
        let mut native = self.back_end.lock()?;
        let done = work(&mut native);
        self.own.effort += native.take_effort();
        done
    }
}

impl Generator for Handle {
    fn info(&self) -> &ModelInfo {
        &self.back_end.info
    }

    fn abilities(&self) -> &Abilities {
        &self.back_end.abilities
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        Arc::clone(&self.back_end.tokenizer)
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        self.back_end.lock()?.encode_chat(messages)
    }

    fn templates(&self) -> TemplateNames {
        self.back_end.lock().map(|native| native.templates()).unwrap_or_default()
    }

    fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError> {
        let tenant = self.own.caller.tenant.clone();
        let beam = self.call(|native| native.open_for(tenant.as_deref(), prompt))?;
        self.own.beams.add([beam]);
        Ok(beam)
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.own.beams.check(parents.iter().copied())?;
        let children = self.call(|native| native.fork(parents))?;
        self.own.beams.add(children.iter().copied());
        Ok(children)
    }

    fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        self.own.beams.check(rows.iter().map(|(beam, _)| *beam))?;
        self.call(|native| native.append(rows))
    }

    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError> {
        let (rows, foreign) = self.own.beams.split(rows)?;
        let grown = self.call(|native| native.grow(growth, rows))?;
        Ok(self.own.beams.join(grown, foreign))
    }

    fn sample(&mut self, requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        self.own.beams.check(requests.iter().map(|(beam, _)| *beam))?;
        self.call(|native| native.sample(requests))
    }

    fn steer(&mut self, beams: &[BeamId], latents: Rows) -> Result<(), ModelError> {
        self.own.beams.check(beams.iter().copied())?;
        self.call(|native| native.steer(beams, latents))
    }

    fn latents(&mut self, beams: &[BeamId], selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.own.beams.check(beams.iter().copied())?;
        self.call(|native| native.latents(beams, selector))
    }

    fn keep_latents(&mut self, beams: &[BeamId], places: &[LatentSelector]) -> Result<(), ModelError> {
        self.own.beams.check(beams.iter().copied())?;
        self.call(|native| native.keep_latents(beams, places))
    }

    fn kept_latents(&mut self, rows: &[KeptTokens], places: &[LatentSelector]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.own.beams.check(rows.iter().map(|(beam, _)| *beam))?;
        self.call(|native| native.kept_latents(rows, places))
    }

    fn logits(&mut self, beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.own.beams.check(beams.iter().copied())?;
        self.call(|native| native.logits(beams))
    }

    fn likeliest(&mut self, beams: &[BeamId], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        self.own.beams.check(beams.iter().copied())?;
        self.call(|native| native.likeliest(beams, k))
    }

    fn logprobs(&mut self, rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError> {
        self.own.beams.check(rows.iter().map(|(beam, _)| *beam))?;
        self.call(|native| native.logprobs(rows))
    }

    fn release(&mut self, beams: &[BeamId]) {
        let own = self.own.beams.remove(beams);
        if let Ok(mut native) = self.back_end.lock() {
            native.release(&own);
        }
    }

    fn take_effort(&mut self) -> Effort {
        std::mem::take(&mut self.own.effort)
    }
}
