//! What stays on this side: tokenizer, prompt template, configuration.

use inferenceguard_model::{Message, ModelError, ModelInfo, TemplateNames, Token, Tokenizer};
use std::sync::Arc;

/// The side of a model that is a folder of the operator: everything but its weights.
#[derive(Clone)]
pub struct Local {
    /// Name, vocabulary, hidden size, context, end tokens, special tokens and sampling, from the folder's files. Its fingerprint
    /// and its digest of weights are replaced by what is known of the engine.
    pub info: ModelInfo,
    /// The folder's tokenizer.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// How a conversation becomes a prompt.
    pub prompts: Arc<dyn Prompts>,
}

/// How a conversation becomes a prompt.
pub trait Prompts: Send + Sync {
    /// The tokens of a conversation that ends with a turn of the user.
    ///
    /// # Errors
    /// [`ModelError::Conversation`] for turns that the template does not take; a failure of template or tokenizer.
    fn encode_chat(&self, messages: &[Message]) -> Result<Vec<Token>, ModelError>;

    /// Which template it is, as bundles name it.
    fn templates(&self) -> TemplateNames {
        TemplateNames::default()
    }
}
