//! The language model as a back end, and the handle of one request.

use crate::{
    calls::{Answer, Job},
    health::Health,
    shared::Shared,
};
use inferenceguard_model::{
    Abilities, BackEnd, BeamId, Caller, Effort, Generator, GrowRow, GrownRow, Growth, Holding, KeptTokens,
    LatentSelector, Likely, Message, Model, ModelError, ModelInfo, Native, Rows, SampleRequest, Sampled, TemplateNames,
    Token, Tokenizer, dense::Dense,
};
use std::{
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    time::Instant,
};

/// What callers know of the language model without asking it.
#[derive(Clone)]
pub(crate) struct Language {
    pub(crate) info: ModelInfo,
    pub(crate) health: Health,
    abilities: Abilities,
    tokenizer: Arc<dyn Tokenizer>,
    templates: TemplateNames,
    dense: Arc<dyn Dense>,
    rounding: f64,
}

impl Language {
    pub(crate) fn of(model: &dyn Model) -> Self {
        Self {
            info: model.info().clone(),
            health: Health::default(),
            abilities: Native::abilities_of(model),
            tokenizer: model.tokenizer(),
            templates: model.templates(),
            dense: model.dense(),
            rounding: model.rounding(),
        }
    }

    pub(crate) fn endless(mut self) -> Self {
        self.info.eos.clear();
        self
    }
}

/// The language model of a scheduler.
pub(crate) struct LanguageBackEnd {
    pub(crate) shared: Arc<Shared>,
    pub(crate) language: Language,
}

impl BackEnd for LanguageBackEnd {
    fn info(&self) -> &ModelInfo {
        &self.language.info
    }

    fn abilities(&self) -> &Abilities {
        &self.language.abilities
    }

    fn handle(&self, caller: &Caller) -> Box<dyn Generator> {
        let (shared, language) = (Arc::clone(&self.shared), self.language.clone());
        Box::new(Handle { shared, language, own: Holding::new(caller) })
    }

    fn live_beams(&self) -> usize {
        let (sender, answer) = mpsc::channel();
        self.shared.send(Job::Now(Box::new(move |native| {
            let _ = sender.send(native.live_beams());
        })));
        // A model that broke holds nothing.
        answer.recv().unwrap_or(0)
    }

    fn broken(&self) -> Option<String> {
        self.language.health.broken().map(str::to_owned)
    }

    fn dense(&self) -> Arc<dyn Dense> {
        Arc::clone(&self.language.dense)
    }

    fn rounding(&self) -> f64 {
        self.language.rounding
    }

    fn reused_positions(&self) -> u64 {
        self.shared.counts().reused_positions
    }
}

/// What one request holds: a call waits for its answer, so there is one at a time.
struct Handle {
    shared: Arc<Shared>,
    language: Language,
    own: Holding,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let all = self.own.beams.remove_all();
        self.free(all);
    }
}

/// Where a call's time is booked.
#[derive(Clone, Copy)]
enum Time {
    Model,
    Sampling,
}

impl Handle {
    /// Sends a call and waits for its answer.
    fn ask<T>(&mut self, job: impl FnOnce(Sender<Answer<T>>) -> Job) -> Result<T, ModelError> {
        self.check()?;
        let (sender, answer) = mpsc::channel();
        self.shared.send(job(sender));
        let (answer, effort) = answer.recv().map_err(|_| self.no_answer())?;
        self.own.effort += effort;
        answer
    }

    /// Runs work on the model's thread between two steps.
    fn now<T: Send + 'static>(
        &mut self,
        time: Time,
        work: impl FnOnce(&mut Native) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        self.ask(|sender| {
            Job::Now(Box::new(move |native| {
                let start = Instant::now();
                let done = work(native);
                let took = start.elapsed();
                let effort = match time {
                    Time::Model => Effort { model: took, ..Effort::default() },
                    Time::Sampling => Effort { sampling: took, ..Effort::default() },
                };
                let _ = sender.send((done, effort));
            }))
        })
    }

    /// The error of a call that was dropped: the model panicked. The next job is handled after that was noted.
    fn no_answer(&self) -> ModelError {
        let (sender, noted) = mpsc::channel::<()>();
        self.shared.send(Job::Now(Box::new(move |_| drop(sender))));
        let _ = noted.recv();
        self.language.health.no_answer()
    }

    fn check(&self) -> Result<(), ModelError> {
        self.language.health.check()?;
        self.own.caller.cancel.check()
    }

    fn free(&self, beams: Vec<BeamId>) {
        if !beams.is_empty() {
            self.shared.send(Job::Now(Box::new(move |native| native.release(&beams))));
        }
    }
}

