//! A toy score model around whose calls a test does something: it writes them down, waits, or lets them fail.

use inferenceguard_model::{
    Message, ModelError, ScoreId, ScoreInfo, ScoreModel, ScoreOpening, ScoreRow, Scored, Tokenizer, toy::ToyScore,
};
use std::sync::Arc;

/// What a test does around the calls of a score model. By default each call is passed on.
pub trait ScoreHooks: Send {
    /// Around [`ScoreModel::open_part`].
    ///
    /// # Errors
    /// As there.
    fn open_part(
        &mut self,
        score: &mut ToyScore,
        opening: &mut ScoreOpening,
        most: usize,
    ) -> Result<Option<ScoreId>, ModelError> {
        score.open_part(opening, most)
    }

    /// Around [`ScoreModel::extend`].
    ///
    /// # Errors
    /// As there.
    fn extend(&mut self, score: &mut ToyScore, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        score.extend(rows)
    }
}

/// A function that runs before each call of [`ScoreModel::extend`], and may fail in its place.
#[derive(Debug)]
pub struct Before<F>(F);

impl<F: FnMut() -> Result<(), ModelError> + Send> ScoreHooks for Before<F> {
    fn extend(&mut self, score: &mut ToyScore, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        (self.0)()?;
        score.extend(rows)
    }
}

/// A toy score model with hooks.
#[derive(Debug)]
pub struct HookedScore<H> {
    score: ToyScore,
    hooks: H,
}

impl<H: ScoreHooks> HookedScore<H> {
    /// This score model with these hooks.
    #[must_use]
    pub fn new(score: ToyScore, hooks: H) -> Self {
        Self { score, hooks }
    }
}

impl<F: FnMut() -> Result<(), ModelError> + Send> HookedScore<Before<F>> {
    /// This score model, before whose every call that scores a function runs.
    #[must_use]
    pub fn before(score: ToyScore, before: F) -> Self {
        Self::new(score, Before(before))
    }
}

impl<H: ScoreHooks> ScoreModel for HookedScore<H> {
    fn info(&self) -> &ScoreInfo {
        self.score.info()
    }

    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        self.score.open(prompt, language)
    }

    fn open_chat(&mut self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        self.score.open_chat(messages, language)
    }

    fn open_part(&mut self, opening: &mut ScoreOpening, most: usize) -> Result<Option<ScoreId>, ModelError> {
        self.hooks.open_part(&mut self.score, opening, most)
    }

    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        self.score.fork(parents)
    }

    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        self.hooks.extend(&mut self.score, rows)
    }

    fn release(&mut self, rows: &[ScoreId]) {
        self.score.release(rows);
    }

    fn live_rows(&self) -> usize {
        self.score.live_rows()
    }
}
