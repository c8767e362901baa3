//! How much one round may compute.

/// Bounds of the work between two looks at the queue, and of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a step. Where more wait, requests take turns. A single call of given tokens with more rows is one step all the
    /// same.
    pub rows: usize,
    /// Positions of a slice of a prompt, and of a slice of answers to score. Back ends round up to whole blocks, and a row to
    /// score is never cut.
    pub positions: usize,
    /// Calls that may wait in the queue; further callers wait until there is room.
    pub queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 256, positions: 256, queue: 256 }
    }
}
