//! Plays another back end with faults.

use super::{
    script::{Call, Fault, FaultError, Faults, parse},
    spoil::spoil,
};
use crate::{
    Abilities, BackEnd, BeamId, Caller, Effort, Generator, GrowRow, GrownRow, Growth, KeptTokens, LatentSelector,
    Likely, Message, ModelError, ModelInfo, Rows, SampleRequest, Sampled, TemplateNames, Token, Tokenizer,
    dense::Dense, lock,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// What becomes of the rows of a call of `grow`, by its number from 1.
pub type Spoil = fn(u64, Vec<GrownRow>) -> Result<Vec<GrownRow>, ModelError>;

/// An engine that gives bad answers by a script; see [`crate::fake`].
#[derive(Clone)]
pub struct FakeEngine {
    inner: Arc<dyn BackEnd>,
    abilities: Abilities,
    spoil: Spoil,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    /// Calls so far, by kind.
    calls: Mutex<BTreeMap<Call, u64>>,
    /// Restarts so far.
    restarts: AtomicU64,
}

impl State {
    /// The fault of the next call of this kind.
    fn strike(&self, call: Call) -> Option<Fault> {
        let mut calls = lock(&self.calls);
        let number = calls.entry(call).or_default();
        *number += 1;
        self.faults.get(&(call, *number)).copied()
    }

    /// Calls of this kind so far.
    fn calls(&self, call: Call) -> u64 {
        lock(&self.calls).get(&call).copied().unwrap_or_default()
    }
}

impl FakeEngine {
    /// Plays `inner` with the faults of a script.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn new(inner: Arc<dyn BackEnd>, script: &str) -> Result<Self, FaultError> {
        let abilities = Abilities { engine: format!("fake {}", inner.abilities().engine), ..inner.abilities().clone() };
        let state = Arc::new(State { faults: parse(script)?, ..State::default() });
        Ok(Self { inner, abilities, spoil: |_, rows| Ok(rows), state })
    }

    /// The same engine with other abilities: what is off is refused.
    #[must_use]
    pub fn with_abilities(mut self, abilities: Abilities) -> Self {
        self.abilities = abilities;
        self
    }

    /// The same engine, which changes grown rows beyond what a script can say. Beams of rows that it leaves out stay with the handle.
    #[must_use]
    pub fn with_spoiled(mut self, spoil: Spoil) -> Self {
        self.spoil = spoil;
        self
    }
}

impl std::fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeEngine").field("state", &self.state).finish_non_exhaustive()
    }
}

impl BackEnd for FakeEngine {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }

    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn handle(&self, caller: &Caller) -> Box<dyn Generator> {
        let (inner, restarts) = (self.inner.handle(caller), self.state.restarts.load(Ordering::SeqCst));
        Box::new(Handle { engine: self.clone(), caller: caller.clone(), inner, restarts })
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
    engine: FakeEngine,
    caller: Caller,
    inner: Box<dyn Generator>,
    /// Restarts of the engine when its beams were made.
    restarts: u64,
}

impl Handle {
    /// Begins a call: the fault that the script has for it, unless it fails at once. After a restart no beam is left.
    fn begin(&mut self, call: Call) -> Result<Option<Fault>, ModelError> {
        self.catch_up();
        match self.engine.state.strike(call) {
            Some(Fault::Error) => Err(failed("the engine answered 500")),
            Some(Fault::Restart) => {
                self.engine.state.restarts.fetch_add(1, Ordering::SeqCst);
                self.catch_up();
                Err(failed("the engine closed the connection"))
            }
            fault => Ok(fault),
        }
    }

    fn catch_up(&mut self) {
        let restarts = self.engine.state.restarts.load(Ordering::SeqCst);
        if restarts != self.restarts {
            (self.inner, self.restarts) = (self.engine.inner.handle(&self.caller), restarts);
        }
    }

    /// Calls that fail as a whole, and no other way.
    fn whole<T>(
        &mut self,
        call: Call,
        work: impl FnOnce(&mut dyn Generator) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let fault = self.begin(call)?;
        let done = work(self.inner.as_mut());
        if fault == Some(Fault::TimeOut) { Err(failed("no answer in time")) } else { done }
    }

    fn refuse(&self, able: bool, what: &str) -> Result<(), ModelError> {
        if able { Ok(()) } else { Err(ModelError::Unsupported(what.to_owned())) }
    }
}

pub(super) fn failed(why: &str) -> ModelError {
    ModelError::Backend(why.into())
}

impl Generator for Handle {
    fn info(&self) -> &ModelInfo {
        self.inner.info()
    }

