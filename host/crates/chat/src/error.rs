//! What can go wrong in a conversation.

use inferenceguard_catalog::CatalogError;
use inferenceguard_host::EngineError;
use inferenceguard_model::from_boxed;
use inferenceguard_record::RecordError;
use std::io;

/// A conversation that cannot begin, or a line that cannot be followed. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// More answer tokens than the bundle allows.
    #[error("--max-tokens: found {found}; expected at most {most}, the `max_tokens` of the bundle")]
    MaxTokens {
        /// What was given.
        found: u32,
        /// The most.
        most: u32,
    },
    /// A budget for a constraint that is not there.
    #[error("/budget: found no constraint `{found}`; expected one of: {known}")]
    UnknownConstraint {
        /// The name that was given.
        found: String,
        /// The names that there are.
        known: String,
    },
    /// Not a budget, or one larger than that of the conversation.
    #[error(
        "/budget: found {found} for `{name}`; expected a number above 0, at most {most}: `chat --budget` begins with more"
    )]
    Budget {
        /// The constraint.
        name: String,
        /// What was given.
        found: f64,
        /// The most.
        most: f64,
    },
    /// A prompt without words.
    #[error("the prompt is empty; give at least one word")]
    EmptyPrompt,
    /// The prompt cannot be read.
    #[error("the standard input is no text in UTF-8")]
    Input(#[source] io::Error),
    /// A request that failed, which is neither an answer nor a refusal.
    #[error("the request failed, and no answer was emitted: {reasons}")]
    Failed {
        /// What failed, and why.
        reasons: String,
    },
    /// A model or bundle cannot be opened, or a budget cannot be read.
    #[error(transparent)]
    Catalog(Box<CatalogError>),
    /// The engine failed.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// An answer was not recorded, so it cannot be explained.
    #[error(transparent)]
    Record(Box<RecordError>),
}

from_boxed!(ChatError: Catalog(CatalogError), Engine(EngineError), Record(RecordError));
