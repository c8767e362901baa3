//! One wasm engine: its pool of instances, its clock, and what was compiled for it.

use crate::{Limits, SandboxError, bindings::AllRoles, clock::Clock, compiled::Compiled, state::State};
use std::{path::Path, thread::available_parallelism};
use wasmtime::{
    Cache, CacheConfig, Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, HasSelf, Linker},
};

/// Memory that a returned instance keeps mapped, so that the next one starts without page faults.
const KEEP_RESIDENT: usize = 256 << 10;
/// Must fit below the stack of any thread that a request runs on, with room for the host's own frames.
const WASM_STACK: usize = 512 << 10;
/// Bytes that the engine itself may need for one component instance: enough for one of a hundred core instances.
const INSTANCE_SIZE: usize = 4 << 20;
/// Addresses that are reserved for a memory, in bytes, with the guard behind it.
const ADDRESSES: u64 = (4 << 30) + (32 << 20);

/// What a pool is made for: the limits that cannot change while it is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    instances: u32,
    memory: u64,
    table_elements: u32,
    core_instances: u32,
    memories: u32,
    tables: u32,
}

impl Room {
    pub(crate) fn of(limits: &Limits) -> Self {
        let Limits { instances, memory, table_elements, core_instances, memories, tables, .. } = *limits;
        Self { instances, memory, table_elements, core_instances, memories, tables }
    }

    /// Memories are as many as instances: a component with several takes several places.
    fn pool(&self) -> PoolingAllocationConfig {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(self.instances)
            .max_component_instance_size(INSTANCE_SIZE)
            .total_core_instances(self.instances.saturating_mul(self.core_instances))
            .max_core_instances_per_component(self.core_instances)
            .total_memories(self.instances.max(self.memories))
            .max_memories_per_component(self.memories)
            .max_memory_size(usize::try_from(self.memory).unwrap_or(usize::MAX))
            .total_tables(self.instances.saturating_mul(self.tables))
            .max_tables_per_component(self.tables)
            .max_tables_per_module(self.tables)
            .table_elements(self.table_elements as usize)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .table_keep_resident(KEEP_RESIDENT);
        pool
    }
}

/// An engine. Its clock stops when it is dropped.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) compiled: Compiled,
    pub(crate) room: Room,
    // Held for its drop, which ends the thread.
    _clock: Clock,
}

impl Runtime {
    pub(crate) fn new(room: Room, cache: Option<&Path>) -> Result<Self, SandboxError> {
        let failed = |error: wasmtime::Error| not_started(&room, &format!("{error:#}"));
        let engine = config(&room, cache).and_then(|config| Engine::new(&config)).map_err(failed)?;
        let linker = linker(&engine).map_err(failed)?;
        let clock = Clock::start(engine.clone()).map_err(|error| not_started(&room, &error.to_string()))?;
        Ok(Self { engine, linker, compiled: Compiled::default(), room, _clock: clock })
    }
}

fn not_started(room: &Room, reason: &str) -> SandboxError {
    let gigabytes = (u64::from(room.instances) * ADDRESSES).div_ceil(1 << 30);
    SandboxError::Engine { reason: reason.to_owned(), gigabytes }
}

/// Compiles on threads of its own: the pool that all libraries share is where models compute, and requests would wait for
/// thousands of functions. One core is left to them. `from_binary` never takes precompiled code, whatever the bytes say.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<wasmtime::Result<Component>, SandboxError> {
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(cores.saturating_sub(1).max(1));
    let threads = threads.thread_name(|n| format!("compile-{n}")).build();
    let threads = threads.map_err(|error| SandboxError::Compiler { reason: error.to_string() })?;
    Ok(threads.install(|| Component::from_binary(engine, bytes)))
}

/// Deterministic: fuel, canonical NaN, no relaxed SIMD, no threads. The clock is only a second fence.
fn config(room: &Room, cache: Option<&Path>) -> wasmtime::Result<Config> {
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
        .allocation_strategy(InstanceAllocationStrategy::Pooling(room.pool()))
        .cache(cache.map(open_cache).transpose()?);
    Ok(config)
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
