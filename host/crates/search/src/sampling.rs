//! How the language model is sampled.

use inferenceguard_model::{Pick, REPETITION_PENALTIES, SampleRequest, SamplingSettings, Token};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How the language model is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sampling {
    /// Divides the logits; 0 = greedy (the first token of a chunk then takes the top candidates in turn).
    pub temperature: f32,
    /// Only this many most likely tokens; 0 = all.
    pub top_k: u32,
    /// Only the most likely tokens that together hold this probability.
    pub top_p: f32,
    /// Only tokens at least this share as probable as the most likely one; 0 = all.
    pub min_p: f32,
    /// Lowers the logits of tokens that the prompt or the answer holds already, see
    /// [`SampleRequest`]; 1 = off.
    pub repetition_penalty: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }
}

/// A setting of [`Sampling`] that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfRange {
    /// The setting.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub expected: &'static str,
}

impl From<SamplingSettings> for Sampling {
    /// What is left out leaves the model's distribution as it is.
    fn from(settings: SamplingSettings) -> Self {
        let plain = Self::default();
        Self {
            temperature: settings.temperature.unwrap_or(plain.temperature),
            top_k: settings.top_k.unwrap_or(plain.top_k),
            top_p: settings.top_p.unwrap_or(plain.top_p),
            min_p: settings.min_p.unwrap_or(plain.min_p),
            repetition_penalty: settings.repetition_penalty.unwrap_or(plain.repetition_penalty),
        }
    }
}

impl From<Sampling> for SamplingSettings {
    /// Every setting is given.
    fn from(sampling: Sampling) -> Self {
        Self {
            temperature: Some(sampling.temperature),
            top_k: Some(sampling.top_k),
            top_p: Some(sampling.top_p),
            min_p: Some(sampling.min_p),
            repetition_penalty: Some(sampling.repetition_penalty),
        }
    }
}

impl Sampling {
    /// The first setting that is out of its range; `top_k` has none.
    #[must_use]
    pub fn out_of_range(&self) -> Option<OutOfRange> {
        let Self { temperature, top_k: _, top_p, min_p, repetition_penalty } = *self;
        let settings = [
            ("temperature", temperature, 0.0..=f32::MAX, "a finite number, 0 or above"),
            ("top_p", top_p, f32::from_bits(1)..=1.0, "a number above 0, at most 1"),
            ("min_p", min_p, 0.0..=1.0, "a number from 0 to 1"),
            ("repetition_penalty", repetition_penalty, REPETITION_PENALTIES, "a number from 0.01 to 100"),
        ];
        let wrong = settings.into_iter().find(|(_, found, range, _)| !range.contains(found));
        wrong.map(|(field, found, _, expected)| OutOfRange { field, found: found.to_string(), expected })
    }

    /// The request to the model for one token. `prompt` holds the tokens of the prompt, in rising order, each once;
    /// `answer` those of the answer so far, in any order. Both count only where repetition is penalised. Greedy sampling
    /// ignores `draw` and takes the token of `rank`.
    #[must_use]
    pub fn request(
        &self,
        draw: impl FnOnce() -> f64,
        rank: u32,
        prompt: &Arc<[Token]>,
        answer: &[Token],
    ) -> SampleRequest {
        let greedy = self.temperature == 0.0;
        let penalised = self.repetition_penalty != 1.0;
        SampleRequest {
            temperature: if greedy { 1.0 } else { self.temperature },
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            prompt: if penalised { Arc::clone(prompt) } else { Arc::default() },
            repeated: if penalised { new_tokens(prompt, answer) } else { Vec::new() },
            ..SampleRequest::plain(self.pick(draw, || rank))
        }
    }

    /// Greedy sampling takes the token of the rank, any other one the token of the draw.
    pub(crate) fn pick(&self, draw: impl FnOnce() -> f64, rank: impl FnOnce() -> u32) -> Pick {
        if self.temperature == 0.0 { Pick::Rank(rank()) } else { Pick::Draw(draw()) }
    }
}

/// The tokens of the answer that are not in the prompt, in rising order, each once.
fn new_tokens(prompt: &[Token], answer: &[Token]) -> Vec<Token> {
    let mut new: Vec<Token> = answer.iter().copied().filter(|token| prompt.binary_search(token).is_err()).collect();
    new.sort_unstable();
    new.dedup();
    new
}
