//! How much one round may compute, and what the thread did so far.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// What a scheduler's thread did since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Times that it found nothing to do and slept until a call came.
    pub sleeps: u64,
    /// Rounds: each takes the calls that have come, and does at most one step, one slice of a prompt and one of scores.
    pub rounds: u64,
    /// Rounds in which rows got a token: each is at most one step of the language model.
    pub turns: u64,
    /// Rows that got a token.
    pub rows: u64,
    /// Slices of prompts of the language model.
    pub prompt_slices: u64,
    /// Tokens of prompts that the language model did not compute, because it keeps a prompt of the same tenant that begins with them.
    pub reused_positions: u64,
    /// Slices of score models: of prompts, and of answers.
    pub score_slices: u64,
}

/// [`Counts`], as atomics.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sleeps: AtomicU64,
    pub(crate) rounds: AtomicU64,
    pub(crate) turns: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) prompt_slices: AtomicU64,
    pub(crate) reused_positions: AtomicU64,
    pub(crate) score_slices: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            sleeps: read(&self.sleeps),
            rounds: read(&self.rounds),
            turns: read(&self.turns),
            rows: read(&self.rows),
            prompt_slices: read(&self.prompt_slices),
            reused_positions: read(&self.reused_positions),
            score_slices: read(&self.score_slices),
        }
    }
}
