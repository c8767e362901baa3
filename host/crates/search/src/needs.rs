//! What a role reads beside what every row has.

use inferenceguard_model::LatentSelector;
use serde::{Deserialize, Serialize};

/// The inputs a role declared. Everything else about a row is always there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Needs {
    /// The prompt's text.
    pub prompt: bool,
    /// The text of the new tokens.
    pub text: bool,
    /// Characters of already charged text.
    pub lookback: u32,
    /// The log-probability of each new token.
    pub logprobs: bool,
    /// The k most likely next tokens; 0 = none.
    pub top_k: u32,
    /// All logits.
    pub logits: bool,
    /// The latent.
    pub latents: Option<LatentSelector>,
    /// The latent of every new token, of these places, joined in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_latents: Vec<LatentSelector>,
    /// Score models, by name.
    pub scores: Vec<String>,
    /// Networks of the bundle, by name.
    pub networks: Vec<String>,
}

impl Needs {
    /// The most top-k entries a role may ask for.
    pub const TOP_K: u32 = 1024;

    /// The most places of which a role may ask for the latents of every token.
    pub const PLACES: usize = 8;

    /// Whether a forward pass at the newest position is needed.
    #[must_use]
    pub fn newest_position(&self) -> bool {
        self.top_k > 0 || self.logits || self.latents.is_some() || !self.token_latents.is_empty()
    }
}
