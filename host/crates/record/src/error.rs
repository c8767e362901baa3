//! What can be wrong with records.

use inferenceguard_model::OtherModel;
use std::{io, path::PathBuf};

/// Why a file of records could not be written or does not verify.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Another process appends to it.
    #[error("{path}: another process writes records there; give each its own file")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Another program changed it while records were appended to it.
    #[error(
        "{path}: another program changed it: it has {found} bytes; expected {expected}. Move it away: then a new file begins there"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length now, in bytes.
        found: u64,
        /// The length that it was left with, in bytes; 0 for a new file.
        expected: u64,
    },
    /// The last record could not be written, and it is not known yet whether the next one can be.
    #[error("{path}: the last record could not be written")]
    Unwritable {
        /// The file.
        path: PathBuf,
    },
    /// A line is not a record, or not the next record of the chain.
    #[error("{path}, line {line}: {wrong}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        wrong: Wrong,
    },
    /// The output was not recorded.
    #[error("the request was not recorded; set `record` in it")]
    NotRecorded,
}

/// What is wrong with one record.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// It cannot be read.
    #[error("it is no record: {0}")]
    Unreadable(String),
    /// Its header is not what its hash says.
    #[error("the header was changed: its hash is {found}, and the line says {expected}")]
    Hash {
        /// Of the bytes.
        found: String,
        /// As written.
        expected: String,
    },
    /// It does not follow the line before.
    #[error("the chain is broken: it follows {found}; expected {expected}")]
    Chain {
        /// As written.
        found: String,
        /// The hash of the line before.
        expected: String,
    },
    /// Its body is not the body that the header names.
    #[error("the body was changed: its digest is {found}, and the header says {expected}")]
    Body {
        /// Of the bytes.
        found: String,
        /// As written.
        expected: String,
    },
    /// What the answer claims is not what its costs add up to.
    #[error("{what}: the record says {found}, and its costs add up to {expected}")]
    Sum {
        /// Which number.
        what: String,
        /// As claimed.
        found: String,
        /// As computed.
        expected: String,
    },
    /// A component answers otherwise than it did.
    #[error("event {event}, {need}: the component answers {found}; it answered {expected}")]
    Replay {
        /// The number of the event, from 0.
        event: usize,
        /// What was asked.
        need: &'static str,
        /// The answer now.
        found: String,
        /// The answer then.
        expected: String,
    },
    /// Prices of networks deviate by less than the tolerance each, and by too much together.
    #[error(
        "event {event}: the prices of {cost} that networks gave now differ from the recorded ones by {found:e} in all; expected at most {allowed:e} for the constraint {constraint}"
    )]
    Drift {
        /// The number of the event, from 0, with which they became too many.
        event: usize,
        /// The cost.
        cost: String,
        /// The constraint with the smallest budget for it.
        constraint: String,
        /// The largest difference of each event, summed, in the cost's unit.
        found: f64,
        /// In the same unit.
        allowed: f64,
    },
    /// Another model answered or scored.
    #[error("another {role} took part: {source}")]
    Model {
        /// Which one.
        role: String,
        /// Both fingerprints; that of the found model is empty where there is no such model.
        source: Box<OtherModel>,
    },
    /// The key that should have signed it did not.
    #[error("the record is not signed by the key given: {0}")]
    Unsigned(&'static str),
    /// Header and body speak of different answers.
    #[error("header and body disagree in `{0}`")]
    Disagreement(&'static str),
}
