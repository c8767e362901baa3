//! Score models as back ends, and the handle of one request.

use crate::{
    calls::{Job, ScoreJob},
    health::Health,
    shared::Shared,
};
use inferenceguard_model::{
    BeamId, Caller, Message, ModelError, ScoreBackEnd, ScoreId, ScoreInfo, ScoreModel, ScoreOpening, ScoreRow, Scored,
    TemplateNames, Tokenizer,
};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
};

/// What callers know of a score model without asking it.
#[derive(Clone)]
pub(crate) struct Score {
    pub(crate) name: String,
    pub(crate) health: Health,
    info: ScoreInfo,
    templates: TemplateNames,
    rounding: f64,
    positions: Arc<AtomicU64>,
}

impl Score {
    pub(crate) fn of(name: &str, model: &dyn ScoreModel) -> Self {
        Self {
            name: name.to_owned(),
            health: Health::default(),
            info: model.info().clone(),
            templates: model.templates(),
            rounding: model.rounding(),
            positions: Arc::default(),
        }
    }
}

/// A score model of a scheduler.
pub(crate) struct SharedScore {
    pub(crate) shared: Arc<Shared>,
    pub(crate) index: usize,
}

impl SharedScore {
    fn score(&self) -> &Score {
        &self.shared.scores[self.index]
    }
}

impl ScoreBackEnd for SharedScore {
    fn info(&self) -> &ScoreInfo {
        &self.score().info
    }

    fn handle(&self, caller: &Caller) -> Box<dyn ScoreModel> {
        let (shared, score) = (Arc::clone(&self.shared), self.score().clone());
        Box::new(ScoreHandle { shared, score, index: self.index, caller: caller.clone(), rows: HashSet::new() })
    }

    fn live_rows(&self) -> usize {
        live_rows(&self.shared, self.index)
    }

    fn broken(&self) -> Option<String> {
        self.score().health.broken().map(str::to_owned)
    }

    fn positions(&self) -> u64 {
        self.score().positions.load(Ordering::Relaxed)
    }

    fn repeats(&self) -> bool {
        true
    }
}

/// How many scored beams the model holds; none, if it broke.
fn live_rows(shared: &Shared, index: usize) -> usize {
    let (sender, answer) = mpsc::channel();
    let work = move |model: &mut dyn ScoreModel| {
        let _ = sender.send(model.live_rows());
    };
    shared.send(Job::Score(index, ScoreJob::Now(Box::new(work))));
    answer.recv().unwrap_or(0)
}

/// What one request holds of a score model.
struct ScoreHandle {
    shared: Arc<Shared>,
    score: Score,
    index: usize,
    caller: Caller,
    /// Its scored beams. Those of other handles do not exist for it.
    rows: HashSet<ScoreId>,
}

impl Drop for ScoreHandle {
    fn drop(&mut self) {
        let all: Vec<ScoreId> = self.rows.drain().collect();
        self.free(all);
    }
}

impl ScoreHandle {
    fn ask<T>(&self, job: impl FnOnce(Sender<Result<T, ModelError>>) -> ScoreJob) -> Result<T, ModelError> {
        self.score.health.check()?;
        self.caller.cancel.check()?;
        let (sender, answer) = mpsc::channel();
        self.shared.send(Job::Score(self.index, job(sender)));
        answer.recv().map_err(|_| self.no_answer())?
    }

    /// As of the language model's handle.
    fn no_answer(&self) -> ModelError {
        let (sender, noted) = mpsc::channel::<()>();
        self.shared.send(Job::Score(self.index, ScoreJob::Now(Box::new(move |_| drop(sender)))));
        let _ = noted.recv();
        self.score.health.no_answer()
    }

    fn check(&self, rows: impl IntoIterator<Item = ScoreId>) -> Result<(), ModelError> {
        let foreign = rows.into_iter().find(|id| !self.rows.contains(id));
        foreign.map_or(Ok(()), |id| Err(ModelError::UnknownBeam(BeamId(id.0))))
    }

    fn free(&self, rows: Vec<ScoreId>) {
        if !rows.is_empty() {
            self.shared.send(Job::Score(self.index, ScoreJob::Now(Box::new(move |model| model.release(&rows)))));
        }
    }
}

impl ScoreModel for ScoreHandle {
    fn info(&self) -> &ScoreInfo {
        &self.score.info
    }

    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        self.open_chat(&[Message::user(prompt)], language)
    }

    fn open_chat(&mut self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        let (tenant, cancel) = (self.caller.tenant.clone(), self.caller.cancel.clone());
        let opening = ScoreOpening { tenant, ..ScoreOpening::new(messages.to_vec(), language) };
        let id = self.ask(|answer| ScoreJob::Open { opening, cancel, answer })?;
        self.rows.insert(id);
        Ok(id)
    }

    fn templates(&self) -> TemplateNames {
        self.score.templates.clone()
    }

    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        self.check(parents.iter().copied())?;
        let parents = parents.to_vec();
        let children =
            self.ask(|answer| ScoreJob::Now(Box::new(move |model| drop(answer.send(model.fork(&parents))))))?;
        self.rows.extend(&children);
        Ok(children)
    }

    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        self.check(rows.iter().map(|row| row.id))?;
        let mut seen = HashSet::new();
        if let Some(row) = rows.iter().find(|row| !seen.insert(row.id)) {
            return Err(ModelError::Unsupported(format!("extend {:?} twice in one call; fork it first", row.id)));
        }
        let given: usize = rows.iter().map(|row| row.tokens.len()).sum();
        self.score.positions.fetch_add(given as u64, Ordering::Relaxed);
        let (rows, cancel) = (rows.to_vec(), self.caller.cancel.clone());
        self.ask(|answer| ScoreJob::Extend { rows, cancel, answer })
    }

    fn release(&mut self, rows: &[ScoreId]) {
        let own: Vec<ScoreId> = rows.iter().copied().filter(|id| self.rows.remove(id)).collect();
        self.free(own);
    }

    fn live_rows(&self) -> usize {
        live_rows(&self.shared, self.index)
    }

    fn rounding(&self) -> f64 {
        self.score.rounding
    }
}
