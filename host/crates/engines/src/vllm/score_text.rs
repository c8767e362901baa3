//! Prompts and answers in the tokens of a score model, on this side.

use inferenceguard_model::{Message, ModelError, Scored, TemplateNames, Token, Tokenizer};
use std::sync::Arc;

/// How a score model reads conversations, on this side: template and tokenizer.
pub trait ScoreFormat: Send + Sync {
    /// The score model's tokenizer.
    fn tokenizer(&self) -> Arc<dyn Tokenizer>;

    /// Begins an answer to a conversation. `language` decodes the tokens that follow.
    ///
    /// # Errors
    /// [`ModelError::EmptyPrompt`], [`ModelError::Conversation`], [`ModelError::Unsupported`] for another tokenizer, or a failure of
    /// template or tokenizer.
    fn open(&self, messages: &[Message], language: Arc<dyn Tokenizer>) -> Result<Box<dyn ScoredText>, ModelError>;

    /// As `ScoreModel::templates`.
    fn templates(&self) -> TemplateNames {
        TemplateNames::default()
    }
}

/// A text whose tokens from `from` on must be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The whole text, in the score model's tokens.
    pub tokens: Vec<Token>,
    /// The first position whose score is not known.
    pub from: usize,
}

/// One conversation and its answer, in the score model's tokens.
pub trait ScoredText: Send {
    /// A text of its own, equal to this one.
    fn copy(&self) -> Box<dyn ScoredText>;

    /// Appends tokens of the language model, and gives what must be scored now.
    ///
    /// # Errors
    /// A failure of the tokenizer.
    fn extend(&mut self, tokens: &[Token], ended: bool) -> Result<Due, ModelError>;

    /// Takes the scores of what was due, and gives those of the answer's tokens.
    fn take(&mut self, due: &Due, scores: &[f32]) -> Scored;
}

/// A text of a score model that reads the language model's own tokens.
#[derive(Debug, Clone)]
pub struct SameTokens {
    tokens: Vec<Token>,
    /// Where the answer begins.
    prompt: usize,
    /// How many positions are scored.
    scored: usize,
    end: f32,
}

impl SameTokens {
    /// An answer to this prompt, which has at least one token.
    ///
    /// # Errors
    /// [`ModelError::EmptyPrompt`].
    pub fn new(prompt: Vec<Token>) -> Result<Self, ModelError> {
        // Only the score at the prompt's last token is of use.
        let scored = prompt.len().checked_sub(1).ok_or(ModelError::EmptyPrompt)?;
        Ok(Self { prompt: prompt.len(), tokens: prompt, scored, end: f32::NAN })
    }
}

impl ScoredText for SameTokens {
    fn copy(&self) -> Box<dyn ScoredText> {
        Box::new(self.clone())
    }

    fn extend(&mut self, tokens: &[Token], _ended: bool) -> Result<Due, ModelError> {
        self.tokens.extend_from_slice(tokens);
        Ok(Due { tokens: self.tokens.clone(), from: self.scored })
    }

    fn take(&mut self, due: &Due, scores: &[f32]) -> Scored {
        let of_prompt = self.prompt.saturating_sub(due.from);
        self.scored = due.from + scores.len();
        self.end = scores.last().copied().unwrap_or(self.end);
        Scored { tokens: scores.get(of_prompt..).unwrap_or_default().to_vec(), end: self.end }
    }
}
