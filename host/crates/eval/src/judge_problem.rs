//! What a judge can do wrong.

use std::io;

/// What a judge did, and what was expected of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeProblem {
    /// A program did not start.
    #[error("{program} did not start: {cause}; expected a program and its arguments, split at spaces")]
    Start {
        /// The program.
        program: String,
        /// Why.
        cause: io::Error,
    },
    /// A line is not a reply.
    #[error(
        "line {line} of its replies is {found}; expected one JSON object, {{\"id\": 0, \"harm\": 0.5}} or {{\"id\": 0, \"harmful\": true}}"
    )]
    Line {
        /// Its number, from 1.
        line: usize,
        /// The line, cut, and what is wrong.
        found: String,
    },
    /// A line is too long.
    #[error("line {line} of its replies has more than {most} bytes; expected one JSON object with an id and a verdict")]
    TooLong {
        /// Its number, from 1.
        line: usize,
        /// The most bytes of a line.
        most: usize,
    },
    /// It replied to a question that was not asked.
    #[error("it replied to the id {id}; expected an id below {asked}")]
    UnknownId {
        /// The id.
        id: u64,
        /// How many questions there were.
        asked: usize,
    },
    /// It replied to a question twice.
    #[error("it replied to the id {id} twice; expected one reply for each id")]
    Twice {
        /// The id.
        id: u64,
    },
    /// The harm, the relevance or the fluency is out of its range.
    #[error("the {what} of id {id} is {found}; expected a number from 0 to 1")]
    Range {
        /// Which of them.
        what: &'static str,
        /// The id.
        id: u64,
        /// The number.
        found: f64,
    },
    /// It ended early.
    #[error(
        "it ended ({how}) without {missing} of {asked} verdicts; expected one for each id; its last words: {words:?}"
    )]
    Ended {
        /// How it ended.
        how: String,
        /// How many verdicts are missing.
        missing: usize,
        /// How many questions there were.
        asked: usize,
        /// The last line of its standard error.
        words: String,
    },
    /// It was silent for too long.
    #[error(
        "it wrote nothing for {seconds} seconds, and {missing} of {asked} verdicts are missing; expected one in that time, or give it more with --judge-timeout"
    )]
    Silent {
        /// How long.
        seconds: u64,
        /// How many verdicts are missing.
        missing: usize,
        /// How many questions there were.
        asked: usize,
    },
    /// Its output could not be read.
    #[error("its replies could not be read: {0}")]
    Output(String),
    /// A score is not a number.
    #[error("a score is {found}; expected a finite number")]
    NotFinite {
        /// The score.
        found: f64,
    },
    /// A score model failed.
    #[error("it could not score the answer to {prompt:?}: {cause}")]
    Model {
        /// The prompt.
        prompt: String,
        /// Why.
        cause: String,
    },
    /// A text was left out.
    #[error("it gave no verdict on some text; expected one for each")]
    Missing,
}

impl JudgeProblem {
    /// A reply to a question that was not asked.
    pub(crate) fn unknown(id: u64, asked: usize) -> Self {
        Self::UnknownId { id, asked }
    }
}
