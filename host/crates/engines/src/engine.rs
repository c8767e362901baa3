//! What an engine does for a handle: one call for each row.

use crate::{Local, RemoteError, sampling::Sampling, worker::Worker};
use inferenceguard_model::{Abilities, GrowRow, Growth, Likely, ModelError, ModelInfo, Token};
use std::{
    future::Future,
    sync::{Arc, atomic::AtomicUsize},
};
use tokio::{sync::OnceCell, task::JoinSet};

/// How a request is known to engines and routers.
#[derive(Debug)]
pub(crate) struct Session {
    /// One for each request: all its rows go to one replica, whose cache has their beginning.
    pub(crate) id: String,
    /// Keeps what a prefix cache holds of one tenant from the others.
    pub(crate) salt: Option<String>,
}

/// What every engine has on this side.
pub(crate) struct Side {
    pub(crate) local: Local,
    pub(crate) info: ModelInfo,
    pub(crate) abilities: Abilities,
    /// The name under which the model is served.
    pub(crate) model: String,
    pub(crate) live: Arc<AtomicUsize>,
    pub(crate) worker: Worker,
    /// The URLs.
    pub(crate) names: String,
}

/// Shared by all rows of one parent.
#[derive(Default)]
pub(crate) struct Siblings {
    /// The number of rows.
    pub(crate) count: usize,
    /// Where the engine keeps their beginning, once it was asked to.
    pub(crate) saved: OnceCell<Option<String>>,
}

/// A row to grow.
pub(crate) struct Job {
    pub(crate) parent: Arc<Vec<Token>>,
    pub(crate) siblings: Arc<Siblings>,
    pub(crate) sampling: Sampling,
    pub(crate) seed: u64,
    pub(crate) growth: Arc<Growth>,
}

/// A row that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) tokens: Vec<Token>,
    pub(crate) logprobs: Vec<f32>,
    /// Positions that the engine computed for it.
    pub(crate) positions: u64,
}

/// What an engine does for a handle. Each call is about one row or one beam.
pub(crate) trait Engine: Send + Sync + 'static {
    fn side(&self) -> &Side;

    /// How rows are sampled there.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for what the engine does not have, or does otherwise.
    fn sampling(&self, growth: &Growth, row: &GrowRow, parent: &[Token]) -> Result<Sampling, ModelError>;

    /// Tokens of a row from offset `from` on, after `prompt`.
    fn rest(
        &self,
        session: &Session,
        prompt: &[Token],
        from: usize,
        job: &Job,
    ) -> impl Future<Output = Result<Row, RemoteError>> + Send;

    fn likeliest(
        &self,
        session: &Session,
        beam: &[Token],
        k: u32,
    ) -> impl Future<Output = Result<(Vec<Likely>, u64), RemoteError>> + Send;

    fn logprob(
        &self,
        session: &Session,
        beam: &[Token],
        token: Token,
    ) -> impl Future<Output = Result<(f32, u64), RemoteError>> + Send;

    fn latent(&self, session: &Session, beam: &[Token])
    -> impl Future<Output = Result<Arc<[f32]>, RemoteError>> + Send;
}

/// Grows one row. Its first token comes from the likeliest ones, if it is greedy and does not begin with the likeliest.
pub(crate) async fn grow<E: Engine>(engine: Arc<E>, session: Arc<Session>, job: Job) -> Result<Row, RemoteError> {
    if job.sampling.first == 0 {
        return engine.rest(&session, &job.parent, 0, &job).await;
    }
    let (best, positions) = engine.likeliest(&session, &job.parent, job.sampling.first + 1).await?;
    let Some(Likely { token, logprob, .. }) = best.last().copied() else {
        return engine.rest(&session, &job.parent, 0, &job).await;
    };
    if job.growth.max_tokens <= 1 || job.growth.end.contains(&token) {
        return Ok(Row { tokens: vec![token], logprobs: vec![logprob], positions });
    }
    let prompt = [job.parent.as_slice(), &[token]].concat();
    let rest = engine.rest(&session, &prompt, 1, &job).await?;
    Ok(Row {
        tokens: [&[token], rest.tokens.as_slice()].concat(),
        logprobs: [&[logprob], rest.logprobs.as_slice()].concat(),
        positions: rest.positions + positions,
    })
}

/// Runs tasks at once; drops all of them if it is dropped. Nothing if one of them panicked.
pub(crate) async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(tasks: Vec<F>) -> Option<Vec<T>> {
    let mut done: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    let mut running = JoinSet::new();
    for (i, task) in tasks.into_iter().enumerate() {
        running.spawn(async move { (i, task.await) });
    }
    while let Some(joined) = running.join_next().await {
        let (i, value) = joined.ok()?;
        done[i] = Some(value);
    }
    done.into_iter().collect()
}
