//! Latents by a second server of the same weights, which pools `token_embed`: the last hidden state after the final norm.

use super::pooling::{PoolCheck, Pooling};
use crate::{
    Contradiction, Fault, Local, Remote, RemoteError, engine::Session, fleet::Fleet, measure::Measure, worker::Worker,
};
use inferenceguard_model::Token;
use std::sync::Arc;

/// The latents of texts.
pub(crate) struct Latents {
    pooling: Pooling,
    hidden: usize,
}

impl Latents {
    pub(crate) fn connect(
        worker: &Worker,
        remote: &Remote,
        local: &Local,
        context: usize,
    ) -> Result<Self, RemoteError> {
        let hidden = local.info.hidden;
        let check = PoolCheck::new(remote, &*local.tokenizer, (Measure::Latents(hidden), "latents"), context);
        let check = check.map_err(|fault| fault.at("(this side)"))?;
        Ok(Self { pooling: Pooling::connect(worker, remote, check)?, hidden })
    }

    pub(crate) fn fleet(&self) -> &Fleet<PoolCheck> {
        &self.pooling.fleet
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.pooling.fleet.broken()
    }

    /// The latent at the last token.
    pub(crate) async fn newest(&self, session: &Session, tokens: &[Token]) -> Result<Arc<[f32]>, RemoteError> {
        // The last token is always computed, so one row is there whatever a cache holds.
        let rows = self.pooling.rows(session, tokens, session.salt.as_deref()).await?;
        match rows.len().checked_sub(self.hidden) {
            Some(from) => Ok(rows[from..].into()),
            None => Err(Fault::from(Contradiction::TooFew { found: 0, expected: 1 }).at(self.pooling.fleet.names())),
        }
    }
}
