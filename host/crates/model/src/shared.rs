//! Back ends that several engines and requests use at once: the weights are there once, and steps that wait are made as
//! one.
//!
//! Whoever adds a method to [`Model`] or [`ScoreModel`] adds it here too: a default would hide what the back end does.

use crate::{
    BeamId, Message, Model, ModelError, ModelInfo, Reading, Rows, SampleRequest, Sampled, ScoreId, ScoreInfo,
    ScoreModel, ScoreRow, Scored, Token, Tokenizer,
    combine::{Combiner, Expected, Job, fail_all},
    dense::Dense,
    language::sample_on_host,
    users::Users,
};
use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Scores come seldom, and by themselves.
const ALONE: Expected = Expected { users: 1, busy: false };

type Step = Job<(BeamId, Token), Rows>;
type Projection = Job<Rows, Rows>;
type Extension = Job<ScoreRow, Vec<Scored>>;

/// A language model that several engines and requests use. Clones are the same model, each for a user of its own; a call
/// waits for the one before, and steps and projections of several users are made as one. A step that fails fails for all
/// who were part of it.
pub struct SharedModel {
    inner: Arc<Mutex<Box<dyn Model>>>,
    steps: Arc<Combiner<(BeamId, Token), Rows>>,
    projections: Arc<Combiner<Rows, Rows>>,
    users: Arc<Users>,
    user: u64,
    info: ModelInfo,
    tokenizer: Arc<dyn Tokenizer>,
    dense: Arc<dyn Dense>,
    rounding: f64,
}

impl Clone for SharedModel {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            steps: Arc::clone(&self.steps),
            projections: Arc::clone(&self.projections),
            users: Arc::clone(&self.users),
            user: self.users.next(),
            info: self.info.clone(),
            tokenizer: Arc::clone(&self.tokenizer),
            dense: Arc::clone(&self.dense),
            rounding: self.rounding,
        }
    }
}

impl std::fmt::Debug for SharedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedModel").field("name", &self.info.name).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, ModelError> {
    mutex.lock().map_err(|_| ModelError::Backend("it panicked in an earlier call; load it anew".into()))
}

impl SharedModel {
    /// Shares a model.
    #[must_use]
    pub fn new(model: Box<dyn Model>) -> Self {
        let (info, tokenizer) = (model.info().clone(), model.tokenizer());
        let (dense, rounding) = (model.dense(), model.rounding());
        Self {
            inner: Arc::new(Mutex::new(model)),
            steps: Arc::default(),
            projections: Arc::default(),
            users: Arc::default(),
            user: 0,
            info,
            tokenizer,
            dense,
            rounding,
        }
    }
}

impl SharedModel {
    /// Whether it panicked in an earlier call: every call fails from then on.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// The same model, none of whose tokens ends an answer: for measurements, where every answer is as long as it may be.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.info.eos.clear();
        self
    }
}

/// One step for all of them.
fn step_all(model: &mut dyn Model, jobs: Vec<Step>) {
    let rows: Vec<(BeamId, Token)> = jobs.iter().flat_map(|job| job.rows.iter().copied()).collect();
    let table = match model.step(&rows) {
        Ok(table) => table,
        Err(error) => return fail_all(jobs, error),
    };
    hand_out(model, jobs, table, |job| job.rows.len());
}

/// One projection for all of them.
fn project_all(model: &mut dyn Model, jobs: Vec<Projection>) {
    let tables: Vec<&Rows> = jobs.iter().flat_map(|job| &job.rows).collect();
    let logits = match tables.as_slice() {
        [only] => model.project(only),
        _ => {
            let rows =
                |(table, rows): (usize, &&Rows)| (0..rows.len()).map(move |row| (table, row)).collect::<Vec<_>>();
            let picks: Vec<(usize, usize)> = tables.iter().enumerate().flat_map(rows).collect();
            model.gather(&tables, &picks).and_then(|all| model.project(&all))
        }
    };
    match logits {
        Ok(logits) => hand_out(model, jobs, logits, |job| job.rows.iter().map(Rows::len).sum()),
        Err(error) => fail_all(jobs, error),
    }
}

