//! The calls of a language model on vLLM.

use super::{
    LIMIT,
    check::{Facts, LanguageCheck},
    latents::Latents,
    penalties::extra,
    read,
    wire::{COMPLETIONS, Completion},
};
use crate::{
    Fault, RemoteError,
    checks::Asked,
    engine::{Engine, Job, Row, Session, Side},
    fleet::{Read, Shared},
    http::{Call, json},
    sampling::{Dialect, Sampling},
};
use inferenceguard_model::{GrowRow, Growth, Likely, ModelError, Token};
use std::sync::Arc;

/// What the handles of a [`super::Vllm`] share.
pub(crate) struct Core {
    pub(crate) fleet: Shared<LanguageCheck>,
    pub(crate) latents: Option<Latents>,
    pub(crate) side: Side,
}

impl Core {
    async fn ask<T>(
        &self,
        session: &Session,
        request: Completion<'_>,
        read: impl Fn(&[u8]) -> Result<Read<T>, Fault> + Sync,
    ) -> Result<T, RemoteError> {
        let (id, salt) = (session.id.as_str(), session.salt.as_deref());
        let body = json(&Completion { session_id: Some(id), cache_salt: salt, ..request });
        self.fleet
            .call(id, Call { limit: LIMIT, ..Call::post(COMPLETIONS, &body) }, |_: &Facts, bytes: &[u8]| read(bytes))
            .await
    }

    fn query<'a>(&self, prompt: &'a [Token]) -> Asked<'a> {
        Asked { prompt, max: 1, end: &[], vocab: self.side.info.vocab }
    }

    fn one_token<'a>(&'a self, beam: &'a [Token]) -> Completion<'a> {
        Completion::new(&self.side.model, beam, 1, &Sampling::GREEDY)
    }
}

impl Engine for Core {
    fn side(&self) -> &Side {
        &self.side
    }

    fn sampling(&self, growth: &Growth, row: &GrowRow, parent: &[Token]) -> Result<Sampling, ModelError> {
        Sampling::of(growth, row, parent, Dialect::Vllm)
    }

    async fn rest(&self, session: &Session, prompt: &[Token], from: usize, job: &Job) -> Result<Row, RemoteError> {
        let growth = &job.growth;
        let (max, vocab) = (growth.max_tokens - from as u32, self.side.info.vocab);
        let request = Completion {
            stop_token_ids: &growth.end,
            vllm_xargs: extra(&growth.penalties, from, growth.sampling.penalty_mass, vocab),
            ..Completion::new(&self.side.model, prompt, max, &job.sampling).seeded(job.seed)
        };
        let asked = Asked { prompt, max: max as usize, end: &growth.end, vocab };
        self.ask(session, request, |bytes| read::row(bytes, asked)).await
    }

    async fn likeliest(&self, session: &Session, beam: &[Token], k: u32) -> Result<(Vec<Likely>, u64), RemoteError> {
        let request = Completion { logprobs: k, ..self.one_token(beam) };
        let read = |bytes: &[u8]| read::likely(bytes, self.query(beam), k as usize);
        let (best, row) = self.ask(session, request, read).await?;
        Ok((best, row.positions))
    }

    async fn logprob(&self, session: &Session, beam: &[Token], token: Token) -> Result<(f32, u64), RemoteError> {
        let request = Completion { logprob_token_ids: Some([token]), ..self.one_token(beam) };
        self.ask(session, request, |bytes| read::of_token(bytes, self.query(beam), token)).await
    }

    async fn latent(&self, session: &Session, beam: &[Token]) -> Result<Arc<[f32]>, RemoteError> {
        match &self.latents {
            Some(latents) => latents.newest(session, beam).await,
            None => Err(Fault::Unlike { what: "give latents" }.at(&self.side.names)),
        }
    }
}
