//! Answers of engines that contradict their requests.

/// An answer that contradicts the request: a defect of the engine, or of something between it and this side.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// A token that the model does not have.
    #[error("token {token} is outside the vocabulary of {vocab}; use the folder that the engine serves")]
    Token {
        /// The token.
        token: i64,
        /// The size of the vocabulary.
        vocab: usize,
    },
    /// More tokens than were asked for.
    #[error("{found} tokens where at most {max} were asked for; report it to the engine's authors")]
    TooMany {
        /// The tokens.
        found: usize,
        /// The most.
        max: usize,
    },
    /// Fewer tokens than were asked for, without an end: the context was clipped.
    #[error(
        "{found} of {max} tokens without an end: the context was clipped; start it with a larger context, or shorten the prompt"
    )]
    Clipped {
        /// The tokens.
        found: usize,
        /// The number asked for.
        max: usize,
    },
    /// No token at all.
    #[error("no token")]
    Empty,
    /// A token after an end token.
    #[error("it goes on after the end token {token}; report it to the engine's authors")]
    PastEnd {
        /// The end token.
        token: u32,
    },
    /// It ended at a token that ends nothing here.
    #[error("it ended at token {token}, which is no end token here; use the folder that the engine serves")]
    OtherEnd {
        /// The token.
        token: u32,
    },
    /// A finish reason that is not understood.
    #[error("finish reason {found} is not understood; update this program, or use a tested version")]
    Finish {
        /// The reason.
        found: String,
    },
    /// The numbers of log-probabilities and tokens differ.
    #[error("{found} log-probabilities for {expected} tokens")]
    Logprobs {
        /// Their number.
        found: usize,
        /// The number of tokens.
        expected: usize,
    },
    /// A log-probability is not finite or above 0.
    #[error(
        "a log-probability at position {at} is missing, not finite or above 0; check the weights and the number format"
    )]
    Logprob {
        /// The position.
        at: usize,
    },
    /// A score or a latent that is not finite.
    #[error("{what} holds NaN or infinity; check the weights and the number format")]
    NotFinite {
        /// Scores or latents.
        what: &'static str,
    },
    /// It read another prompt than this side sent.
    #[error(
        "it read another prompt than was sent ({found} tokens for {sent}); something between it and this side changes requests"
    )]
    Prompt {
        /// The length of what it read.
        found: usize,
        /// The length of what was sent.
        sent: usize,
    },
    /// The numbers of answers and prompts differ.
    #[error("{found} answers to {expected} prompts")]
    Answers {
        /// Their number.
        found: usize,
        /// The number of prompts.
        expected: usize,
    },
    /// Answers by turns from several processes.
    #[error(
        "each answer comes from another process than the checked one; name the replicas, not what is in front of them"
    )]
    Process,
    /// Fewer likely tokens than asked for.
    #[error("{found} likely tokens where {expected} were asked for; start it with a larger --max-logprobs")]
    Likely {
        /// Their number.
        found: usize,
        /// The number asked for.
        expected: usize,
    },
    /// Fewer scores than new tokens, also with an empty prefix cache.
    #[error("{found} rows where at least {expected} are needed; the tokens are not priced")]
    TooFew {
        /// The rows.
        found: usize,
        /// The rows needed.
        expected: usize,
    },
    /// A row of another width.
    #[error("rows of {found} numbers where {expected} are due; check that it serves this model for this task")]
    Width {
        /// The width.
        found: usize,
        /// The width expected.
        expected: usize,
    },
}
