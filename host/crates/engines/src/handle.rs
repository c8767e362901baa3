//! One request on an engine: its beams, its session, and the calls that grow and read them.

use crate::{
    beams::Beams,
    engine::{Engine, Job, Row, Session, Siblings, all, grow},
    identity::unique,
    stops,
};
use inferenceguard_model::{
    Abilities, BeamId, Caller, Cancel, Effort, Generator, GrowRow, GrowingText, Grown, GrownRow, Growth,
    LatentSelector, Likely, Message, ModelError, ModelInfo, Rows, SampleRequest, Sampled, TemplateNames, Token,
    Tokenizer,
};
use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Names the sessions of a back end.
pub(crate) struct Sessions {
    /// Begins the names, so that those of two processes differ.
    process: u64,
    next: AtomicU64,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self { process: unique(), next: AtomicU64::new(0) }
    }

    /// The name of one request's session.
    pub(crate) fn next(&self) -> String {
        format!("ig-{:016x}-{}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a back end says of its language model and makes for a caller, by its `core`: the same for every engine.
macro_rules! back_end_of_core {
    () => {
        fn info(&self) -> &inferenceguard_model::ModelInfo {
            &self.core.side.info
        }

        fn abilities(&self) -> &inferenceguard_model::Abilities {
            &self.core.side.abilities
        }

        fn handle(&self, caller: &inferenceguard_model::Caller) -> Box<dyn inferenceguard_model::Generator> {
            Box::new($crate::handle::Handle::new(std::sync::Arc::clone(&self.core), self.sessions.next(), caller))
        }

        fn live_beams(&self) -> usize {
            self.core.side.live.load(std::sync::atomic::Ordering::Relaxed)
        }

        fn rounding(&self) -> f64 {
            self.rounding
        }
    };
}
pub(crate) use back_end_of_core;

/// A handle on an engine.
pub(crate) struct Handle<E> {
    engine: Arc<E>,
    session: Arc<Session>,
    beams: Beams,
    cancel: Cancel,
    effort: Effort,
}

impl<E: Engine> Handle<E> {
    pub(crate) fn new(engine: Arc<E>, id: String, caller: &Caller) -> Self {
        let beams = Beams::new(&engine.side().info, Arc::clone(&engine.side().live));
        let session = Arc::new(Session { id, salt: caller.tenant.clone() });
        Self { engine, session, beams, cancel: caller.cancel.clone(), effort: Effort::default() }
    }

    /// Runs one task for each job at once, and returns what they give in order.
    fn each<J, T, F>(&self, jobs: Vec<J>, task: impl Fn(Arc<E>, Arc<Session>, J) -> F) -> Result<Vec<T>, ModelError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let tasks: Vec<F> =
            jobs.into_iter().map(|job| task(Arc::clone(&self.engine), Arc::clone(&self.session), job)).collect();
        let side = self.engine.side();
        let done = side.worker.wait(&self.cancel, all(tasks));
        let done = done.map_err(|fault| ModelError::from(fault.at(&side.names)))?;
        done.ok_or_else(|| unsupported("finish a call of which a task panicked; report it"))
    }

    fn jobs(&self, growth: &Growth, rows: &[GrowRow]) -> Vec<Result<Job, ModelError>> {
        let mut counts: HashMap<BeamId, usize> = HashMap::new();
        rows.iter().for_each(|row| *counts.entry(row.parent).or_default() += 1);
        let siblings: HashMap<BeamId, Arc<Siblings>> = counts
            .into_iter()
            .map(|(parent, count)| (parent, Arc::new(Siblings { count, ..Siblings::default() })))
            .collect();
        let growth = Arc::new(growth.clone());
        let job = |row: &GrowRow| {
            let siblings = siblings.get(&row.parent).cloned().unwrap_or_default();
            self.job(&growth, row, siblings)
        };
        rows.iter().map(job).collect()
    }

    fn job(&self, growth: &Arc<Growth>, row: &GrowRow, siblings: Arc<Siblings>) -> Result<Job, ModelError> {
        let parent = self.beams.tokens(row.parent)?;
        self.beams.fits(parent.len() + growth.max_tokens as usize)?;
        let sampling = self.engine.sampling(growth, row, &parent)?;
        let most = self.engine.side().abilities.likeliest;
        if sampling.first >= most.max(1) {
            return Err(unsupported(&format!(
                "give the token of rank {}; it gives {most} likely tokens",
                sampling.first
            )));
        }
        Ok(Job { parent, siblings, sampling, seed: row.seed, growth: Arc::clone(growth) })
    }

    /// The beam of a row that came back, cut where a stop text is complete.
    fn settle(&mut self, parent: BeamId, text: GrowingText, row: Row, stop: &[String]) -> GrownRow {
        let Row { mut tokens, mut logprobs, .. } = row;
        let kept = stops::length_to_stop(text, &*self.engine.side().local.tokenizer, &tokens, stop)?;
        tokens.truncate(kept);
        logprobs.truncate(kept);
        let parent = self.beams.tokens(parent)?;
        Ok((self.beams.grown(&parent, &tokens), Grown { tokens, logprobs }))
    }

    fn count(&mut self, steps: u64, positions: impl Iterator<Item = u64>) {
        self.effort.steps += steps;
        self.effort.positions += positions.sum::<u64>();
    }

    /// Refuses what asks no engine, so that nothing else would notice that the caller has gone.
    fn go_on(&self) -> Result<(), ModelError> {
        self.cancel.check()
    }

    fn tokens_of(&self, beams: &[BeamId]) -> Result<Vec<Arc<Vec<Token>>>, ModelError> {
        beams.iter().map(|id| self.beams.tokens(*id)).collect()
    }
}

impl<E: Engine> Generator for Handle<E> {
    fn info(&self) -> &ModelInfo {
        &self.engine.side().info
    }

    fn abilities(&self) -> &Abilities {
        &self.engine.side().abilities
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        Arc::clone(&self.engine.side().local.tokenizer)
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        self.engine.side().local.prompts.encode_chat(messages)
    }

    fn templates(&self) -> TemplateNames {
        self.engine.side().local.prompts.templates()
    }

    fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError> {
        self.go_on()?;
        self.beams.open(prompt)
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        self.beams.fork(parents)
    }

    fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        self.go_on()?;
        self.beams.append(rows)
    }

    fn grow(&mut self, growth: &Growth, rows: Vec<GrowRow>) -> Result<Vec<GrownRow>, ModelError> {
        let penalised = growth.penalties.iter().any(|entry| !entry.is_empty());
        if penalised && !self.abilities().penalties {
            return Err(unsupported(
                "lower tokens by offset; for vLLM, install the package inferenceguard-vllm beside it",
            ));
        }
        let (mut jobs, mut kept, mut unfit) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (job, row)) in self.jobs(growth, &rows).into_iter().zip(rows).enumerate() {
            match job {
                Ok(job) => {
                    jobs.push(job);
                    kept.push(row);
                }
                Err(error) => unfit.push((at, error)),
            }
        }
        if kept.is_empty() && !unfit.is_empty() {
            return Err(unfit.swap_remove(0).1);
        }
        let done = self.each(jobs, grow)?;
        let longest = done.iter().flatten().map(|row| row.tokens.len() as u64).max().unwrap_or(0);
        self.count(longest, done.iter().flatten().map(|row| row.positions));
        if let (false, Some(Err(first))) = (done.iter().any(Result::is_ok), done.first()) {
            return Err(first.clone().into());
        }
        let settled = kept.into_iter().zip(done).map(|(GrowRow { parent, text, .. }, done)| match done {
            Ok(row) => self.settle(parent, text, row, &growth.stop),
            Err(error) => Err(error.into()),
        });
        let mut grown: Vec<GrownRow> = settled.collect();
        unfit.into_iter().for_each(|(at, error)| grown.insert(at, Err(error)));
        Ok(grown)
    }

    fn sample(&mut self, _requests: &[(BeamId, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        Err(unsupported("draw from steered latents"))
    }

    fn steer(&mut self, _beams: &[BeamId], _latents: Rows) -> Result<(), ModelError> {
        Err(unsupported("be steered"))
    }

    fn latents(&mut self, beams: &[BeamId], selector: LatentSelector) -> Result<Vec<Arc<[f32]>>, ModelError> {
        if let LatentSelector::Layer(layer) = selector {
            return Err(unsupported(&format!("give the latents of layer {layer}")));
        }
        if !self.abilities().latents {
            return Err(unsupported("give latents without a second server that pools token_embed"));
        }
        let beams = self.tokens_of(beams)?;
        let done = self.each(beams, |engine, session, beam| async move { engine.latent(&session, &beam).await })?;
        Ok(done.into_iter().collect::<Result<_, _>>()?)
    }

    fn logits(&mut self, _beams: &[BeamId]) -> Result<Vec<Arc<[f32]>>, ModelError> {
        Err(unsupported("give the logits of the whole vocabulary"))
    }

    fn likeliest(&mut self, beams: &[BeamId], k: u32) -> Result<Vec<Vec<Likely>>, ModelError> {
        let most = self.abilities().likeliest;
        if k > most {
            return Err(unsupported(&format!("give {k} likely tokens; it gives {most} (vLLM: --max-logprobs)")));
        }
        let beams = self.tokens_of(beams)?;
        if k == 0 {
            return Ok(beams.iter().map(|_| Vec::new()).collect());
        }
        let task = move |engine: Arc<E>, session: Arc<Session>, beam: Arc<Vec<Token>>| async move {
            engine.likeliest(&session, &beam, k).await
        };
        let done = self.each(beams, task)?.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.count(1, done.iter().map(|(_, positions)| *positions));
        Ok(done.into_iter().map(|(best, _)| best).collect())
    }

    fn logprobs(&mut self, rows: &[(BeamId, Token)]) -> Result<Vec<f32>, ModelError> {
        if !self.abilities().forced {
            return Err(unsupported("give the log-probabilities of given tokens"));
        }
        let jobs = rows.iter().map(|(beam, token)| Ok((self.beams.tokens(*beam)?, *token)));
        let jobs = jobs.collect::<Result<Vec<_>, ModelError>>()?;
        let task = |engine: Arc<E>, session: Arc<Session>, (beam, token): (Arc<Vec<Token>>, Token)| async move {
            engine.logprob(&session, &beam, token).await
        };
        let done = self.each(jobs, task)?.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.count(u64::from(!done.is_empty()), done.iter().map(|(_, positions)| *positions));
        Ok(done.into_iter().map(|(logprob, _)| logprob).collect())
    }

    fn release(&mut self, beams: &[BeamId]) {
        self.beams.release(beams);
    }

    fn take_effort(&mut self) -> Effort {
        std::mem::take(&mut self.effort)
    }
}

fn unsupported(what: &str) -> ModelError {
    ModelError::Unsupported(what.to_owned())
}
