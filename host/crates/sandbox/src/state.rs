//! What the host keeps for one instance while it runs: the batch of the call, its tensors, its log, what it broke.

use crate::{Limits, dense_state::DenseState};
use inferenceguard_model::LatentSelector;
use inferenceguard_search::{Batch, Note};
use std::{collections::VecDeque, sync::Arc};

/// The contract's `batch`: a handle without content, for there is one batch at a time and it lies in [`State::batch`].
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside this crate")]
pub struct BatchHandle;

/// How many log lines are kept for a trap's message.
const LAST_LINES: usize = 8;

/// The data of a store.
pub(crate) struct State {
    /// The component's name in the deployment.
    pub(crate) component: Arc<str>,
    pub(crate) limits: Arc<Limits>,
    /// The rows of the call under way.
    pub(crate) batch: Option<Batch>,
    pub(crate) dense: DenseState,
    pub(crate) log: LogState,
    /// The places of token latents that it declares, while it says what it needs.
    pub(crate) declared: Option<Vec<LatentSelector>>,
    /// What it noted about the prices of the call under way.
    pub(crate) notes: Vec<Note>,
    /// What the component read without right, first of the call.
    pub(crate) bad_read: Option<String>,
    /// It asked for more memory or table than allowed.
    pub(crate) over_memory: bool,
}

impl State {
    pub(crate) fn new(component: Arc<str>, limits: Arc<Limits>, dense: DenseState) -> Self {
        let log = LogState::default();
        Self {
            component,
            limits,
            batch: None,
            dense,
            log,
            declared: None,
            notes: Vec::new(),
            bad_read: None,
            over_memory: false,
        }
    }

    /// Remembers a read that must fail the call.
    pub(crate) fn note_read(&mut self, found: String) {
        self.bad_read.get_or_insert(found);
    }
}

/// The last lines, and how many there were.
#[derive(Default)]
pub(crate) struct LogState {
    written: u32,
    last: VecDeque<String>,
}

impl LogState {
    /// Takes a line unless there were too many; true if it was taken.
    pub(crate) fn take(&mut self, line: &str, most: u32) -> bool {
        if self.written >= most {
            return false;
        }
        self.written += 1;
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
        true
    }

    /// The newest line: after a panic, the panic's text.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.last.back().map(String::as_str)
    }
}

/// Asked for too much. Growing then ends the call instead of returning -1, so that the reason is not lost in a guest's
/// allocator.
#[derive(Debug, thiserror::Error)]
#[error("more memory or table than allowed")]
struct OverLimit;

impl wasmtime::ResourceLimiter for State {
    fn memory_growing(&mut self, _now: usize, wanted: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        let fits = u64::try_from(wanted).is_ok_and(|bytes| bytes <= self.limits.memory);
        self.allow(fits)
    }

    fn table_growing(&mut self, _now: usize, wanted: usize, _most: Option<usize>) -> wasmtime::Result<bool> {
        let fits = u32::try_from(wanted).is_ok_and(|elements| elements <= self.limits.table_elements);
        self.allow(fits)
    }

    // The engine denies what passed the check above, for example beyond the memory's own maximum.
    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.allow(false).map(drop)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.allow(false).map(drop)
    }
}

impl State {
    fn allow(&mut self, fits: bool) -> wasmtime::Result<bool> {
        if fits {
            return Ok(true);
        }
        self.over_memory = true;
        Err(OverLimit.into())
    }
}