    fn abilities(&self) -> &Abilities {
        &self.engine.abilities
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        self.inner.tokenizer()
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        self.inner.encode_chat(messages)
    }

    fn templates(&self) -> TemplateNames {
        self.inner.templates()
    }

    fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError> {
        self.whole(Call::Open, |inner| inner.open(prompt))
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.whole(Call::Fork, |inner| inner.fork(parents))
    }

    fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        self.whole(Call::Append, |inner| inner.append(rows))
    }

    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError> {
        let penalised = growth.penalties.iter().any(|offset| !offset.is_empty());
        self.refuse(self.engine.abilities.penalties || !penalised, "lower tokens by offset")?;
        let (fault, vocab) = (self.begin(Call::Grow)?, self.inner.info().vocab);
        let parents: Vec<BeamId> = rows.iter().map(|row| row.parent).collect();
        let mut grown = self.inner.grow(growth, rows)?;
        let lost = match fault {
            Some(Fault::TimeOut) => grown.iter().flatten().map(|(beam, _)| *beam).collect(),
            fault => spoil(&mut grown, fault, vocab, &parents),
        };
        self.inner.release(&lost);
        if fault == Some(Fault::TimeOut) {
            return Err(failed("no answer in time"));
        }
        (self.engine.spoil)(self.engine.state.calls(Call::Grow), grown)
    }

    fn sample(&mut self, requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        self.refuse(self.engine.abilities.steering, "draw from a steered latent")?;
        self.catch_up();
        self.inner.sample(requests)
    }

    fn steer(&mut self, beams: &[BeamId], latents: Rows) -> Result<(), ModelError> {
        self.refuse(self.engine.abilities.steering, "steer")?;
        self.catch_up();
        self.inner.steer(beams, latents)
    }

    fn latents(&mut self, beams: &[BeamId], selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let Abilities { latents, layers, .. } = self.engine.abilities;
        self.refuse(if selector == LatentSelector::FinalNorm { latents } else { layers }, "give these latents")?;
        let fault = self.begin(Call::Latents)?;
        let mut rows = self.inner.latents(beams, selector)?;
        if let Some(Fault::Nan(row)) = fault
            && let Some(row) = rows.get_mut(row)
        {
            *row = std::iter::once(f32::NAN).chain(row.iter().skip(1).copied()).collect();
        }
        if fault == Some(Fault::TimeOut) { Err(failed("no answer in time")) } else { Ok(rows) }
    }

    fn keep_latents(&mut self, beams: &[BeamId], places: &[LatentSelector]) -> Result<(), ModelError> {
        self.refuse(self.engine.abilities.token_latents, "keep the latents of every token")?;
        self.catch_up();
        self.inner.keep_latents(beams, places)
    }

    fn kept_latents(&mut self, rows: &[KeptTokens], places: &[LatentSelector]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.refuse(self.engine.abilities.token_latents, "give the latents of every token")?;
        let fault = self.begin(Call::Latents)?;
        let mut kept = self.inner.kept_latents(rows, places)?;
        if let Some(Fault::Nan(row)) = fault
            && let Some(row) = kept.get_mut(row)
        {
            *row = std::iter::once(f32::NAN).chain(row.iter().skip(1).copied()).collect();
        }
        if fault == Some(Fault::TimeOut) { Err(failed("no answer in time")) } else { Ok(kept) }
    }

    fn logits(&mut self, beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.refuse(self.engine.abilities.logits, "give logits")?;
        self.catch_up();
        self.inner.logits(beams)
    }

    fn likeliest(&mut self, beams: &[BeamId], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        self.refuse(k <= self.engine.abilities.likeliest, "give more of the likeliest tokens")?;
        self.catch_up();
        self.inner.likeliest(beams, k)
    }

    fn logprobs(&mut self, rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError> {
        self.refuse(self.engine.abilities.forced, "give log-probabilities of given tokens")?;
        let fault = self.begin(Call::Logprobs)?;
        let mut logprobs = self.inner.logprobs(rows)?;
        if let Some(Fault::Nan(row)) = fault {
            logprobs.get_mut(row).into_iter().for_each(|logprob| *logprob = f32::NAN);
        }
        if fault == Some(Fault::TimeOut) { Err(failed("no answer in time")) } else { Ok(logprobs) }
    }

    fn release(&mut self, beams: &[BeamId]) {
        self.inner.release(beams);
    }

    fn take_effort(&mut self) -> Effort {
        self.inner.take_effort()
    }
}
