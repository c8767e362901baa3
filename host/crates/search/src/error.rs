//! Errors of a search. A component that fails is no error: it is part of the outcome.

use inferenceguard_model::TokenizerError;

/// An error of the search.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A setting is out of range.
    #[error("{field}: found {found}, expected {expected}")]
    Config {
        /// Which setting.
        field: String,
        /// What was found.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// The caller fed an answer that does not fit the need.
    #[error("the search needed {need}, and was fed {answer}")]
    Protocol {
        /// The need.
        need: &'static str,
        /// The answer.
        answer: String,
    },
    /// The answer does not begin with the text that was released before: a bug of the search. Lengths are in bytes.
    #[error(
        "the answer does not begin with the text that was released already: found an answer of {answer} bytes whose first \
         {same} are those of the released text, expected all {released} of them; this is a bug, please report it"
    )]
    Released {
        /// Of the released text.
        released: usize,
        /// Of the answer.
        answer: usize,
        /// Of their common beginning.
        same: usize,
    },
    /// Text and tokens.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A recorded decision differs when it is made again.
    #[error("event {event} of the trace: recorded {recorded}, decided again {again}")]
    Divergence {
        /// The number of the event.
        event: usize,
        /// What was recorded.
        recorded: String,
        /// What was decided now.
        again: String,
    },
}
