//! The scored texts of one request.

use super::{
    score_text::{Due, ScoredText},
    scores::Core,
};
use crate::engine::{Session, all};
use inferenceguard_model::{
    BeamId, Cancel, Message, ModelError, ScoreId, ScoreInfo, ScoreModel, ScoreRow, Scored, TemplateNames, Token,
    Tokenizer,
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
};

/// One request: its texts, by id.
pub(super) struct Handle {
    pub(super) core: Arc<Core>,
    pub(super) session: Arc<Session>,
    pub(super) cancel: Cancel,
    pub(super) answers: HashMap<ScoreId, Box<dyn ScoredText>>,
    pub(super) next: u64,
}

impl Handle {
    fn add(&mut self, text: Box<dyn ScoredText>) -> ScoreId {
        self.next += 1;
        self.answers.insert(ScoreId(self.next), text);
        self.core.live.fetch_add(1, Ordering::Relaxed);
        ScoreId(self.next)
    }

    fn copy(&self, id: ScoreId) -> Result<Box<dyn ScoredText>, ModelError> {
        self.answers.get(&id).map(|text| text.copy()).ok_or(ModelError::UnknownBeam(BeamId(id.0)))
    }

    /// A text with new tokens, and what is due of it.
    fn longer(
        &self,
        mut text: Box<dyn ScoredText>,
        tokens: &[Token],
        ended: bool,
    ) -> Result<(Box<dyn ScoredText>, Due), ModelError> {
        let due = text.extend(tokens, ended)?;
        let (found, limit) = (due.tokens.len(), self.core.info.context);
        if found > limit { Err(ModelError::ContextExceeded { found, limit }) } else { Ok((text, due)) }
    }

    /// The scores of what is due, text by text. One text that cannot be scored fails the call: what is not priced is not safe.
    fn score(&self, due: &[Due]) -> Result<Vec<Vec<f32>>, ModelError> {
        let task = |due: &Due| {
            let (core, session, due) = (Arc::clone(&self.core), Arc::clone(&self.session), due.clone());
            async move { if due.from == due.tokens.len() { Ok(Vec::new()) } else { core.scores(&session, &due).await } }
        };
        let tasks: Vec<_> = due.iter().map(task).collect();
        let done = self.core.worker.wait(&self.cancel, all(tasks));
        let done = done.map_err(|fault| ModelError::from(fault.at(self.core.pooling.fleet.names())))?;
        let done =
            done.ok_or_else(|| ModelError::Unsupported("score: a task of this side panicked; report it".into()))?;
        Ok(done.into_iter().collect::<Result<Vec<_>, _>>()?)
    }
}

impl ScoreModel for Handle {
    fn info(&self) -> &ScoreInfo {
        &self.core.info
    }

    fn open(&mut self, prompt: &str, language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        self.open_chat(&[Message::user(prompt)], language)
    }

    fn open_chat(&mut self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<ScoreId, ModelError> {
        if messages.last().is_none_or(|message| message.content.is_empty()) {
            return Err(ModelError::EmptyPrompt);
        }
        let text = self.core.texts.open(messages, language)?;
        let (mut text, due) = self.longer(text, &[], false)?;
        let scores = self.score(std::slice::from_ref(&due))?.pop().unwrap_or_default();
        text.take(&due, &scores);
        Ok(self.add(text))
    }

    fn templates(&self) -> TemplateNames {
        self.core.texts.templates()
    }

    fn fork(&mut self, parents: &[ScoreId]) -> Result<Vec<ScoreId>, ModelError> {
        let copies = parents.iter().map(|id| self.copy(*id)).collect::<Result<Vec<_>, _>>()?;
        Ok(copies.into_iter().map(|text| self.add(text)).collect())
    }

    fn extend(&mut self, rows: &[ScoreRow]) -> Result<Vec<Scored>, ModelError> {
        let longer = |row: &ScoreRow| self.longer(self.copy(row.id)?, &row.tokens, row.ended);
        let (texts, due): (Vec<_>, Vec<_>) =
            rows.iter().map(longer).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let scores = self.score(&due)?;
        let given: usize = rows.iter().map(|row| row.tokens.len()).sum();
        self.core.positions.fetch_add(given as u64, Ordering::Relaxed);
        let mut scored = Vec::with_capacity(rows.len());
        for (((row, mut text), due), scores) in rows.iter().zip(texts).zip(&due).zip(&scores) {
            scored.push(text.take(due, scores));
            self.answers.insert(row.id, text);
        }
        Ok(scored)
    }

    fn release(&mut self, rows: &[ScoreId]) {
        let freed = rows.iter().filter(|id| self.answers.remove(id).is_some()).count();
        self.core.live.fetch_sub(freed, Ordering::Relaxed);
    }

    fn live_rows(&self) -> usize {
        self.answers.len()
    }

    fn rounding(&self) -> f64 {
        self.core.rounding
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.live.fetch_sub(self.answers.len(), Ordering::Relaxed);
    }
}
