//! vLLM: language models by `/v1/completions`, scores and latents by `/pooling`.
//!
//! vLLM's prefix cache finds what a beam and its parent share, so a beam is a list of tokens on this side and each row is a
//! request of its own, with its own seed.

mod check;
mod engine;
mod language;
mod latents;
mod penalties;
mod pooling;
mod read;
mod score_cache;
mod score_handle;
mod score_text;
mod scores;
mod wire;

pub use language::Vllm;
pub use score_text::{Due, SameTokens, ScoreFormat, ScoredText};
pub use scores::Scores;

/// The most bytes of an answer: a row of tokens with likely ones, or the scores of a long text.
const LIMIT: usize = 32 << 20;
