//! The deployments of an engine: one in the main lane, for requests that name no lane, and one in each other lane.

use crate::{EngineError, Generation, deployment::Deployment};
use inferenceguard_model::unpoisoned;
use inferenceguard_search::RolesInfo;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

/// A bundle that is compiled, configured and checked against the models of an engine, and does not decide yet.
#[derive(Clone)]
pub struct Prepared(pub(crate) Arc<Deployment>);

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Prepared").field(&self.generation()).finish()
    }
}

impl Prepared {
    /// The generation that it becomes when it is installed.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.0.generation()
    }

    /// The text that the operator gives in place of an unsafe answer.
    #[must_use]
    pub fn refusal(&self) -> &str {
        &self.0.config.refusal
    }

    /// What the roles of its first method declared: those that judge answers.
    ///
    /// # Errors
    /// [`EngineError::UnknownMethod`] if there is no method.
    pub fn roles(&self) -> Result<&RolesInfo, EngineError> {
        Ok(&self.0.method(self.0.default_method())?.info)
    }
}

pub(crate) struct Lanes {
    main: RwLock<Arc<Deployment>>,
    others: RwLock<BTreeMap<String, Arc<Deployment>>>,
    newest: AtomicU64,
}

impl Lanes {
    pub(crate) fn new(main: Deployment) -> Self {
        let newest = AtomicU64::new(main.generation);
        Self { main: RwLock::new(Arc::new(main)), others: RwLock::default(), newest }
    }

    /// The next number, unused by any generation of this engine.
    pub(crate) fn next_number(&self) -> u64 {
        self.newest.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn newest_number(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// Marks numbers up to this one as used.
    pub(crate) fn number_beyond(&self, number: u64) {
        self.newest.fetch_max(number, Ordering::Relaxed);
    }

    pub(crate) fn main(&self) -> Arc<Deployment> {
        Arc::clone(&read(&self.main))
    }

    pub(crate) fn get(&self, lane: Option<&str>) -> Result<Arc<Deployment>, EngineError> {
        let Some(lane) = lane else { return Ok(self.main()) };
        let others = read(&self.others);
        others.get(lane).cloned().ok_or_else(|| EngineError::UnknownLane { found: lane.to_owned() })
    }

    pub(crate) fn install(&self, lane: Option<&str>, Prepared(next): Prepared) -> Generation {
        let generation = next.generation();
        match lane {
            None => *write(&self.main) = next,
            Some(lane) => {
                write(&self.others).insert(lane.to_owned(), next);
            }
        }
        generation
    }

    pub(crate) fn close(&self, lane: &str) {
        write(&self.others).remove(lane);
    }
}

/// Reads, also after a thread panicked: no value here is half changed.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    unpoisoned(lock.read())
}

/// Writes, as [`read`] reads.
fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    unpoisoned(lock.write())
}
