//! tokenizer.json: text to tokens and back, with character places.

use crate::{CandleError, ModelFiles};
use inferenceguard_model::{Token, Tokenizer, TokenizerError};
use sha2::{Digest, Sha256};
use std::{ops::Range, path::Path};

/// The tokenizer of a folder.
pub struct HfTokenizer {
    inner: tokenizers::Tokenizer,
    special: Vec<Token>,
    fingerprint: String,
}

/// Tokens with the bytes of the text that each stands for.
pub(crate) struct Spans {
    pub(crate) tokens: Vec<Token>,
    pub(crate) spans: Vec<Range<usize>>,
}

impl HfTokenizer {
    /// Reads tokenizer.json.
    ///
    /// # Errors
    /// When the file is missing, unreadable or not a tokenizer.
    pub fn read(path: &Path) -> Result<Self, CandleError> {
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::named(&ModelFiles::folder(folder), &path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// The tokenizer.json among a model's files.
    ///
    /// # Errors
    /// When the file is missing, unreadable or not a tokenizer.
    pub fn of(files: &ModelFiles) -> Result<Self, CandleError> {
        Self::named(files, "tokenizer.json")
    }

    fn named(files: &ModelFiles, name: &str) -> Result<Self, CandleError> {
        let what = match files.gguf() {
            Ok(None) | Err(_) => "tokenizer.json (the fast tokenizer; convert a slow one with transformers)",
            Ok(Some(_)) => {
                "tokenizer.json beside its GGUF file (take it from the model's repository; GGUF's own is not read)"
            }
        };
        let bytes = files.read(name, what)?;
        let failed =
            |e| CandleError::Tokenizer { path: files.path().join(name), message: format!("not a tokenizer: {e}") };
        Self::parse(&bytes).map_err(failed)
    }

    fn parse(bytes: &[u8]) -> tokenizers::Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes)?;
        // Some files carry the batch settings of their last training run.
        inner.with_truncation(None)?.with_padding(None);
        let special = inner.get_added_tokens_decoder();
        let mut special: Vec<Token> = special.iter().filter(|(_, t)| t.special).map(|(id, _)| *id).collect();
        special.sort_unstable();
        let fingerprint = fingerprint(&inner)?;
        Ok(Self { inner, special, fingerprint })
    }

    /// Tokens of `text`; `frame` adds what the tokenizer puts around a text, such as a beginning token.
    ///
    /// # Errors
    /// When the text cannot be represented.
    pub fn encode_framed(&self, text: &str, frame: bool) -> Result<Vec<Token>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, frame).map_err(failed)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As [`HfTokenizer::encode_framed`], with byte ranges; tokens of the frame have empty ranges.
    pub(crate) fn encode_spans(&self, text: &str, frame: bool) -> Result<Spans, TokenizerError> {
        let encoding = self.inner.encode(text, frame).map_err(failed)?;
        let spans = encoding.get_offsets().iter().map(|&(from, to)| from..to).collect();
        Ok(Spans { tokens: encoding.get_ids().to_vec(), spans })
    }

    /// The id of a token, spelled as in the vocabulary.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<Token> {
        self.inner.token_to_id(token)
    }

    /// How a token is spelled in the vocabulary.
    pub(crate) fn spelling(&self, id: Token) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Special tokens, sorted.
    #[must_use]
    pub fn special(&self) -> &[Token] {
        &self.special
    }
}

/// Over vocabulary and rules, not over what is put around a text.
fn fingerprint(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<String> {
    let mut rules = tokenizer.clone();
    rules.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
    Ok(crate::load::hex(&Sha256::digest(rules.to_string(false)?)))
}

fn failed(error: tokenizers::Error) -> TokenizerError {
    TokenizerError(error.to_string())
}

impl Tokenizer for HfTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        self.encode_framed(text, false)
    }

    fn decode(&self, tokens: &[Token]) -> Result<String, TokenizerError> {
        // Ids that only fill up the model's output matrix have no text.
        self.inner.decode(tokens, true).map_err(failed)
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}
