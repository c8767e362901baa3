//! Text to tokens and back.

use crate::GrowingText;

/// An id of a vocabulary.
pub type Token = u32;

/// Why text or tokens could not be converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// This text or these tokens cannot be converted; others can.
    #[error("the tokenizer failed: {0}")]
    Refused(String),
    /// The tokenizer itself is at fault. The text quotes nothing of the input.
    #[error("the tokenizer is broken: its library panicked; check tokenizer.json, or report a defect of the library")]
    Broken,
}

/// Where a text stands: what the next token's bytes depend on beside the token. The default is the beginning of a text;
/// the meaning of every other value is the tokenizer's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpellState(pub u64);

/// Text to tokens and back: pure, the same answer every time.
pub trait Tokenizer: Send + Sync {
    /// Tokens of `text`, without template and without beginning or end tokens. Text never becomes a special token,
    /// even if it spells one, except the token for unknown characters.
    ///
    /// # Errors
    /// When the text cannot be represented.
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError>;

    /// Appends to `bytes` what `token` adds to a text that stands at `state`, and moves `state` on. Special tokens add
    /// nothing. The bytes of all tokens, joined, are the text in UTF-8; one token alone may hold a part of a character.
    ///
    /// # Errors
    /// When the token is outside the vocabulary.
    fn spell(&self, state: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError>;

    /// The state of a text that goes on from another one, as an answer does from its prompt: a tokenizer that drops a
    /// space at the beginning of a text keeps it here. [`Tokenizer::encode_continued`] takes such texts.
    fn continued(&self) -> SpellState {
        SpellState::default()
    }

    /// Tokens of a text that goes on from another one: as [`Tokenizer::encode`], without the space that some tokenizers
    /// put before a text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    fn encode_continued(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        self.encode(text)
    }

    /// Whether no text is encoded to this token. A model may generate it, and it may have a text, but words do not become it.
    fn is_control(&self, token: Token) -> bool {
        let _ = token;
        false
    }

    /// The text of `tokens`, special tokens left out. A character cut at the end shows as U+FFFD.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    fn decode(&self, tokens: &[Token]) -> Result<String, TokenizerError> {
        Ok(GrowingText::default().with(self, tokens)?.into_whole())
    }

    /// A digest of vocabulary and rules: equal digests mean equal tokens for every text.
    fn fingerprint(&self) -> String;
}
