//! How one token is sampled: what a caller asks of a row of logits.

use crate::{ModelError, Token};
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, sync::Arc};

/// How the token is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// At random: the token at which the cumulative probability passes this number of [0, 1).
    Draw(f64),
    /// The token of this rank, 0 being the most likely.
    Rank(u32),
}

/// How one token is sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRequest {
    /// Divides the logits; above 0. With [`Pick::Rank`] it has no effect.
    pub temperature: f32,
    /// Only this many most likely tokens; 0 = all.
    pub top_k: u32,
    /// Only the most likely tokens that together hold this probability; in (0, 1], 1 = all.
    pub top_p: f32,
    /// Only tokens at least this share as probable as the most likely one; in [0, 1], 0 = all.
    #[serde(default)]
    pub min_p: f32,
    /// Lowers the logits of the tokens in `prompt` and `repeated`: those above 0 are divided by it, the others multiplied. Within
    /// [`REPETITION_PENALTIES`]; 1 = off, less than 1 raises them.
    #[serde(default = "no_repetition_penalty")]
    pub repetition_penalty: f32,
    /// The tokens of the prompt, in rising order, each once; empty where nothing is asked of them. Those outside the
    /// vocabulary are skipped. Not written to records: prompt and answer are there.
    #[serde(skip)]
    pub prompt: Arc<[Token]>,
    /// The tokens of the answer so far that are not in `prompt`, as there.
    #[serde(skip)]
    pub repeated: Vec<Token>,
    /// Taken from the logits of these tokens; a token named twice is lowered twice. The likeliest of them is always
    /// lowered, the others in this order while `penalty_mass` allows; those outside the vocabulary are skipped.
    pub penalties: Vec<(Token, f32)>,
    /// Of the probability that remains without the likeliest penalised token, the others hold at most this share.
    pub penalty_mass: f32,
    /// The choice.
    pub pick: Pick,
}

/// The repetition penalties that are understood: with numbers further from 1 logits would leave the range of f32.
pub const REPETITION_PENALTIES: RangeInclusive<f32> = 0.01..=100.0;

impl SampleRequest {
    /// A request that leaves the model's distribution as it is: temperature 1, nothing truncated, nothing penalised.
    #[must_use]
    pub fn plain(pick: Pick) -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            prompt: Arc::default(),
            repeated: Vec::new(),
            penalties: Vec::new(),
            penalty_mass: 1.0,
            pick,
        }
    }

    /// Whether every token may be drawn, and none is lowered.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let whole = self.top_k == 0 && self.top_p == 1.0 && self.min_p == 0.0;
        whole && self.penalties.is_empty() && !self.lowers_repeated()
    }

    /// Whether a token has a repetition penalty.
    pub(crate) fn lowers_repeated(&self) -> bool {
        self.repetition_penalty != 1.0 && !(self.prompt.is_empty() && self.repeated.is_empty())
    }
}

fn no_repetition_penalty() -> f32 {
    1.0
}

/// One sampled token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// The token.
    pub token: Token,
    /// Its log-probability under the model: before penalties, temperature and truncation.
    pub logprob: f32,
}

/// Refuses settings out of the ranges of [`SampleRequest`].
pub(crate) fn check(request: &SampleRequest) -> Result<(), ModelError> {
    let refuse = |what: String| Err(ModelError::Unsupported(what));
    let SampleRequest { temperature, top_p, min_p, repetition_penalty, penalties, penalty_mass, pick, .. } = request;
    if !(top_p.is_finite() && *top_p > 0.0 && *top_p <= 1.0) {
        return refuse(format!("sample with top_p {top_p}; give a number of (0, 1]"));
    }
    if !(0.0..=1.0).contains(min_p) {
        return refuse(format!("sample with min_p {min_p}; give a number of [0, 1]"));
    }
    if !REPETITION_PENALTIES.contains(repetition_penalty) {
        return refuse(format!("sample with repetition_penalty {repetition_penalty}; give a number of [0.01, 100]"));
    }
    if let Some((token, penalty)) = penalties.iter().find(|(_, p)| !p.is_finite()) {
        return refuse(format!("penalise token {token} by {penalty}; give a finite number"));
    }
    if penalty_mass.is_nan() {
        return refuse("sample with penalty_mass NaN; give a share of [0, 1]".into());
    }
    match pick {
        Pick::Draw(draw) if !(0.0..1.0).contains(draw) => refuse(format!("draw {draw}; give a number of [0, 1)")),
        Pick::Draw(_) if !(temperature.is_finite() && *temperature > 0.0) => {
            refuse(format!("draw at temperature {temperature}; give a number above 0, or pick rank 0"))
        }
        _ => Ok(()),
    }
}
