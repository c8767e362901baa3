//! What can go wrong in a back end.

use crate::{TokenizerError, language::BeamId};

/// An error of a back end. The request that met it ends; other requests go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A beam is named that does not exist or was released.
    #[error("beam {0:?} does not exist; it was released or never made")]
    UnknownBeam(BeamId),
    /// A token lies outside the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocab} tokens")]
    UnknownToken {
        /// The token found.
        token: u32,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// The prompt has no tokens.
    #[error("the prompt is empty; give at least one token")]
    EmptyPrompt,
    /// A beam would grow beyond the context.
    #[error("{found} tokens do not fit the context of {limit}; shorten the prompt or the answer")]
    ContextExceeded {
        /// Tokens asked for.
        found: usize,
        /// Tokens the model takes.
        limit: usize,
    },
    /// A table has another shape than expected.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which table.
        what: &'static str,
        /// The shape expected.
        expected: String,
        /// The shape found.
        found: String,
    },
    /// The model gave NaN or infinity where a number was due.
    #[error("{0} holds NaN or infinity; check the weights and the number format")]
    NotFinite(&'static str),
    /// The chat template does not take these turns.
    #[error("this conversation does not fit the model's chat template: {0}")]
    Conversation(String),
    /// The model cannot do what was asked.
    #[error("this back end cannot {0}")]
    Unsupported(String),
    /// The caller cancelled the call.
    #[error("the caller cancelled the call")]
    Cancelled,
    /// Text and tokens.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model panicked, so nothing may be asked of it any more.
    #[error("the back end failed: {0}; load it again")]
    Broken(String),
    /// The library or the device below failed.
    #[error("the back end failed: {0}")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ModelError {
    /// The same error for another row or caller that was part of the failed call. Errors from below become their text.
    #[must_use]
    pub fn for_another(&self) -> Self {
        match self {
            Self::UnknownBeam(beam) => Self::UnknownBeam(*beam),
            Self::UnknownToken { token, vocab } => Self::UnknownToken { token: *token, vocab: *vocab },
            Self::EmptyPrompt => Self::EmptyPrompt,
            Self::ContextExceeded { found, limit } => Self::ContextExceeded { found: *found, limit: *limit },
            Self::Shape { what, expected, found } => {
                Self::Shape { what, expected: expected.clone(), found: found.clone() }
            }
            Self::NotFinite(what) => Self::NotFinite(what),
            Self::Conversation(why) => Self::Conversation(why.clone()),
            Self::Unsupported(what) => Self::Unsupported(what.clone()),
            Self::Cancelled => Self::Cancelled,
            Self::Broken(why) => Self::Broken(why.clone()),
            Self::Tokenizer(error) => Self::Backend(error.to_string().into()),
            Self::Backend(error) => Self::Backend(error.to_string().into()),
        }
    }
}
