//! Text to tokens and back.

/// An id of a vocabulary.
pub type Token = u32;

/// Why text or tokens could not be converted.
#[derive(Debug, thiserror::Error)]
#[error("the tokenizer failed: {0}")]
pub struct TokenizerError(pub String);

/// Text to tokens and back: pure, the same answer every time.
pub trait Tokenizer: Send + Sync {
    /// Tokens of `text`, without template and without beginning or end tokens. Text is text: whatever it spells, it
    /// becomes no special token, except the one for unknown characters.
    ///
    /// # Errors
    /// When the text cannot be represented.
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError>;

    /// The text of `tokens`, special tokens left out. A character cut at the end shows as U+FFFD.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    fn decode(&self, tokens: &[Token]) -> Result<String, TokenizerError>;

    /// A digest of vocabulary and rules: equal digests mean equal tokens for every text.
    fn fingerprint(&self) -> String;
}
