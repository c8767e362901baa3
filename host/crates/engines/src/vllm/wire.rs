//! What is sent to `/v1/completions` and what is read from its answers. Fields that are not read are ignored; fields that are
//! read and missing are errors.

use crate::sampling::Sampling;
use inferenceguard_model::Token;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The path of completions.
pub(crate) const COMPLETIONS: &str = "/v1/completions";

/// A request of one row. Every field of sampling is sent, because an engine's own defaults count where one is missing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Completion<'a> {
    pub(crate) model: &'a str,
    pub(crate) prompt: &'a [Token],
    pub(crate) max_tokens: u32,
    pub(crate) n: u32,
    pub(crate) seed: u64,
    pub(crate) temperature: f32,
    pub(crate) top_p: f32,
    pub(crate) top_k: u32,
    pub(crate) min_p: f32,
    pub(crate) repetition_penalty: f32,
    pub(crate) presence_penalty: f32,
    pub(crate) frequency_penalty: f32,
    pub(crate) min_tokens: u32,
    pub(crate) stop: [&'static str; 0],
    pub(crate) stop_token_ids: &'a [Token],
    /// The end tokens are those of `stop_token_ids`, and not those of the files beside the server.
    pub(crate) ignore_eos: bool,
    pub(crate) skip_special_tokens: bool,
    pub(crate) add_special_tokens: bool,
    pub(crate) stream: bool,
    pub(crate) echo: bool,
    pub(crate) logprobs: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprob_token_ids: Option<[Token; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_logprobs: Option<u32>,
    pub(crate) return_token_ids: bool,
    pub(crate) return_tokens_as_token_ids: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_salt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vllm_xargs: Option<Extra>,
}

/// Parameters of plugins. Their values are texts.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Extra {
    pub(crate) ig_pen: String,
}

impl<'a> Completion<'a> {
    pub(crate) fn new(model: &'a str, prompt: &'a [Token], max_tokens: u32, sampling: &Sampling) -> Self {
        Self {
            model,
            prompt,
            max_tokens,
            n: 1,
            seed: 0,
            temperature: sampling.temperature,
            top_p: sampling.top_p,
            top_k: sampling.top_k,
            min_p: sampling.min_p,
            repetition_penalty: sampling.repetition_penalty,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            min_tokens: 0,
            stop: [],
            stop_token_ids: &[],
            ignore_eos: true,
            skip_special_tokens: false,
            add_special_tokens: false,
            stream: false,
            echo: false,
            logprobs: 1,
            logprob_token_ids: None,
            prompt_logprobs: None,
            return_token_ids: true,
            return_tokens_as_token_ids: true,
            session_id: None,
            cache_salt: None,
            vllm_xargs: None,
        }
    }

    /// The same request with a seed, cut to the 63 bits of the engine's signed number.
    pub(crate) fn seeded(self, seed: u64) -> Self {
        Self { seed: seed & (u64::MAX >> 1), ..self }
    }
}

/// An answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Completed {
    pub(crate) system_fingerprint: Option<String>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) usage: Usage,
}

/// What a call cost the engine.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<Cached>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Cached {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

impl Usage {
    /// Positions of the prompt that were computed, and those after it.
    pub(crate) fn positions(&self) -> (u64, u64) {
        let cached = self.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        (self.prompt_tokens.saturating_sub(cached), self.completion_tokens)
    }
}

/// The answer to one prompt.
#[derive(Debug, Deserialize)]
pub(crate) struct Choice {
    pub(crate) finish_reason: String,
    pub(crate) token_ids: Vec<i64>,
    pub(crate) prompt_token_ids: Vec<i64>,
    pub(crate) logprobs: Logprobs,
    #[serde(default)]
    pub(crate) prompt_logprobs: Option<Vec<Option<HashMap<String, PromptLogprob>>>>,
}

/// Log-probabilities of an answer's tokens.
#[derive(Debug, Deserialize)]
pub(crate) struct Logprobs {
    pub(crate) token_logprobs: Vec<Option<f32>>,
    pub(crate) top_logprobs: Vec<Option<HashMap<String, Option<f32>>>>,
}

/// The log-probability of a given token.
#[derive(Debug, Deserialize)]
pub(crate) struct PromptLogprob {
    pub(crate) logprob: Option<f32>,
}

/// The answer of `/version`.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) version: String,
}

/// The request of `/tokenize`.
#[derive(Debug, Serialize)]
pub(crate) struct Tokenize<'a> {
    pub(crate) model: &'a str,
    pub(crate) prompt: &'a str,
    pub(crate) add_special_tokens: bool,
}

/// Its answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Tokenized {
    pub(crate) tokens: Vec<i64>,
}
