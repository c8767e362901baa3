//! How the fakes' score model reads a conversation.

use crate::model::Bytewise;
use inferenceguard_engines::vllm::{SameTokens, ScoreFormat, ScoredText};
use inferenceguard_model::{Message, ModelError, Tokenizer};
use std::sync::Arc;

/// The bytes of all messages, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Texts;

impl ScoreFormat for Texts {
    fn tokenizer(&self) -> Arc<dyn Tokenizer> {
        Arc::new(Bytewise)
    }

    fn open(&self, messages: &[Message], _: Arc<dyn Tokenizer>) -> Result<Box<dyn ScoredText>, ModelError> {
        let text: String = messages.iter().map(|one| one.content.as_str()).collect();
        Ok(Box::new(SameTokens::new(Bytewise.encode(&text)?)?))
    }
}