impl Generator for Handle {
    fn info(&self) -> &ModelInfo {
        &self.language.info
    }

    fn abilities(&self) -> &Abilities {
        &self.language.abilities
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        Arc::clone(&self.language.tokenizer)
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        self.check()?;
        let ((sender, answer), messages) = (mpsc::channel(), messages.to_vec());
        self.shared.send(Job::Now(Box::new(move |native| drop(sender.send(native.encode_chat(&messages))))));
        answer.recv().map_err(|_| self.no_answer())?
    }

    fn templates(&self) -> TemplateNames {
        self.language.templates.clone()
    }

    fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError> {
        let (prompt, caller) = (prompt.to_vec(), self.own.caller.clone());
        let beam = self.ask(|answer| Job::Open { prompt, tenant: caller.tenant, cancel: caller.cancel, answer })?;
        self.own.beams.add([beam]);
        Ok(beam)
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        let parents = self.own.beams.check(parents.iter().copied())?;
        let children = self.now(Time::Model, move |native| native.fork(&parents))?;
        self.own.beams.add(children.iter().copied());
        Ok(children)
    }

    fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        self.own.beams.check(rows.iter().map(|(beam, _)| *beam))?;
        if rows.is_empty() {
            return Ok(());
        }
        let (rows, cancel) = (rows.to_vec(), self.own.caller.cancel.clone());
        self.ask(|answer| Job::Append { rows, cancel, answer })
    }

    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError> {
        let (rows, foreign) = self.own.beams.split(rows)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let (growth, cancel) = (growth.clone(), self.own.caller.cancel.clone());
        let grown = self.ask(|answer| Job::Grow { growth, rows, cancel, answer })?;
        Ok(self.own.beams.join(grown, foreign))
    }

    fn sample(&mut self, requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        let beams = self.own.beams.check(requests.iter().map(|(beam, _)| *beam))?;
        self.now(Time::Model, move |native| native.project(&beams))?;
        let requests = requests.to_vec();
        self.now(Time::Sampling, move |native| native.sample(&requests))
    }

    fn steer(&mut self, beams: &[BeamId], latents: Rows) -> Result<(), ModelError> {
        let beams = self.own.beams.check(beams.iter().copied())?;
        self.now(Time::Model, move |native| native.steer(&beams, latents))
    }

    fn latents(&mut self, beams: &[BeamId], selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let beams = self.own.beams.check(beams.iter().copied())?;
        self.now(Time::Model, move |native| native.latents(&beams, selector))
    }

    fn keep_latents(&mut self, beams: &[BeamId], places: &[LatentSelector]) -> Result<(), ModelError> {
        let beams = self.own.beams.check(beams.iter().copied())?;
        let places = places.to_vec();
        self.now(Time::Model, move |native| native.keep_latents(&beams, &places))
    }

    fn kept_latents(&mut self, rows: &[KeptTokens], places: &[LatentSelector]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        self.own.beams.check(rows.iter().map(|(beam, _)| *beam))?;
        let (rows, places) = (rows.to_vec(), places.to_vec());
        self.now(Time::Model, move |native| native.kept_latents(&rows, &places))
    }

    fn logits(&mut self, beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let beams = self.own.beams.check(beams.iter().copied())?;
        self.now(Time::Model, move |native| native.logits(&beams))
    }

    fn likeliest(&mut self, beams: &[BeamId], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        let beams = self.own.beams.check(beams.iter().copied())?;
        self.now(Time::Sampling, move |native| native.likeliest(&beams, k))
    }

    fn logprobs(&mut self, rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError> {
        self.own.beams.check(rows.iter().map(|(beam, _)| *beam))?;
        let rows = rows.to_vec();
        self.now(Time::Model, move |native| native.logprobs(&rows))
    }

    fn release(&mut self, beams: &[BeamId]) {
        let own = self.own.beams.remove(beams);
        self.free(own);
    }

    fn take_effort(&mut self) -> Effort {
        std::mem::take(&mut self.own.effort)
    }
}
