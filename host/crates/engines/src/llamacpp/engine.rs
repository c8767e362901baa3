//! The calls of a language model on llama.cpp's server.

use super::{
    LIMIT,
    check::{Facts, ServerCheck},
    read::{self, Found},
    slots::{Slot, Slots},
    wire::{COMPLETION, Completion, File},
};
use crate::{
    Contradiction, Fault, RemoteError,
    checks::Asked,
    engine::{Engine, Job, Row, Session, Siblings, Side},
    fleet::{Read, Shared},
    http::{Call, json},
    sampling::{Dialect, Sampling},
};
use inferenceguard_model::{GrowRow, Growth, Likely, ModelError, Token};
use std::sync::Arc;

/// A beginning shorter than this is read faster than it is restored.
const SHORT: usize = 32;

/// What the handles of a [`super::LlamaCpp`] share.
pub(crate) struct Core {
    pub(crate) fleet: Shared<ServerCheck>,
    pub(crate) side: Side,
    pub(crate) slots: Slots,
    pub(crate) saves: bool,
    /// Begins the names of files, so that two processes do not share them.
    pub(crate) process: u64,
}

impl Core {
    async fn ask<T>(
        &self,
        session: &Session,
        request: Completion<'_>,
        read: impl Fn(&[u8]) -> Result<T, Fault> + Sync,
    ) -> Result<T, RemoteError> {
        let body = json(&request);
        let call = Call { limit: LIMIT, ..Call::post(COMPLETION, &body) };
        let read = |_: &Facts, bytes: &[u8]| Ok(Read { value: read(bytes)?, mark: None });
        self.fleet.call(&session.id, call, read).await
    }

    async fn slot(&self, tokens: &[Token]) -> Result<Slot<'_>, RemoteError> {
        self.slots.take(tokens).await.ok_or_else(|| Fault::Cancelled.at(&self.side.names))
    }

    fn query<'a>(&self, prompt: &'a [Token], max: u32, end: &'a [Token]) -> Asked<'a> {
        Asked { prompt, max: max as usize, end, vocab: self.side.info.vocab }
    }

    /// Brings the state of a beginning that several rows have into a slot. Without it the slot reads the beginning, which takes
    /// longer and gives the same.
    async fn restore(&self, session: &Session, slot: &mut Slot<'_>, prompt: &[Token], siblings: &Siblings) {
        let missing = prompt.len() - slot.common(prompt);
        if !self.saves || siblings.count < 2 || missing <= SHORT {
            return;
        }
        let file = siblings.saved.get_or_init(|| self.save(session, slot.number, prompt)).await;
        let Some(file) = file else { return };
        if self.action(session, slot.number, "restore", file).await.is_ok() {
            slot.has_read(prompt.to_vec());
        }
    }

    /// Reads a beginning in a slot, and saves the slot's state.
    async fn save(&self, session: &Session, slot: usize, prompt: &[Token]) -> Option<String> {
        let request = Completion::new(prompt, 1, &Sampling::GREEDY, slot);
        self.ask(session, request, |_| Ok(())).await.ok()?;
        let file = format!("ig-{:016x}-{slot}.bin", self.process);
        self.action(session, slot, "save", &file).await.ok()?;
        Some(file)
    }

    async fn action(&self, session: &Session, slot: usize, action: &str, file: &str) -> Result<(), RemoteError> {
        let body = json(&File { filename: file });
        let suffix = format!("/{slot}?action={action}");
        let call = Call { suffix: &suffix, ..Call::post("/slots", &body) };
        self.fleet.call(&session.id, call, |_, _| Ok(Read { value: (), mark: None })).await
    }

    /// The log-probabilities that the server left out, from the likeliest tokens at their positions.
    async fn filled(&self, session: &Session, prompt: &[Token], found: Found) -> Result<Row, RemoteError> {
        let Found { tokens, logprobs, mut positions } = found;
        let mut filled = Vec::with_capacity(tokens.len());
        for (at, logprob) in logprobs.into_iter().enumerate() {
            let Some(logprob) = logprob else {
                let before = [prompt, &tokens[..at]].concat();
                let (logprob, cost) = self.logprob(session, &before, tokens[at]).await?;
                positions += cost;
                filled.push(logprob);
                continue;
            };
            filled.push(logprob);
        }
        Ok(Row { tokens, logprobs: filled, positions })
    }
}

impl Engine for Core {
    fn side(&self) -> &Side {
        &self.side
    }

    fn sampling(&self, growth: &Growth, row: &GrowRow, parent: &[Token]) -> Result<Sampling, ModelError> {
        Sampling::of(growth, row, parent, Dialect::LlamaCpp)
    }

    async fn rest(&self, session: &Session, prompt: &[Token], from: usize, job: &Job) -> Result<Row, RemoteError> {
        let growth = &job.growth;
        let max = growth.max_tokens - from as u32;
        let mut slot = self.slot(prompt).await?;
        self.restore(session, &mut slot, &job.parent, &job.siblings).await;
        let request = Completion::new(prompt, max, &job.sampling, slot.number).seeded(job.seed);
        let asked = self.query(prompt, max, &growth.end);
        let tokenizer = &*self.side.local.tokenizer;
        // What a call that is cancelled leaves in the slot is not known.
        slot.has_read(Vec::new());
        let found = self.ask(session, request, |bytes| read::row(bytes, asked, tokenizer)).await?;
        slot.has_read([prompt, &found.tokens[..found.tokens.len().saturating_sub(1)]].concat());
        drop(slot);
        self.filled(session, prompt, found).await
    }

    async fn likeliest(&self, session: &Session, beam: &[Token], k: u32) -> Result<(Vec<Likely>, u64), RemoteError> {
        let mut slot = self.slot(beam).await?;
        let request = Completion::likeliest(beam, k, &self.side.info.eos, slot.number);
        slot.has_read(Vec::new());
        let (mut best, cost) =
            self.ask(session, request, |bytes| read::likely(bytes, self.query(beam, 1, &[]))).await?;
        slot.has_read(beam.to_vec());
        if best.len() < k as usize {
            let wrong = Contradiction::Likely { found: best.len(), expected: k as usize };
            return Err(Fault::from(wrong).at(&self.side.names));
        }
        best.truncate(k as usize);
        Ok((best, cost))
    }

    /// The log-probability of a token, looked up among the likeliest ones. Another token is an error: the server names no others.
    async fn logprob(&self, session: &Session, beam: &[Token], token: Token) -> Result<(f32, u64), RemoteError> {
        let most = super::NAMED.min(self.side.info.vocab as u32);
        let (best, cost) = self.likeliest(session, beam, most).await?;
        match best.iter().find(|likely| likely.token == token) {
            Some(likely) => Ok((likely.logprob, cost)),
            None => Err(Fault::from(Contradiction::Logprob { at: beam.len() }).at(&self.side.names)),
        }
    }

    async fn latent(&self, _session: &Session, _beam: &[Token]) -> Result<Arc<[f32]>, RemoteError> {
        Err(Fault::Unlike { what: "give latents" }.at(&self.side.names))
    }
}
