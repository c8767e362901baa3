//! The sandbox: one wasm engine, its pool of instances and its clock.

use crate::{Limits, SandboxError, bindings::AllRoles, clock::Clock, compiled::Compiled, state::State};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{HasSelf, Linker},
};

/// What `wit-component` makes of one core module, and some room for components of other languages.
const CORE_INSTANCES: u32 = 8;
const TABLES: u32 = 8;
/// Memory that a returned instance keeps mapped, so that the next one starts without page faults.
const KEEP_RESIDENT: usize = 256 << 10;
/// Must fit below the stack of any thread that a request runs on, with room for the host's own frames.
const WASM_STACK: usize = 512 << 10;

/// Runs components. Cheap to clone; all clones share one pool and one clock, which stops with the last of them.
#[derive(Clone)]
pub struct Sandbox {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    limits: Arc<Limits>,
    compiled: Compiled,
    fuel: Arc<AtomicU64>,
    // Held for its drop, which ends the thread.
    _clock: Clock,
}

impl Sandbox {
    /// A sandbox. Compiled code is kept in `cache` if one is given: wasmtime's own cache, which only it may write to.
    ///
    /// # Errors
    /// [`SandboxError::Limit`] and [`SandboxError::Engine`].
    pub fn new(limits: Limits, cache: Option<&Path>) -> Result<Self, SandboxError> {
        limits.validate()?;
        let config = config(&limits, cache).map_err(engine_error)?;
        let engine = Engine::new(&config).map_err(engine_error)?;
        let linker = linker(&engine).map_err(engine_error)?;
        let clock = Clock::start(engine.clone()).map_err(|e| SandboxError::Engine { reason: e.to_string() })?;
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                linker,
                limits: Arc::new(limits),
                compiled: Compiled::default(),
                fuel: Arc::default(),
                _clock: clock,
            }),
        })
    }

    /// What a component may use.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Fuel that all calls have used so far.
    #[must_use]
    pub fn fuel(&self) -> u64 {
        self.inner.fuel.load(Ordering::Relaxed)
    }

    pub(crate) fn fuel_counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.fuel)
    }

    pub(crate) fn shared_limits(&self) -> Arc<Limits> {
        Arc::clone(&self.inner.limits)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.inner.compiled
    }

    pub(crate) fn linker(&self) -> &Linker<State> {
        &self.inner.linker
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("limits", self.limits()).finish_non_exhaustive()
    }
}

fn engine_error(error: wasmtime::Error) -> SandboxError {
    SandboxError::Engine { reason: format!("{error:#}") }
}

/// Deterministic: fuel, canonical NaN, no relaxed SIMD, no threads. The clock is only a second fence.
fn config(limits: &Limits, cache: Option<&Path>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .wasm_relaxed_simd(false)
        .relaxed_simd_deterministic(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK)
        .wasm_backtrace_max_frames(None)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)))
        .cache(cache.map(open_cache).transpose()?);
    Ok(config)
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    let elements = limits.table_elements as usize;
    pool.total_component_instances(limits.instances)
        .total_core_instances(limits.instances.saturating_mul(CORE_INSTANCES))
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_memories(limits.instances)
        .max_memories_per_component(1)
        .max_memory_size(usize::try_from(limits.memory).unwrap_or(usize::MAX))
        .total_tables(limits.instances.saturating_mul(TABLES))
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .table_elements(elements)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT);
    pool
}

fn open_cache(folder: &Path) -> wasmtime::Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config)
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    AllRoles::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}
