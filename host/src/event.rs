//! What a running request reports, and which activation decides.

use inferenceguard_search::{Batch, BatchRow, BundleIdentity, Output};
use serde::{Deserialize, Serialize};

/// One activation of a bundle in an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// The bundle.
    pub bundle: BundleIdentity,
}

/// What a running request says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The request fits and has its place; its answer begins.
    Begun,
    /// More text of the answer; its audit is done and it is never taken back.
    Released {
        /// The text.
        text: String,
    },
    /// The policy is about to decide.
    Progress(Progress),
    /// The request ends with an error although text of its answer was released: what came of it until then, for records.
    CutOff {
        /// The text that was released, with the status `failed`, or cancelled; or the whole answer, if only its most likely tokens
        /// are missing.
        output: Box<Output>,
    },
}

/// Where a running request stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// The number of the chunk, from 0.
    pub chunk: u32,
    /// 0 for the first try of the chunk, then the number of the retry.
    pub attempt: u32,
    /// Answer tokens of the longest candidate.
    pub depth: u32,
    /// The most answer tokens there can be.
    pub max_depth: u32,
    /// Candidates and finished beams.
    pub candidates: usize,
    /// Those that tracker and audit both hold safe.
    pub safe: usize,
    /// The priced one with the most budget left, if any is priced.
    pub best: Option<Best>,
}

/// The candidate with the most budget left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// Its answer tokens.
    pub length: u32,
    /// The tracker's z, by constraint.
    pub z: Vec<f64>,
    /// Budget left by the audit, by constraint.
    pub margins: Vec<f64>,
}

impl Progress {
    pub(crate) fn of(batch: &Batch) -> Self {
        let least = |row: &BatchRow| row.margins.iter().copied().fold(f64::INFINITY, f64::min);
        let priced = batch.rows.iter().filter(|row| row.priced && !row.margins.is_empty());
        let best = priced.max_by(|a, b| least(a).total_cmp(&least(b)));
        Self {
            chunk: batch.moment.chunk,
            attempt: batch.moment.attempt,
            depth: batch.moment.depth,
            max_depth: batch.moment.max_depth,
            candidates: batch.rows.len(),
            safe: batch.rows.iter().filter(|row| row.safe).count(),
            best: best.map(Best::of),
        }
    }
}

impl Best {
    fn of(row: &BatchRow) -> Self {
        Self { length: row.length, z: row.budgets.iter().map(|state| state.z).collect(), margins: row.margins.clone() }
    }
}