/// To every job its own rows of a table, in order.
fn hand_out<R>(model: &mut dyn Model, jobs: Vec<Job<R, Rows>>, table: Rows, own: impl Fn(&Job<R, Rows>) -> usize) {
    let (alone, mut start) = (jobs.len() == 1, 0);
    for job in jobs {
        let rows = start..start + own(&job);
        start = rows.end;
        let answer = if alone { Ok(table.clone()) } else { part(model, &table, rows) };
        job.answer(answer);
    }
}

fn part(model: &mut dyn Model, table: &Rows, rows: Range<usize>) -> Result<Rows, ModelError> {
    match table.slice(rows.clone()) {
        // Whoever keeps a small part must not keep all of it.
        Some(part) if 2 * part.len() < table.len() => {
            Rows::host(part.len(), part.width(), part.to_host()?.into_owned())
        }
        Some(part) => Ok(part),
        None => model.gather(&[table], &rows.map(|row| (0, row)).collect::<Vec<_>>()),
    }
}

/// One call for all of them. An answer that grew too long fails for its own request and no other.
fn extend_all(model: &mut dyn ScoreModel, jobs: Vec<Extension>) {
    let rows: Vec<ScoreRow> = jobs.iter().flat_map(|job| job.rows.iter().cloned()).collect();
    let mut scored = match model.extend(&rows) {
        Ok(scored) => scored.into_iter(),
        // No row has changed: each job is asked for alone.
        Err(ModelError::ContextExceeded { .. }) if jobs.len() > 1 => {
            for job in jobs {
                let own = model.extend(&job.rows);
                job.answer(own);
            }
            return;
        }
        Err(error) => return fail_all(jobs, error),
    };
    for job in jobs {
        let own = scored.by_ref().take(job.rows.len()).collect();
        job.answer(Ok(own));
    }
}

impl Model for SharedModel {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        Arc::clone(&self.tokenizer)
    }

    fn encode_prompt(&self, prompt: &str) -> Result<Vec<Token>, ModelError> {
        lock(&self.inner)?.encode_prompt(prompt)
    }

    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError> {
        lock(&self.inner)?.encode_chat(messages)
    }

    fn template(&self) -> Option<String> {
        lock(&self.inner).ok()?.template()
    }

    fn own_template(&self) -> Option<String> {
        lock(&self.inner).ok()?.own_template()
    }

    fn prefill(&mut self, prompt: &[Token]) -> Result<(BeamId, Rows), ModelError> {
        lock(&self.inner)?.prefill(prompt)
    }

    fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        lock(&self.inner)?.fork(parents)
    }

    fn step(&mut self, rows: &[(BeamId, Token)]) -> Result<Rows, ModelError> {
        self.users.came(self.user);
        let expected = || self.users.about_to_step();
        self.steps.call(rows.to_vec(), expected, |jobs| {
            self.users.stepping(jobs.len());
            match lock(&self.inner) {
                Ok(mut model) => step_all(model.as_mut(), jobs),
                Err(error) => fail_all(jobs, error),
            }
        })
    }

    fn project(&mut self, latents: &Rows) -> Result<Rows, ModelError> {
        if latents.width() != self.info.hidden {
            // Wrong, and nobody else's trouble.
            return lock(&self.inner)?.project(latents);
        }
        let _busy = self.users.busy(self.user);
        let expected = || self.users.about_to_project();
        self.projections.call(vec![latents.clone()], expected, |jobs| match lock(&self.inner) {
            Ok(mut model) => project_all(model.as_mut(), jobs),
            Err(error) => fail_all(jobs, error),
        })
    }

    fn prefill_part(&mut self, reading: &mut Reading, most: usize) -> Result<Option<(BeamId, Rows)>, ModelError> {
        lock(&self.inner)?.prefill_part(reading, most)
    }

    fn layers(&self) -> u32 {
        lock(&self.inner).map_or(0, |model| model.layers())
    }

    fn engine(&self) -> String {
        lock(&self.inner).map_or_else(|_| "broken".to_owned(), |model| model.engine())
    }

    fn gather(&mut self, tables: &[&Rows], picks: &[(usize, usize)]) -> Result<Rows, ModelError> {
        lock(&self.inner)?.gather(tables, picks)
    }

    fn layer_latents(&mut self, beams: &[BeamId], layer: u32) -> Result<Rows, ModelError> {
        lock(&self.inner)?.layer_latents(beams, layer)
    }

    fn sample(&mut self, logits: &Rows, requests: &[(usize, SampleRequest)]) -> Result<Vec<Sampled>, ModelError> {
        let _busy = self.users.busy(self.user);
        match self.inner.try_lock() {
            Ok(mut model) => model.sample(logits, requests),
            // Rows on the host need no model, and a step of others is long.
            Err(TryLockError::WouldBlock) if logits.as_device().is_none() => sample_on_host(logits, requests),
            Err(_) => lock(&self.inner)?.sample(logits, requests),
        }
    }

    fn release(&mut self, beams: &[BeamId]) {
        if let Ok(mut model) = lock(&self.inner) {
            model.release(beams);
        }
    }

    fn live_beams(&self) -> usize {
        lock(&self.inner).map_or(0, |model| model.live_beams())
    }

    fn dense(&self) -> Arc<dyn Dense> {
        Arc::clone(&self.dense)
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}

