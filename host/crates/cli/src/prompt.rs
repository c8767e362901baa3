//! What a user asks: the options that `run` and `chat` share.

use clap::Args;
use inferenceguard_chat::Asked;
use inferenceguard_model::SamplingSettings;

/// What an answer may cost, how it is sampled, and what stands before the conversation.
#[derive(Debug, Clone, Args)]
pub(crate) struct PromptArguments {
    /// How much an answer may cost: --budget 3, or --budget words=3 where the bundle has several budgets; may be repeated
    #[arg(long = "budget", value_name = "[NAME=]D", allow_hyphen_values = true)]
    pub(crate) budgets: Vec<String>,
    /// The seed of all draws: the same prompts with the same seed give the same answers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The temperature of sampling; 0 takes the likeliest token, except where a part is sampled again because none was safe. The
    /// bundle's, or that of the model's authors, if not given
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// Samples among the likeliest tokens that together have this probability. As --temperature if not given
    #[arg(long, value_name = "P")]
    top_p: Option<f32>,
    /// The system message: how the model should answer
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The most answer tokens, at most the bundle's
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
}

impl PromptArguments {
    /// As a conversation takes them.
    pub(crate) fn asked(&self) -> Asked {
        let Self { seed, temperature, top_p, max_tokens, .. } = *self;
        let sampling = SamplingSettings { temperature, top_p, ..Default::default() };
        Asked { seed, sampling, system: self.system.clone(), max_tokens }
    }
}
