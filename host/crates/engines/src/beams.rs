//! Beams of an engine that keeps none: lists of tokens on this side.

use inferenceguard_model::{BeamId, ModelError, ModelInfo, Token};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The beams of one handle.
pub(crate) struct Beams {
    beams: HashMap<BeamId, Arc<Vec<Token>>>,
    next: u64,
    vocab: usize,
    context: usize,
    /// The number of beams of all handles.
    live: Arc<AtomicUsize>,
}

impl Beams {
    pub(crate) fn new(info: &ModelInfo, live: Arc<AtomicUsize>) -> Self {
        Self { beams: HashMap::new(), next: 0, vocab: info.vocab, context: info.context, live }
    }

    pub(crate) fn open(&mut self, prompt: &[Token]) -> Result<BeamId, ModelError> {
        if prompt.is_empty() {
            return Err(ModelError::EmptyPrompt);
        }
        self.fits(prompt.len())?;
        prompt.iter().try_for_each(|token| self.known(*token))?;
        Ok(self.add(prompt.to_vec().into()))
    }

    pub(crate) fn fork(&mut self, parents: &[BeamId]) -> Result<Vec<BeamId>, ModelError> {
        let copies = parents.iter().map(|id| self.tokens(*id)).collect::<Result<Vec<_>, _>>()?;
        Ok(copies.into_iter().map(|tokens| self.add(tokens)).collect())
    }

    /// Nothing changes if a row does not fit.
    pub(crate) fn append(&mut self, rows: &[(BeamId, Token)]) -> Result<(), ModelError> {
        for (id, token) in rows {
            let length = self.tokens(*id)?.len();
            self.fits(length + 1)?;
            self.known(*token)?;
        }
        for (id, token) in rows {
            if let Some(tokens) = self.beams.get_mut(id) {
                Arc::make_mut(tokens).push(*token);
            }
        }
        Ok(())
    }

    pub(crate) fn tokens(&self, id: BeamId) -> Result<Arc<Vec<Token>>, ModelError> {
        self.beams.get(&id).cloned().ok_or(ModelError::UnknownBeam(id))
    }

    /// The beam of a row that has grown: all its tokens but the last.
    pub(crate) fn grown(&mut self, parent: &[Token], new: &[Token]) -> BeamId {
        let kept = &new[..new.len().saturating_sub(1)];
        self.add(Arc::new([parent, kept].concat()))
    }

    /// Whether a beam may have this many tokens.
    pub(crate) fn fits(&self, found: usize) -> Result<(), ModelError> {
        if found <= self.context { Ok(()) } else { Err(ModelError::ContextExceeded { found, limit: self.context }) }
    }

    fn known(&self, token: Token) -> Result<(), ModelError> {
        let known = (token as usize) < self.vocab;
        if known { Ok(()) } else { Err(ModelError::UnknownToken { token, vocab: self.vocab }) }
    }

    fn add(&mut self, tokens: Arc<Vec<Token>>) -> BeamId {
        self.next += 1;
        self.beams.insert(BeamId(self.next), tokens);
        self.live.fetch_add(1, Ordering::Relaxed);
        BeamId(self.next)
    }

    pub(crate) fn release(&mut self, beams: &[BeamId]) {
        let freed = beams.iter().filter(|id| self.beams.remove(id).is_some()).count();
        self.live.fetch_sub(freed, Ordering::Relaxed);
    }
}

impl Drop for Beams {
    fn drop(&mut self) {
        self.live.fetch_sub(self.beams.len(), Ordering::Relaxed);
    }
}
