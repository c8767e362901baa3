//! What a user asks of every answer: how it is sampled, how long it may be, and what stands before the conversation.

use crate::ChatError;
use inferenceguard_host::{Engine, Request};
use inferenceguard_model::{Message, SamplingSettings};

/// The options of every request. Where a value is `None`, the bundle's own counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The seed of all draws.
    pub seed: u64,
    /// How tokens are drawn.
    pub sampling: SamplingSettings,
    /// The system message.
    pub system: Option<String>,
    /// The most answer tokens.
    pub max_tokens: Option<u32>,
}

impl Asked {
    /// Refuses more tokens than the bundle allows.
    ///
    /// # Errors
    /// [`ChatError::MaxTokens`].
    pub fn check(&self, engine: &Engine) -> Result<(), ChatError> {
        let most = engine.max_tokens();
        match self.max_tokens.filter(|tokens| *tokens > most) {
            Some(found) => Err(ChatError::MaxTokens { found, most }),
            None => Ok(()),
        }
    }

    /// The turns before the first prompt.
    #[must_use]
    pub fn opening(&self) -> Vec<Message> {
        let system = |text: &String| Message { role: "system".to_owned(), content: text.clone() };
        self.system.iter().map(system).collect()
    }

    /// A request with these options.
    #[must_use]
    pub fn request(&self, prompt: &str, history: Vec<Message>) -> Request {
        let (seed, sampling, max_tokens) = (Some(self.seed), self.sampling, self.max_tokens);
        Request { history, sampling, max_tokens, seed, ..Request::new(prompt) }
    }
}
