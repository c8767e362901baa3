//! Text from bytes and tokens that come one after the other: it only ever grows.
//!
//! Bytes that may still become a character are held back; bytes that cannot become one any more are U+FFFD, and stay
//! so. Later bytes never change earlier text.

use crate::{SpellState, Token, Tokenizer, TokenizerError};

/// Text from pieces of UTF-8 that may cut characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByteText {
    text: String,
    /// The beginning of a character: at most 3 bytes.
    pending: Vec<u8>,
}

impl ByteText {
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut joined = std::mem::take(&mut self.pending);
        joined.extend_from_slice(bytes);
        let mut chunks = joined.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_beginning(invalid) {
                self.pending = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// The text so far, without a character that is not whole yet.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of a character that is not whole yet.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// Where the first stop text begins, in bytes, if one ends beyond the first `searched` bytes: those have none.
#[must_use]
pub fn stop_at(text: &str, searched: usize, stop: &[String]) -> Option<usize> {
    let longest = stop.iter().map(String::len).max()?;
    let from = text.floor_char_boundary(searched.saturating_sub(longest));
    stop.iter().filter_map(|s| text[from..].find(s.as_str())).min().map(|at| from + at)
}

/// The text of tokens, and where each of them ends in it. Appending a token takes time for that token alone; a copy goes
/// its own way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrowingText {
    bytes: ByteText,
    state: SpellState,
    ends: Vec<usize>,
}

impl GrowingText {
    /// A text that goes on from another one; see [`Tokenizer::continued`].
    #[must_use]
    pub fn continued<T: Tokenizer + ?Sized>(tokenizer: &T) -> Self {
        Self { state: tokenizer.continued(), ..Self::default() }
    }

    /// A copy of this text, with tokens appended.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn with<T: Tokenizer + ?Sized>(mut self, tokenizer: &T, tokens: &[Token]) -> Result<Self, TokenizerError> {
        tokens.iter().try_for_each(|token| self.push(tokenizer, *token))?;
        Ok(self)
    }

    /// Appends a token.
    ///
    /// # Errors
    /// When it is outside the vocabulary; then nothing is appended.
    pub fn push<T: Tokenizer + ?Sized>(&mut self, tokenizer: &T, token: Token) -> Result<(), TokenizerError> {
        let (mut state, mut bytes) = (self.state, Vec::new());
        tokenizer.spell(&mut state, token, &mut bytes)?;
        self.state = state;
        self.bytes.push(&bytes);
        self.ends.push(self.bytes.text.len());
        Ok(())
    }

    /// The text so far, without a character that is not whole yet.
    #[must_use]
    pub fn text(&self) -> &str {
        self.bytes.text()
    }

    /// Where the text of the first `tokens` tokens ends, in bytes. A character belongs to the token that completes it.
    #[must_use]
    pub fn end(&self, tokens: usize) -> usize {
        tokens.checked_sub(1).map_or(0, |last| self.ends.get(last).copied().unwrap_or(self.text().len()))
    }

    /// The text of the first `tokens` tokens.
    #[must_use]
    pub fn of_first(&self, tokens: usize) -> &str {
        &self.text()[..self.end(tokens)]
    }

    /// The text of the tokens `from..to`, and its characters up to and including each of them.
    #[must_use]
    pub fn of_range(&self, from: usize, to: usize) -> (&str, Vec<u32>) {
        let start = self.end(from);
        let (mut at, mut characters) = (start, 0);
        let end = |token: usize| {
            let end = self.end(token + 1);
            characters += self.text()[at..end].chars().count() as u32;
            at = end;
            characters
        };
        let ends = (from..to).map(end).collect();
        (&self.text()[start..self.end(to)], ends)
    }

    /// The text with U+FFFD for a character that was cut at the end.
    #[must_use]
    pub fn into_whole(self) -> String {
        let ByteText { mut text, pending } = self.bytes;
        if !pending.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text
    }
}
