//! Starts the thread, and gives back ends on it.

use crate::{
    language::{Language, LanguageBackEnd},
    limits::{Counters, Counts, Limits},
    score::{Score, SharedScore},
    shared::Shared,
    worker::Worker,
};
use inferenceguard_model::{BackEnd, Model, ScoreBackEnd, ScoreModel};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, mpsc::sync_channel},
    thread::Builder,
};

/// Why a scheduler did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system gave no thread.
    #[error("the scheduler's thread does not start; check the limit on threads: {0}")]
    Thread(#[source] io::Error),
}

/// A thread that owns a language model, score models, or both. Clones share it; it ends with the last of its clones, back ends
/// and handles, and so do the models.
#[derive(Clone)]
pub struct Scheduler(Arc<Shared>);

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Scheduler {
    /// Starts a thread that owns these models, score models by the names that callers use.
    ///
    /// # Errors
    /// [`StartError::Thread`].
    pub fn start(
        model: Option<Box<dyn Model>>,
        scores: BTreeMap<String, Box<dyn ScoreModel>>,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let language = model.as_deref().map(Language::of);
        let facts = scores.iter().map(|(name, model)| Score::of(name, model.as_ref())).collect();
        let (sender, jobs) = sync_channel(limits.queue.max(1));
        let counters = Arc::new(Counters::default());
        let shared = Shared::new(sender, Arc::clone(&counters), language, facts);
        let worker = Worker::new(jobs, model, scores.into_values().collect(), &shared, limits, counters);
        let name = "models".to_owned();
        let thread = Builder::new().name(name).spawn(move || worker.run()).map_err(StartError::Thread)?;
        shared.keep_thread(thread);
        Ok(Self(Arc::new(shared)))
    }

    /// The language model, if it has one.
    #[must_use]
    pub fn back_end(&self) -> Option<Arc<dyn BackEnd>> {
        let language = self.0.language.clone()?;
        Some(Arc::new(LanguageBackEnd { shared: Arc::clone(&self.0), language }))
    }

    /// The language model without end tokens, for measurements: every answer is as long as it may be.
    #[must_use]
    pub fn endless(&self) -> Option<Arc<dyn BackEnd>> {
        let language = self.0.language.clone()?.endless();
        Some(Arc::new(LanguageBackEnd { shared: Arc::clone(&self.0), language }))
    }

    /// The score models, by name.
    #[must_use]
    pub fn score_back_ends(&self) -> BTreeMap<String, Arc<dyn ScoreBackEnd>> {
        let one = |(index, score): (usize, &Score)| {
            let back_end = SharedScore { shared: Arc::clone(&self.0), index };
            (score.name.clone(), Arc::new(back_end) as Arc<dyn ScoreBackEnd>)
        };
        self.0.scores.iter().enumerate().map(one).collect()
    }

    /// What the thread did so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counts()
    }
}
