//! The toy's back ends, with other abilities, and with rows that fail.
#![allow(dead_code, reason = "every test file uses another part")]

use inferenceguard_host::{
    Abilities, BackEnd, EngineBuilder,
    model::{
        BeamId, Caller, Effort, Generator, GrowRow, GrownRow, Growth, LatentSelector, Likely, Message, ModelError,
        ModelInfo, Rows, SampleRequest, Sampled, ScoreModel, Token, Tokenizer, dense::Dense, toy::ToyScript,
    },
    schedule::{Limits, Scheduler},
};
use std::{collections::BTreeMap, sync::Arc};

/// What becomes of the rows of the call of this number, from 0.
pub(crate) type Spoil = fn(usize, Vec<GrownRow>) -> Result<Vec<GrownRow>, ModelError>;

/// A back end that says of itself what a test wants.
pub(crate) struct Limited {
    inner: Arc<dyn BackEnd>,
    abilities: Abilities,
    spoil: Spoil,
}

/// A builder with the score models of a script, and its language model under other abilities and with spoiled rows.
pub(crate) fn builder(script: &str, change: impl FnOnce(&mut Abilities), spoil: Spoil) -> EngineBuilder {
    let toy = ToyScript::parse(script).unwrap();
    let boxed = |score| Box::new(score) as Box<dyn ScoreModel>;
    let scores: BTreeMap<_, _> =
        toy.scores().into_iter().map(|score| (score.info().name.clone(), boxed(score))).collect();
    let scheduler = Scheduler::start(Some(Box::new(toy.model())), scores, Limits::default()).unwrap();
    let inner = scheduler.back_end().unwrap();
    let mut abilities = inner.abilities().clone();
    change(&mut abilities);
    let builder = EngineBuilder::new().back_end(Arc::new(Limited { inner, abilities, spoil }));
    scheduler.score_back_ends().into_values().fold(builder, EngineBuilder::score_back_end)
}

/// Rows as they are.
pub(crate) fn as_they_are(_: usize, rows: Vec<GrownRow>) -> Result<Vec<GrownRow>, ModelError> {
    Ok(rows)
}

impl BackEnd for Limited {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }
    fn handle(&self, caller: &Caller) -> Box<dyn Generator> {
        let (inner, abilities, spoil) = (self.inner.handle(caller), self.abilities.clone(), self.spoil);
        Box::new(Handle { inner, abilities, spoil, calls: 0 })
    }
    fn live_beams(&self) -> usize {
        self.inner.live_beams()
    }
    fn broken(&self) -> Option<String> {
        self.inner.broken()
    }
    fn dense(&self) -> Arc<dyn Dense> {
        self.inner.dense()
    }
    fn rounding(&self) -> f64 {
        self.inner.rounding()
    }
}

struct Handle {
    inner: Box<dyn Generator>,
    abilities: Abilities,
    spoil: Spoil,
    calls: usize,
}

impl Generator for Handle {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }
    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.inner.tokenizer()
    }
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        self.inner.encode_chat(messages)
    }
    fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError> {
        self.inner.open(prompt)
    }
    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.inner.fork(parents)
    }
    fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        self.inner.append(rows)
    }
    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError> {
        let grown = self.inner.grow(growth, rows)?;
        self.calls += 1;
        (self.spoil)(self.calls - 1, grown)
    }
    fn sample(&mut self, requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        self.inner.sample(requests)
    }
    fn steer(&mut self, beams: &[BeamId], latents: Rows) -> Result<(), ModelError> {
        self.inner.steer(beams, latents)
    }
    fn latents(&mut self, beams: &[BeamId], selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.inner.latents(beams, selector)
    }
    fn logits(&mut self, beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.inner.logits(beams)
    }
    fn likeliest(&mut self, beams: &[BeamId], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        self.inner.likeliest(beams, k)
    }
    fn logprobs(&mut self, rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError> {
        match self.abilities.forced {
            true => self.inner.logprobs(rows),
            false => Err(ModelError::Unsupported("give log-probabilities of given tokens".to_owned())),
        }
    }
    fn release(&mut self, beams: &[BeamId]) {
        self.inner.release(beams);
    }
    fn take_effort(&mut self) -> Effort {
        self.inner.take_effort()
    }
}
