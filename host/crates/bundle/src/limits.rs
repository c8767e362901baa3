//! What a component may use.

use serde::{Deserialize, Serialize};

/// A limit is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limit `{name}` is {found}; expected {least} to {most}")]
pub struct LimitError {
    /// The limit.
    pub name: &'static str,
    /// Its value.
    pub found: u64,
    /// The least allowed.
    pub least: u64,
    /// The most allowed.
    pub most: u64,
}

/// How much of everything one component instance may use. Times are milliseconds, sizes bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Fuel per call (about one unit per wasm instruction, and as much again for what the host computes on tensors, one
    /// unit per 8 multiply-adds). Deterministic: the same call always uses the same.
    pub fuel: u64,
    /// Wall-clock milliseconds per call, after which the call is ended. `fuel` is the first limit, this is the second.
    pub deadline_ms: u64,
    /// Linear memory.
    pub memory: u64,
    /// Elements per table.
    pub table_elements: u32,
    /// Instances alive at the same time, over all requests; one request takes one per role. As many memories may be in
    /// use: a component of several memories takes as many places.
    pub instances: u32,
    /// Core instances of one component. Components of the SDK have a few, those of scripting languages about 40.
    pub core_instances: u32,
    /// Memories of one component: one, unless it is composed of several.
    pub memories: u32,
    /// Tables of one component.
    pub tables: u32,
    /// What the host copies out of a component in one call: its lists and texts.
    pub output: u64,
    /// What the tensors of one instance may hold on the host.
    pub tensors: u64,
    /// Log lines per instance; later ones are dropped.
    pub log_lines: u32,
    /// The largest component file.
    pub component: u64,
    /// The largest file of a network.
    pub network: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 500_000_000,
            deadline_ms: 2_000,
            memory: 64 << 20,
            table_elements: 20_000,
            instances: 256,
            core_instances: 100,
            memories: 4,
            tables: 16,
            output: 8 << 20,
            tensors: 64 << 20,
            log_lines: 256,
            component: 64 << 20,
            network: 1 << 30,
        }
    }
}

const PAGE: u64 = 64 << 10;

impl Limits {
    /// A log line, or the text of an error, is cut at this many bytes.
    pub const LOG_LINE: usize = 4096;

    /// Checks every limit.
    ///
    /// # Errors
    /// [`LimitError`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), LimitError> {
        within("fuel", self.fuel, 10_000, u64::MAX)?;
        within("deadline-ms", self.deadline_ms, 1, 3_600_000)?;
        within("memory", self.memory, PAGE, 4 << 30)?;
        within("table-elements", self.table_elements.into(), 1, 10_000_000)?;
        within("instances", self.instances.into(), 1, 4096)?;
        within("core-instances", self.core_instances.into(), 1, 1000)?;
        within("memories", self.memories.into(), 1, 64)?;
        within("tables", self.tables.into(), 1, 256)?;
        within("output", self.output, 4096, 1 << 30)?;
        within("tensors", self.tensors, 0, 64 << 30)?;
        within("log-lines", self.log_lines.into(), 1, 100_000)?;
        within("component", self.component, 1024, 1 << 30)?;
        within("network", self.network, 1024, 64 << 30)
    }
}

fn within(name: &'static str, found: u64, least: u64, most: u64) -> Result<(), LimitError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(LimitError { name, found, least, most })
}
