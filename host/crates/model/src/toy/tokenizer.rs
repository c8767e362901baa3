//! Words and glued pieces to ids and back.

use crate::{SpellState, Token, Tokenizer, TokenizerError};
use std::collections::HashMap;

/// After the first word.
const WITHIN: SpellState = SpellState(1);

/// Splits at spaces. A word starts with a plain token and goes on with glued ones (`+d`), the longest first, so that
/// `bad` is one token if the vocabulary has it, and `ba`, `+d` if not. Several lists of tokens may have the same text.
#[derive(Debug)]
pub struct ToyTokenizer {
    words: Vec<Word>,
    starts: HashMap<String, Token>,
    glued: HashMap<String, Token>,
    fingerprint: String,
}

/// One token of the vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// As spelled in scripts: with the leading `+` of glued tokens.
    pub(super) spelling: String,
    pub(super) is_end: bool,
}

impl Word {
    fn is_glued(&self) -> bool {
        self.spelling.len() > 1 && self.spelling.starts_with('+')
    }

    pub(super) fn is_special(&self) -> bool {
        self.is_end || (self.spelling.starts_with('<') && self.spelling.ends_with('>'))
    }

    fn text(&self) -> &str {
        if self.is_glued() { &self.spelling[1..] } else { &self.spelling }
    }
}

impl ToyTokenizer {
    pub(super) fn new(words: Vec<Word>) -> Self {
        let by_text = |glued: bool| {
            let ids = words.iter().enumerate().filter(|(_, w)| w.is_glued() == glued);
            ids.map(|(i, w)| (w.text().to_owned(), i as Token)).collect()
        };
        let (starts, glued) = (by_text(false), by_text(true));
        let spellings: Vec<&str> = words.iter().map(|w| w.spelling.as_str()).collect();
        let fingerprint = digest(&spellings.join(" "));
        Self { words, starts, glued, fingerprint }
    }

    /// How many tokens there are.
    #[must_use]
    pub fn vocab(&self) -> usize {
        self.words.len()
    }

    /// The id of a token as spelled in the script (`good`, `<eos>`, `+d`).
    #[must_use]
    pub fn id(&self, spelling: &str) -> Option<Token> {
        self.words.iter().position(|w| w.spelling == spelling).map(|i| i as Token)
    }

    pub(super) fn ids_where(&self, test: impl Fn(&Word) -> bool) -> Vec<Token> {
        (0..).zip(&self.words).filter(|(_, w)| test(w)).map(|(i, _)| i).collect()
    }

    /// Where the last word of an encoded text begins.
    pub(super) fn last_word(&self, tokens: &[Token]) -> usize {
        let starts_word = |t: &Token| self.words.get(*t as usize).is_some_and(|w| !w.is_glued());
        tokens.iter().rposition(starts_word).unwrap_or(0)
    }

    fn word(&self, token: Token) -> Result<&Word, TokenizerError> {
        let vocab = self.words.len();
        self.words.get(token as usize).ok_or_else(|| {
            TokenizerError::Refused(format!("token {token} is outside the vocabulary of {vocab} tokens"))
        })
    }

    /// Tokens of a text of the script's author, in which words may name special tokens.
    pub(super) fn encode_scaffold(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        self.encode_words(text, |_| true)
    }

    fn encode_words(&self, text: &str, may_be: impl Fn(&Word) -> bool) -> Result<Vec<Token>, TokenizerError> {
        let mut tokens = Vec::new();
        for word in text.split_whitespace() {
            let mut pieces = Vec::new();
            if !self.split(word, &self.starts, &may_be, &mut pieces) {
                return Err(TokenizerError::Refused(format!(
                    "'{word}' is not in the vocabulary; add it to the script"
                )));
            }
            tokens.extend(pieces);
        }
        Ok(tokens)
    }

    /// The tokens of one word, best first by length; steps back where the longest piece leads nowhere.
    fn split(
        &self,
        rest: &str,
        pieces: &HashMap<String, Token>,
        may_be: &impl Fn(&Word) -> bool,
        out: &mut Vec<Token>,
    ) -> bool {
        if rest.is_empty() {
            return !out.is_empty();
        }
        let ends = rest.char_indices().map(|(i, c)| i + c.len_utf8()).collect::<Vec<_>>();
        for end in ends.into_iter().rev() {
            let Some(&token) = pieces.get(&rest[..end]) else { continue };
            if !self.words.get(token as usize).is_some_and(may_be) {
                continue;
            }
            out.push(token);
            if self.split(&rest[end..], &self.glued, may_be, out) {
                return true;
            }
            out.pop();
        }
        false
    }
}

impl Tokenizer for ToyTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        self.encode_words(text, |word| !word.is_special())
    }

    /// Words with one space between.
    fn spell(&self, state: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        let word = self.word(token)?;
        if !word.is_special() {
            if *state == WITHIN && !word.is_glued() {
                bytes.push(b' ');
            }
            *state = WITHIN;
            bytes.extend_from_slice(word.text().as_bytes());
        }
        Ok(())
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// FNV-1a: enough to tell scripts apart, and no dependency.
pub(super) fn digest(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    format!("toy-{hash:016x}")
}
