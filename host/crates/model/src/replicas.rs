//! The replicas of a back end that computes elsewhere: what operators see of them, and how one is taken out.

/// What a replica computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplicaRole {
    /// It grows rows of the language model.
    Language,
    /// It gives latents of the language model.
    Latents,
    /// It scores.
    Scores,
}

impl ReplicaRole {
    /// As metrics and reports name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Language => "language",
            Self::Latents => "latents",
            Self::Scores => "scores",
        }
    }
}

/// Whether a replica may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplicaState {
    /// Its last check found the right model.
    Ready,
    /// It must be checked before it is used again.
    Unchecked,
    /// It cannot be used, and why. The text is for operators: it may quote the engine.
    Down(String),
}

impl ReplicaState {
    /// All names, for metrics.
    pub const NAMES: [&str; 3] = ["ready", "unchecked", "down"];

    /// One of [`ReplicaState::NAMES`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        let [ready, unchecked, down] = Self::NAMES;
        match self {
            Self::Ready => ready,
            Self::Unchecked => unchecked,
            Self::Down(_) => down,
        }
    }
}

/// What is known of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaReport {
    /// What it computes.
    pub role: ReplicaRole,
    /// The model, as costs and records name it.
    pub model: String,
    /// Its place in the operator's list, from 1.
    pub number: usize,
    /// Its URL, without user and password.
    pub url: String,
    /// What its last check found.
    pub state: ReplicaState,
    /// Whether an operator has taken it out: it gets no new calls.
    pub drained: bool,
    /// Calls for requests that were sent to it.
    pub calls: u64,
    /// Those that failed, also where they succeeded when they were sent again.
    pub failures: u64,
    /// Calls that it computes now: rows of language models, texts of score models.
    pub rows: usize,
}

/// What became of an order to take a replica out, or to use it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// It is done.
    Done,
    /// There is no replica of this URL.
    Unknown,
    /// No other replica could answer, so it stays in use.
    Last,
}
