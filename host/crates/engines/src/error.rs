//! What can go wrong between this side and an engine: the engine, what was found there, and what to do.

use crate::Contradiction;
use inferenceguard_model::ModelError;
use std::time::Duration;

/// An engine that could not do what was asked, by its URL.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the engine at {engine}: {fault}")]
pub struct RemoteError {
    /// The URL as the operator gave it, without user and password; several, if none of them could answer.
    pub engine: String,
    /// What is wrong.
    pub fault: Fault,
}

impl From<RemoteError> for ModelError {
    fn from(error: RemoteError) -> Self {
        if error.fault == Fault::Cancelled { Self::Cancelled } else { Self::Backend(Box::new(error)) }
    }
}

/// What is wrong with an engine. Texts of engines are escaped and cut to [`Fault::QUOTED`] characters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// No connection, or it broke.
    #[error("the connection failed: {reason}; check that the engine runs and that this machine reaches it")]
    Connection {
        /// What the network says.
        reason: String,
    },
    /// A certificate that is not believed.
    #[error(
        "its certificate is not believed: {reason}; name the file of its authority with --engine-ca, or add it to the system's (SSL_CERT_FILE)"
    )]
    Certificate {
        /// What is wrong with it.
        reason: String,
    },
    /// A deadline passed.
    #[error("{part} did not come within {} s; the engine is overloaded or hangs, or the deadline is too short", waited.as_secs_f32())]
    Silent {
        /// What was waited for.
        part: &'static str,
        /// For how long.
        waited: Duration,
    },
    /// An answer larger than any honest one.
    #[error("the answer is larger than {limit} bytes; check that this URL is the engine's")]
    TooLarge {
        /// The most that is read.
        limit: usize,
    },
    /// An answer that is not the JSON that this call gives.
    #[error(
        "the answer to {path} is not as expected: {reason}; check that the URL is the engine's and that its version is a tested one"
    )]
    Malformed {
        /// The call.
        path: &'static str,
        /// What the reader met.
        reason: String,
    },
    /// 401.
    #[error("it refuses the key (status 401); give the key of the engine with --engine-key-file")]
    Key,
    /// 403, 404, 405 or 501: the path is not served.
    #[error("it does not serve {path} (status {status}); name the engine itself, or let the router pass this path")]
    Path {
        /// The call.
        path: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// It serves other models.
    #[error(
        "it serves no model `{expected}`; it serves: {known}; choose one of them, or start it with --served-model-name {expected}"
    )]
    Model {
        /// The name that was asked for.
        expected: String,
        /// The names that it serves.
        known: String,
    },
    /// It serves several models, and nothing says which one.
    #[error("it serves several models: {known}; name one of them")]
    ManyModels {
        /// Their names.
        known: String,
    },
    /// 429, 502, 503 or 504, also after retries.
    #[error(
        "it is busy or not ready (status {status}), also when asked again; add replicas, or allow fewer rows at once"
    )]
    Unavailable {
        /// The HTTP status.
        status: u16,
    },
    /// Any other status.
    #[error("it refuses {path} with status {status}: {message}; see the engine's log")]
    Status {
        /// The call.
        path: &'static str,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// A version that is not supported.
    #[error(
        "its version is {found}, and {expected} is expected; install such a one, or accept others with --engine-any-version"
    )]
    Version {
        /// The version.
        found: String,
        /// The range.
        expected: &'static str,
    },
    /// A context shorter than the first replica's, or than the operator needs.
    #[error(
        "it takes {found} tokens, and {expected} are needed; start it with a larger --max-model-len (llama.cpp: -c)"
    )]
    Context {
        /// The tokens that it takes.
        found: usize,
        /// The tokens that it must take.
        expected: usize,
    },
    /// It cuts text into other tokens.
    #[error(
        "its tokenizer is another one: of the same text it makes {found}, and the local tokenizer.json {expected}; use the folder that the engine serves"
    )]
    Tokenizer {
        /// Its tokens.
        found: String,
        /// The tokens of the local tokenizer.
        expected: String,
    },
    /// Another model than the probe's.
    #[error(
        "it is not the model of the probe: {difference}; serve the model that the probe was made of, or make a new probe"
    )]
    Probe {
        /// What differs, and by how much.
        difference: String,
    },
    /// It gives log-probabilities after temperature or penalties.
    #[error("its log-probabilities are not those of the model; start it with --logprobs-mode raw_logprobs")]
    ProcessedLogprobs,
    /// It can do less than the replicas that were there at the start.
    #[error("it cannot {what}, which the other replicas can; start all replicas alike")]
    Unlike {
        /// What it cannot do.
        what: &'static str,
    },
    /// A llama.cpp server with too few slots.
    #[error(
        "it has {found} slots, and {expected} are needed, one of them for checks; start it with a larger --parallel"
    )]
    Slots {
        /// Its slots.
        found: usize,
        /// The slots that it must have.
        expected: usize,
    },
    /// An answer that contradicts the request.
    #[error("its answer contradicts the request: {0}")]
    Contradiction(#[from] Contradiction),
    /// An operator has taken it out.
    #[error("an operator has taken it out (PUT /admin/replica)")]
    Drained,
    /// The request was cancelled on this side.
    #[error("the request was cancelled")]
    Cancelled,
    /// None of several replicas can be used.
    #[error("no replica can be used: {each}")]
    NoReplica {
        /// The fault of each.
        each: String,
    },
    /// This side could not begin.
    #[error("this side cannot begin: {reason}")]
    Setup {
        /// Why.
        reason: String,
    },
}

impl Fault {
    /// The most characters of an engine's text in an error.
    pub const QUOTED: usize = 200;

    /// Whether the same call may be sent again, here or to another replica: nothing was stored, and the seed is the same.
    pub(crate) fn is_retried(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::Certificate { .. } | Self::Unavailable { .. })
    }

    /// Whether the replica must be checked before it is used again.
    pub(crate) fn is_suspect(&self) -> bool {
        matches!(
            self,
            Self::Connection { .. }
                | Self::Certificate { .. }
                | Self::Silent { .. }
                | Self::Status { status: 500, .. }
                | Self::Contradiction(Contradiction::TooFew { .. })
        )
    }

    /// Whether a replica is not there, or not yet, which may end by itself.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::Unavailable { .. } | Self::Silent { .. })
    }

    pub(crate) fn at(self, engine: impl ToString) -> RemoteError {
        RemoteError { engine: engine.to_string(), fault: self }
    }
}

/// Text of an engine, for errors: escaped, and cut.
pub(crate) fn quoted(text: &str) -> String {
    let cut = text.char_indices().nth(Fault::QUOTED).map(|(at, _)| at);
    let shown = cut.map_or(text, |at| &text[..at]).escape_debug().to_string();
    if cut.is_some() { format!("{shown}…") } else { shown }
}

/// Names for an error: the first few, escaped.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let shown: Vec<String> = names.take(8).map(quoted).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}
