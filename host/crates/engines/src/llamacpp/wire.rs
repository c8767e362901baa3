//! What is sent to llama.cpp's server and what is read from its answers.

use crate::sampling::Sampling;
use inferenceguard_model::Token;
use serde::{Deserialize, Serialize};

/// The path of completions.
pub(crate) const COMPLETION: &str = "/completion";

/// A request of one row. Every field of sampling is sent: the server's own defaults cut the distribution.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Completion<'a> {
    pub(crate) prompt: &'a [Token],
    pub(crate) n_predict: u32,
    pub(crate) temperature: f32,
    pub(crate) top_k: u32,
    pub(crate) top_p: f32,
    pub(crate) min_p: f32,
    pub(crate) typical_p: f32,
    pub(crate) top_n_sigma: f32,
    pub(crate) xtc_probability: f32,
    pub(crate) dry_multiplier: f32,
    pub(crate) repeat_penalty: f32,
    pub(crate) presence_penalty: f32,
    pub(crate) frequency_penalty: f32,
    pub(crate) dynatemp_range: f32,
    pub(crate) mirostat: u32,
    /// The order of the reference sampler.
    pub(crate) samplers: [&'static str; 4],
    pub(crate) seed: u32,
    pub(crate) n_probs: u32,
    pub(crate) post_sampling_probs: bool,
    pub(crate) cache_prompt: bool,
    pub(crate) return_tokens: bool,
    pub(crate) ignore_eos: bool,
    pub(crate) stop: [&'static str; 0],
    pub(crate) stream: bool,
    pub(crate) id_slot: usize,
    /// Draws this token: the server gives no log-probabilities where its own draw leaves a character unfinished.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) logit_bias: Vec<(Token, f32)>,
}

impl<'a> Completion<'a> {
    pub(crate) fn new(prompt: &'a [Token], n_predict: u32, sampling: &Sampling, id_slot: usize) -> Self {
        Self {
            prompt,
            n_predict,
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            typical_p: 1.0,
            top_n_sigma: -1.0,
            xtc_probability: 0.0,
            dry_multiplier: 0.0,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            dynatemp_range: 0.0,
            mirostat: 0,
            samplers: ["temperature", "top_k", "top_p", "min_p"],
            seed: 0,
            n_probs: 1,
            post_sampling_probs: false,
            cache_prompt: true,
            return_tokens: true,
            ignore_eos: false,
            stop: [],
            stream: false,
            id_slot,
            logit_bias: Vec::new(),
        }
    }

    /// Asks for the likeliest tokens after a prompt. The server must draw something: it draws an end token, if there is one, which
    /// leaves no character unfinished. The log-probabilities are those before the draw.
    pub(crate) fn likeliest(prompt: &'a [Token], n_probs: u32, end: &[Token], id_slot: usize) -> Self {
        let logit_bias = end.first().map(|token| (*token, 1e6)).into_iter().collect();
        Self { n_probs, logit_bias, ..Self::new(prompt, 1, &Sampling::GREEDY, id_slot) }
    }

    /// The same request with a seed, folded to 32 bits. The largest number would mean a random seed, so 0 takes its place.
    pub(crate) fn seeded(self, seed: u64) -> Self {
        let folded = (seed ^ (seed >> 32)) as u32;
        Self { seed: if folded == u32::MAX { 0 } else { folded }, ..self }
    }
}

/// An answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Completed {
    pub(crate) tokens: Vec<i64>,
    pub(crate) stop_type: String,
    pub(crate) truncated: bool,
    pub(crate) tokens_evaluated: usize,
    pub(crate) completion_probabilities: Vec<Probability>,
    pub(crate) timings: Timings,
}

/// The log-probability of a token, and those of the likeliest.
#[derive(Debug, Deserialize)]
pub(crate) struct Probability {
    pub(crate) id: i64,
    pub(crate) logprob: Option<f32>,
    pub(crate) top_logprobs: Vec<Top>,
}

/// One of the likeliest tokens.
#[derive(Debug, Deserialize)]
pub(crate) struct Top {
    pub(crate) id: i64,
    pub(crate) logprob: Option<f32>,
}

/// What a call cost.
#[derive(Debug, Deserialize)]
pub(crate) struct Timings {
    prompt_n: u64,
    predicted_n: u64,
}

impl Timings {
    /// Positions of the prompt that were computed, and those after it.
    pub(crate) fn positions(&self) -> (u64, u64) {
        (self.prompt_n, self.predicted_n)
    }
}

/// The answer of `/props`.
#[derive(Debug, Deserialize)]
pub(crate) struct Props {
    pub(crate) total_slots: usize,
    pub(crate) default_generation_settings: Defaults,
    #[serde(default)]
    pub(crate) build_info: Option<String>,
    #[serde(default)]
    pub(crate) model_path: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Defaults {
    pub(crate) n_ctx: usize,
}

/// The request of `/tokenize`.
#[derive(Debug, Serialize)]
pub(crate) struct Tokenize<'a> {
    pub(crate) content: &'a str,
    pub(crate) add_special: bool,
    pub(crate) parse_special: bool,
}

/// Its answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Tokenized {
    pub(crate) tokens: Vec<i64>,
}

/// The request that saves or restores a slot.
#[derive(Debug, Serialize)]
pub(crate) struct File<'a> {
    pub(crate) filename: &'a str,
}
