//! What can go wrong when the demonstration's models are trained, measured and written.

use std::path::PathBuf;

/// An error of the demo world's training. Each says what was found and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}; check that the path exists and may be written", path.display())]
    File {
        /// What was tried: "read", "write", "rename".
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file was read but its content is not what it should be.
    #[error("{} holds {found}, expected {expected}; train the demo again", path.display())]
    Content {
        /// The path.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// The tokenizer could not be trained or used.
    #[error("tokenizer: {0}; the text must be UTF-8 and the vocabulary at least 300 entries")]
    Tokenizer(String),
    /// A setting is out of range.
    #[error("option {name} is {found}, expected {expected}")]
    Option {
        /// Name of the option.
        name: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A tensor operation failed.
    #[error("tensor computation failed: {0}; this is a bug or a lack of memory")]
    Tensor(#[from] candle_core::Error),
    /// The loss stopped being a number.
    #[error("the loss of {model} became {loss} at step {step}; lower the learning rate or change the seed")]
    Diverged {
        /// Which model was trained.
        model: String,
        /// The step, from zero.
        step: usize,
        /// The loss that was seen.
        loss: f64,
    },
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::File { action, path, source }
    }
}
