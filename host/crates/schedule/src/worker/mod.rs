//! The thread: takes calls, and computes round by round.

mod language;
mod score;

use crate::{
    Limits,
    counts::{Counters, count},
    scheduler::Shared,
};
use inferenceguard_model::{
    BeamId, Cancel, Effort, GrowRow, GrownRow, Growth, Model, ModelError, Native, ScoreId, ScoreModel, ScoreOpening,
    ScoreRow, Scored, Token,
};
use language::LanguageWork;
use score::ScoreWork;
use std::sync::{
    Arc,
    mpsc::{Receiver, Sender},
};

/// The answer of a call, and what it took.
pub(crate) type Answer<T> = (Result<T, ModelError>, Effort);

/// Short work of the language model.
pub(crate) type Now = Box<dyn FnOnce(&mut Native) + Send>;

/// Short work of a score model.
pub(crate) type ScoreNow = Box<dyn FnOnce(&mut dyn ScoreModel) + Send>;

/// A call of a handle. If it is dropped, it has failed, and its caller does not wait any more.
pub(crate) enum Job {
    /// Short work of the language model, before the next step.
    Now(Now),
    /// Read a prompt.
    Open { prompt: Vec<Token>, cancel: Cancel, answer: Sender<Answer<BeamId>> },
    /// Append given tokens.
    Append { rows: Vec<(BeamId, Token)>, cancel: Cancel, answer: Sender<Answer<()>> },
    /// Grow rows.
    Grow { growth: Growth, rows: Vec<GrowRow>, cancel: Cancel, answer: Sender<Answer<Vec<GrownRow>>> },
    /// Work of the score model of this number.
    Score(usize, ScoreJob),
}

/// A call of a score handle.
pub(crate) enum ScoreJob {
    /// Short work.
    Now(ScoreNow),
    /// Read a prompt, by slices.
    Open { opening: ScoreOpening, cancel: Cancel, answer: Sender<Result<ScoreId, ModelError>> },
    /// Score answers, by slices.
    Extend { rows: Vec<ScoreRow>, cancel: Cancel, answer: Sender<Result<Vec<Scored>, ModelError>> },
}

/// Owns the models.
pub(crate) struct Worker {
    jobs: Receiver<Job>,
    language: Option<LanguageWork>,
    scores: Vec<ScoreWork>,
    /// The score model whose turn comes next.
    next: usize,
    counters: Arc<Counters>,
}

impl Worker {
    pub(crate) fn new(
        jobs: Receiver<Job>,
        model: Option<Box<dyn Model>>,
        scores: Vec<Box<dyn ScoreModel>>,
        shared: &Shared,
        limits: Limits,
        counters: Arc<Counters>,
    ) -> Self {
        let language = model.zip(shared.language.as_ref());
        let language = language
            .map(|(model, facts)| LanguageWork::new(model, facts.health.clone(), limits, Arc::clone(&counters)));
        let scores = scores.into_iter().zip(&shared.scores);
        let scores = scores.map(|(model, facts)| ScoreWork::new(model, facts.health.clone(), limits)).collect();
        Self { jobs, language, scores, next: 0, counters }
    }

    /// After a panic of the scheduler itself no model is called again.
    fn fail_all(&self) {
        let healths = self.language.iter().map(LanguageWork::health).chain(self.scores.iter().map(ScoreWork::health));
        healths.for_each(|health| health.fails("its scheduler panicked"));
    }

    /// Works until the last caller is gone.
    pub(crate) fn run(mut self) {
        while self.take_jobs() {
            count(&self.counters.rounds, 1);
            if let Some(language) = &mut self.language {
                language.round();
            }
            self.score_slice();
        }
    }

    /// Takes the calls that have come. Without work it sleeps until one comes; false: no caller is left.
    fn take_jobs(&mut self) -> bool {
        if !self.has_work() {
            count(&self.counters.sleeps, 1);
            match self.jobs.recv() {
                Ok(job) => self.take(job),
                Err(_) => return false,
            }
        }
        while let Ok(job) = self.jobs.try_recv() {
            self.take(job);
        }
        true
    }

    fn has_work(&self) -> bool {
        self.language.as_ref().is_some_and(LanguageWork::has_work) || self.scores.iter().any(ScoreWork::has_work)
    }

    /// Puts a call where it waits for its turn. Nothing is computed: callers wait for their answers, so that there is an end to
    /// the calls that can come.
    fn take(&mut self, job: Job) {
        match job {
            Job::Score(index, job) => {
                if let Some(score) = self.scores.get_mut(index) {
                    score.take(job);
                }
            }
            job => {
                if let Some(language) = &mut self.language {
                    language.take(job);
                }
            }
        }
    }

    /// Short work of all score models, and one slice of the next model that has some.
    fn score_slice(&mut self) {
        for score in &mut self.scores {
            score.now();
        }
        let models = self.scores.len();
        let waiting = (0..models).map(|i| (self.next + i) % models).find(|i| self.scores[*i].has_work());
        if let Some(index) = waiting {
            self.next = (index + 1) % models;
            count(&self.counters.score_slices, 1);
            self.scores[index].slice();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail_all();
        }
    }
}
