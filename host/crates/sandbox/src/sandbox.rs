//! The sandbox: what components may use, over an engine that other sandboxes may share.

use crate::{
    Limits, SandboxError,
    compiled::Compiled,
    runtime::{Room, Runtime},
    state::State,
};
use inferenceguard_model::lock;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use wasmtime::{Engine, component::Linker};

/// Runs components. Cheap to clone. All that come from one [`Sandbox::new`] share the compilation cache and the count of
/// fuel; those whose limits need the same room share one pool of instances and what was compiled for it.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Arc<Runtime>,
    limits: Arc<Limits>,
    family: Arc<Family>,
}

/// What all sandboxes that come from one have in common.
struct Family {
    cache: Option<PathBuf>,
    fuel: Arc<AtomicU64>,
    /// The engines that are in use.
    runtimes: Mutex<Vec<Weak<Runtime>>>,
}

impl Sandbox {
    /// A sandbox. Compiled code is kept in `cache` if one is given: wasmtime's own cache, which only it may write to.
    ///
    /// # Errors
    /// [`SandboxError::Limit`] and [`SandboxError::Engine`].
    pub fn new(limits: Limits, cache: Option<&Path>) -> Result<Self, SandboxError> {
        let cache = cache.map(Path::to_owned);
        let family = Family { cache, fuel: Arc::default(), runtimes: Mutex::default() };
        Self::of(Arc::new(family), limits)
    }

    /// A sandbox with other limits. Where they need the same room as those of a sandbox that is in use, it shares the
    /// pool and the compiled components of that; else it has an engine of its own.
    ///
    /// # Errors
    /// As [`Sandbox::new`].
    pub fn with_limits(&self, limits: &Limits) -> Result<Self, SandboxError> {
        if self.limits() == limits {
            return Ok(self.clone());
        }
        Self::of(Arc::clone(&self.inner.family), limits.clone())
    }

    fn of(family: Arc<Family>, limits: Limits) -> Result<Self, SandboxError> {
        limits.validate()?;
        let runtime = family.runtime(&Room::of(&limits))?;
        Ok(Self { inner: Arc::new(Inner { runtime, limits: Arc::new(limits), family }) })
    }

    /// What a component may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Fuel that all calls have used so far, those of all sandboxes that come from the same one together.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.inner.family.fuel.load(Ordering::Relaxed)
    }

    pub(crate) fn fuel_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.family.fuel)
    }

    pub(crate) fn shared_limits(&self) -> Arc<Limits> {
        Arc::clone(&self.inner.limits)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.runtime.engine
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.inner.runtime.compiled
    }

    pub(crate) fn linker(&self) -> &Linker<State> {
        &self.inner.runtime.linker
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("limits", self.limits()).finish_non_exhaustive()
    }
}

impl Family {
    /// The engine with this room that is in use, or a new one.
    fn runtime(&self, room: &Room) -> Result<Arc<Runtime>, SandboxError> {
        let mut all = lock(&self.runtimes);
        all.retain(|one| one.strong_count() > 0);
        if let Some(found) = all.iter().filter_map(Weak::upgrade).find(|one| one.room == *room) {
            return Ok(found);
        }
        let made = Arc::new(Runtime::new(room.clone(), self.cache.as_deref())?);
        all.push(Arc::downgrade(&made));
        Ok(made)
    }
}
