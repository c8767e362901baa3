//! A score model with a hook that runs before it scores.

use inferenceguard_model::{ModelError, ScoreId, ScoreInfo, ScoreModel, ScoreRow, Scored, Tokenizer, toy::ToyScore};
use std::sync::Arc;

type Before = Box<dyn FnMut() -> Result<(), ModelError> + Send>;

pub(crate) struct Hooked {
    inner: ToyScore,
    /// Runs before every call that scores.
    before: Before,
}

impl Hooked {
    pub(crate) fn new(inner: ToyScore, before: impl FnMut() -> Result<(), ModelError> + Send + 'static) -> Self {
        Self { inner, before: Box::new(before) }
    }
}

impl ScoreModel for Hooked {
    fn info(&self) -> &ScoreInfo {
        self.inner.info()
    }
    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        self.inner.open(prompt, language)
    }
    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        self.inner.fork(parents)
    }
    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        (self.before)()?;
        self.inner.extend(rows)
    }
    fn release(&mut self, rows: &[ScoreId]) {
        self.inner.release(rows);
    }
    fn live_rows(&self) -> usize {
        self.inner.live_rows()
    }
}
