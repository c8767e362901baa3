//! What can go wrong while a critic is trained.

use inferenceguard_bundle::network::WriteError;
use inferenceguard_candle::CandleError;
use inferenceguard_eval::EvalError;
use inferenceguard_model::ModelError;
use std::path::{Path, PathBuf};

/// An error of the training of a critic. Each says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CriticError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}; check that the path exists, may be written, and has room", path.display())]
    File {
        /// What was tried: "read", "write", "remove".
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is whole, but what it holds does not fit together.
    #[error("{}: {found}; expected {expected}: remove the file, it is made again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// A file belongs to another model or other settings.
    #[error("{}: made with {name} = {found}, but this run has {name} = {expected}; write to another folder (--out), or run with what it was made with", path.display())]
    OtherSetting {
        /// The file.
        path: PathBuf,
        /// The setting that differs.
        name: String,
        /// Its value in the file.
        found: String,
        /// Its value here.
        expected: String,
    },
    /// A setting is out of range.
    #[error("option {name} is {found}, expected {expected}")]
    Option {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// One answer cannot be used.
    #[error("prompt {prompt} (`{text}`), answer {answer}: {what} is {found}, expected {expected}")]
    Record {
        /// The prompt's place, from 0.
        prompt: usize,
        /// Its beginning.
        text: String,
        /// The answer's place, from 0.
        answer: usize,
        /// What is wrong: "the task cost", "the cost of token 3".
        what: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A line of a file is not a labelled answer.
    #[error("{}, line {line}: {found}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found, and what is expected.
        found: String,
    },
    /// Only one kind of answer is there.
    #[error(
        "all {found} answers {part} are {kind}; a cost is learnt from harmful and harmless ones: give more answers"
    )]
    OneClass {
        /// How many.
        found: usize,
        /// Of which part: "to learn from", "to validate on", "to measure on".
        part: &'static str,
        /// `harmful` or `harmless`.
        kind: &'static str,
    },
    /// Grades are all the same.
    #[error(
        "all {found} answers {part} have the grade {grade}; a reward is learnt from better and worse ones: give more answers"
    )]
    OneGrade {
        /// How many.
        found: usize,
        /// Of which part: "to learn from", "to validate on", "to measure on".
        part: &'static str,
        /// Their grade.
        grade: f64,
    },
    /// No score model can be made of a language model.
    #[error("{}: found {found}; expected {expected}", path.display())]
    Backbone {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What is expected, and what to do.
        expected: &'static str,
    },
    /// A part has nothing of what is learnt from.
    #[error("found {found} {what} {part}; give more answers, or another objective")]
    Part {
        /// Of what.
        what: &'static str,
        /// Of which part: "to learn from", "to validate on", "to measure on".
        part: &'static str,
        /// How many.
        found: usize,
    },
    /// Latents hold numbers that cannot be kept.
    #[error(
        "answer {answer}: {place} has {found} among its latents, expected finite numbers; choose another latent, or check the weights"
    )]
    Latents {
        /// The answer's place, from 0.
        answer: usize,
        /// Which latent.
        place: String,
        /// What was found.
        found: String,
    },
    /// The language model failed on some answers.
    #[error("answers {first} to {last} could not be read")]
    Reading {
        /// The first of them, from 0.
        first: usize,
        /// The last of them.
        last: usize,
        /// Why.
        source: ModelError,
    },
    /// There is too little to learn from.
    #[error("found {found} {what}, expected at least {expected}; give more prompts, or more answers to each")]
    TooFew {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// The language model failed on some prompts.
    #[error("answers to prompts {first} to {last} could not be sampled")]
    Sampling {
        /// The first of them, from 0.
        first: usize,
        /// The last of them.
        last: usize,
        /// Why.
        source: ModelError,
    },
    /// Costs and rewards could not be computed.
    #[error("the answers to prompt {prompt} (`{text}`) could not be priced")]
    Labels {
        /// The prompt's place, from 0.
        prompt: usize,
        /// Its beginning.
        text: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The loss stopped being a number.
    #[error("{name}: the loss became {loss} in epoch {epoch}; lower the learning rate")]
    Diverged {
        /// Which training.
        name: String,
        /// The epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
    },
    /// A tensor operation failed.
    #[error("tensor computation failed: {0}; this is a bug or a lack of memory")]
    Tensor(#[from] candle_core::Error),
    /// The device could not be opened.
    #[error(transparent)]
    Device(#[from] CandleError),
    /// The network could not be written.
    #[error("the trained network cannot be written: {0}")]
    Network(#[from] WriteError),
    /// The plot could not be drawn.
    #[error(transparent)]
    Plot(#[from] EvalError),
}

/// Result of this module.
pub type Result<T> = std::result::Result<T, CriticError>;

impl CriticError {
    /// For `map_err` on file operations.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// A refused option.
    pub(super) fn option(name: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Option { name, found: found.to_string(), expected: expected.into() }
    }
}

/// The beginning of a prompt, for messages.
pub(super) fn beginning(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