/// A score model that several engines and requests use, as a [`SharedModel`]. Clones are the same model, and count
/// together.
#[derive(Clone)]
pub struct SharedScoreModel {
    inner: Arc<Mutex<Box<dyn ScoreModel>>>,
    extensions: Arc<Combiner<ScoreRow, Vec<Scored>>>,
    info: ScoreInfo,
    positions: Arc<AtomicU64>,
    rounding: f64,
}

impl std::fmt::Debug for SharedScoreModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedScoreModel").field("name", &self.info.name).finish_non_exhaustive()
    }
}

impl SharedScoreModel {
    /// As [`SharedModel::is_broken`].
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// Shares a score model.
    #[must_use]
    pub fn new(model: Box<dyn ScoreModel>) -> Self {
        let (info, rounding) = (model.info().clone(), model.rounding());
        let inner = Arc::new(Mutex::new(model));
        Self { inner, extensions: Arc::default(), info, positions: Arc::default(), rounding }
    }

    /// How many answer tokens it was given so far, by all who share it.
    #[must_use]
    pub fn positions(&self) -> u64 {
        self.positions.load(Ordering::Relaxed)
    }
}

impl ScoreModel for SharedScoreModel {
    fn info(&self) -> &ScoreInfo {
        &self.info
    }

    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        lock(&self.inner)?.open(prompt, language)
    }

    fn open_chat(&mut self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        lock(&self.inner)?.open_chat(messages, language)
    }

    fn template(&self) -> Option<String> {
        lock(&self.inner).ok()?.template()
    }

    fn own_template(&self) -> Option<String> {
        lock(&self.inner).ok()?.own_template()
    }

    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        lock(&self.inner)?.fork(parents)
    }

    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        let given: usize = rows.iter().map(|row| row.tokens.len()).sum();
        self.positions.fetch_add(given as u64, Ordering::Relaxed);
        self.extensions.call(
            rows.to_vec(),
            || ALONE,
            |jobs| match lock(&self.inner) {
                Ok(mut model) => extend_all(model.as_mut(), jobs),
                Err(error) => fail_all(jobs, error),
            },
        )
    }

    fn release(&mut self, rows: &[ScoreId]) {
        if let Ok(mut model) = lock(&self.inner) {
            model.release(rows);
        }
    }

    fn live_rows(&self) -> usize {
        lock(&self.inner).map_or(0, |model| model.live_rows())
    }

    fn rounding(&self) -> f64 {
        self.rounding
    }
}
