//! A score model on vLLM servers that pool `token_classify`: one score per token.
//!
//! Stock servers read the whole text each time. With the plugin of the package `inferenceguard-vllm` they read what is new, and the
//! answer holds only its rows: those of the last positions. Scores that are known stay on this side.

use super::{
    pooling::{PoolCheck, Pooling},
    score_cache::ScoreCache,
    score_handle::Handle,
    score_text::{Due, ScoreFormat},
};
use crate::{
    Contradiction, Fault, Remote, RemoteError,
    engine::Session,
    handle::Sessions,
    identity::{identify, rounding, unique},
    measure::Measure,
    worker::Worker,
};
use inferenceguard_model::{Caller, Drain, ReplicaReport, ReplicaRole, ScoreBackEnd, ScoreInfo, ScoreModel, lock};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// The shortest text that a server must take: one token of a prompt and one of an answer. Its context counts up to the model's.
const LEAST: usize = 2;

/// Scores that are remembered.
const REMEMBERED: usize = 1 << 20;

/// A score model on one or more vLLM servers.
pub struct Scores {
    core: Arc<Core>,
    sessions: Sessions,
}

/// What the handles of all requests share.
pub(super) struct Core {
    pub(super) pooling: Pooling,
    pub(super) info: ScoreInfo,
    pub(super) texts: Arc<dyn ScoreFormat>,
    pub(super) known: Mutex<ScoreCache>,
    pub(super) live: AtomicUsize,
    pub(super) positions: AtomicU64,
    /// Calls that were sent.
    pub(super) asked: AtomicU64,
    pub(super) rounding: f64,
    pub(super) worker: Worker,
}

impl Scores {
    /// Connects to the servers and checks each. `info` is what the score model's folder says: name, context, digests of tokenizer,
    /// template and configuration, and whether it reads the language model's tokens.
    ///
    /// # Errors
    /// A server that is not what it should be; no server that answers.
    pub fn connect(remote: &Remote, mut info: ScoreInfo, texts: Arc<dyn ScoreFormat>) -> Result<Self, RemoteError> {
        let worker = Worker::new()?;
        let check = PoolCheck::new(remote, &*texts.tokenizer(), (Measure::Scores, "scores"), LEAST);
        let pooling = Pooling::connect(&worker, remote, check.map_err(|fault| fault.at("(this side)"))?)?;
        let engine = format!("vllm {}", pooling.facts.version);
        info.context = info.context.min(pooling.facts.context);
        info.fingerprint = identify(&mut info.parts, &info.name, remote, &engine, &pooling.fleet.names());
        let core = Core {
            pooling,
            info,
            texts,
            known: Mutex::new(ScoreCache::new(REMEMBERED)),
            live: AtomicUsize::new(0),
            positions: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            rounding: rounding(&remote.precision),
            worker,
        };
        Ok(Self { core: Arc::new(core), sessions: Sessions::new() })
    }

    /// Whether the servers read only what is new of a text. Without it each scoring pays for the whole text.
    #[must_use]
    pub fn reads_prefixes(&self) -> bool {
        self.core.pooling.facts.prefix
    }

    /// How many texts the servers were asked for.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.core.asked.load(Ordering::Relaxed)
    }
}

impl ScoreBackEnd for Scores {
    fn info(&self) -> &ScoreInfo {
        &self.core.info
    }

    fn handle(&self, caller: &Caller) -> Box<dyn ScoreModel> {
        let session = Session { id: self.sessions.next(), salt: caller.tenant.clone() };
        let cancel = caller.cancel.clone();
        Box::new(Handle {
            core: Arc::clone(&self.core),
            session: session.into(),
            cancel,
            answers: HashMap::new(),
            next: 0,
        })
    }

    fn live_rows(&self) -> usize {
        self.core.live.load(Ordering::Relaxed)
    }

    fn broken(&self) -> Option<String> {
        self.core.pooling.fleet.broken()
    }

    fn positions(&self) -> u64 {
        self.core.positions.load(Ordering::Relaxed)
    }

    fn repeats(&self) -> bool {
        false
    }

    fn replicas(&self) -> Vec<ReplicaReport> {
        self.core.pooling.fleet.report(ReplicaRole::Scores, &self.core.info.name)
    }

    fn drain(&self, url: &str, drained: bool) -> Drain {
        self.core.pooling.fleet.drain(url, drained)
    }
}

impl Core {
    /// The scores of a text from a position on: those that are known, and the server's for the rest.
    pub(super) async fn scores(&self, session: &Session, due: &Due) -> Result<Vec<f32>, RemoteError> {
        let prefixes = self.known().prefixes(session.salt.as_deref(), &due.tokens, due.from);
        if let Some(known) = self.remembered(&prefixes) {
            return Ok(known);
        }
        self.ask(session, due, &prefixes, session.salt.as_deref()).await?;
        if let Some(known) = self.remembered(&prefixes) {
            return Ok(known);
        }
        // The server's cache holds what this side forgot: the text is read again under a salt that no cache knows.
        let salt = format!("{}-{:016x}", session.id, unique());
        let found = self.ask(session, due, &prefixes, Some(&salt)).await?;
        let wrong = Contradiction::TooFew { found, expected: prefixes.len() };
        self.remembered(&prefixes).ok_or_else(|| Fault::from(wrong).at(self.pooling.fleet.names()))
    }

    /// Asks for a text, and remembers the scores of its last positions. Returns their number. They are forgotten again if
    /// the servers changed meanwhile.
    async fn ask(
        &self,
        session: &Session,
        due: &Due,
        prefixes: &[(u64, u64)],
        salt: Option<&str>,
    ) -> Result<usize, RemoteError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let changes = self.pooling.fleet.changes();
        let rows = self.pooling.rows(session, &due.tokens, salt).await?;
        let mut known = self.known();
        if changes == self.pooling.fleet.changes() {
            let last = prefixes.iter().rev().zip(rows.iter().rev());
            last.for_each(|(prefix, score)| known.put(*prefix, *score));
        }
        Ok(rows.len())
    }

    fn remembered(&self, prefixes: &[(u64, u64)]) -> Option<Vec<f32>> {
        let known = self.known();
        prefixes.iter().map(|prefix| known.get(prefix)).collect()
    }

    /// The scores that are known. All are forgotten once a server could not be used unchecked: it may have had another model.
    fn known(&self) -> std::sync::MutexGuard<'_, ScoreCache> {
        let mut known = lock(&self.known);
        known.renew(self.pooling.fleet.changes());
        known
    }
}
