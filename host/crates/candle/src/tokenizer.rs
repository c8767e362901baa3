//! tokenizer.json: text to tokens and back, with character places.
//!
//! Control tokens come from scaffold only. The words of clients and models are text: even if they spell a control token, they are
//! encoded as letters. Added tokens that are nothing but whitespace are not control tokens, and are read anywhere.

use crate::{
    CandleError, ModelFiles, added,
    added_spans::{added_in, split_at},
    continued::Continued,
    gguf::Gguf,
    marked::Marked,
    panics::{catch_panics, failed},
    spelling::Spelling,
    words,
    words::Words,
};
use inferenceguard_model::{SpellState, Token, Tokenizer, TokenizerError};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
};
use tokenizers::{
    Encoding, Model, Normalizer, NormalizerWrapper, OffsetType, PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
};

/// The tokenizer of a folder.
pub struct HfTokenizer {
    inner: tokenizers::Tokenizer,
    /// The vocabulary without control tokens, where the tokenizer's own holds some.
    words: Option<Words>,
    /// For texts that go on from another one, where the tokenizer puts a space before a text.
    continued: Option<Continued>,
    spelling: Spelling,
    special: Vec<Token>,
    /// Tokens that no words become.
    control: BTreeSet<Token>,
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

    /// The tokenizer among a model's files: tokenizer.json, with the tokens that the files beside it add; without it, the
    /// one in the metadata of a GGUF file.
    ///
    /// # Errors
    /// When there is no such file, it cannot be read or holds no tokenizer, or the files give tokens other ids or spellings.
    pub fn of(files: &ModelFiles) -> Result<Self, CandleError> {
        const NAME: &str = "tokenizer.json";
        match Gguf::find(files)? {
            None => Self::named(files, NAME),
            Some(gguf) if files.has(NAME) => {
                let tokenizer = Self::named(files, NAME)?;
                gguf.same_tokens(|id| tokenizer.spelling(id))?;
                Ok(tokenizer)
            }
            Some(gguf) => Self::inside(files, &gguf),
        }
    }

    /// The tokenizer in a GGUF file's metadata.
    fn inside(files: &ModelFiles, gguf: &Gguf) -> Result<Self, CandleError> {
        let path = files.path().join(gguf.name());
        match gguf.tokenizer()? {
            Some(json) => {
                let read = || tokenizers::Tokenizer::from_bytes(json.to_string().as_bytes()).and_then(Self::new);
                let tokenizer = catch_panics(read).map_err(|e| not_usable(path, &e))?;
                gguf.same_tokens(|id| tokenizer.spelling(id))?;
                Ok(tokenizer)
            }
            None => {
                let what = "tokenizer.json beside its GGUF file, which has no tokenizer in its metadata";
                Err(CandleError::MissingFile { path: files.path().join("tokenizer.json"), what })
            }
        }
    }

    fn named(files: &ModelFiles, name: &str) -> Result<Self, CandleError> {
        let bytes = files.read(name, "tokenizer.json (the fast tokenizer; convert a slow one with transformers)")?;
        let failed = |e| not_usable(files.path().join(name), &e);
        let mut inner = catch_panics(|| tokenizers::Tokenizer::from_bytes(&bytes)).map_err(failed)?;
        catch_panics(|| Ok(added::join(files, &mut inner))).map_err(failed)??;
        catch_panics(|| Self::new(inner)).map_err(failed)
    }

    fn new(mut inner: tokenizers::Tokenizer) -> tokenizers::Result<Self> {
        // Some files carry the batch settings of their last training run.
        inner.with_truncation(None)?.with_padding(None);
        let added = inner.get_added_tokens_decoder();
        let mut special: Vec<Token> = added.iter().filter(|(_, t)| t.special).map(|(id, _)| *id).collect();
        special.sort_unstable();
        let spells = |text: &str| !text.chars().all(|c| c.is_whitespace() || c == '▁');
        let control: BTreeSet<Token> = added.iter().filter(|(_, t)| spells(&t.content)).map(|(id, _)| *id).collect();
        let words = words::without(inner.get_model(), &control)?;
        let fingerprint = fingerprint(&inner)?;
        let spelling = Spelling::of(inner.get_decoder())?;
        let continued = Continued::of(&inner)?;
        Ok(Self { inner, words, continued, spelling, special, control, fingerprint })
    }

    /// Tokens of a text of the operator or of a model's authors, control tokens read; `frame` adds what the tokenizer
    /// puts around a text, such as a beginning token.
    ///
    /// # Errors
    /// When the text cannot be represented.
    pub fn encode_framed(&self, text: &str, frame: bool) -> Result<Vec<Token>, TokenizerError> {
        let encoding = catch_panics(|| self.inner.encode_fast(text, frame)).map_err(failed)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens of a text in which only the scaffold may spell control tokens. Where no words spell any, they are those of
    /// [`HfTokenizer::encode_framed`].
    ///
    /// # Errors
    /// When the text cannot be represented.
    pub fn encode_marked(&self, text: &Marked, frame: bool) -> Result<Vec<Token>, TokenizerError> {
        Ok(self.encoding(text, frame, OffsetType::None)?.get_ids().to_vec())
    }

    /// As [`HfTokenizer::encode_marked`], with byte ranges; tokens of the frame have empty ranges.
    pub(crate) fn encode_spans(&self, text: &Marked, frame: bool) -> Result<Spans, TokenizerError> {
        let encoding = self.encoding(text, frame, OffsetType::Byte)?;
        let spans = encoding.get_offsets().iter().map(|&(from, to)| from..to).collect();
        Ok(Spans { tokens: encoding.get_ids().to_vec(), spans })
    }

    /// What `tokenizers::Tokenizer::encode` does, with added tokens found in the scaffold only.
    fn encoding(&self, text: &Marked, frame: bool, offsets: OffsetType) -> Result<Encoding, TokenizerError> {
        let edges = (self.inner.get_normalizer(), self.inner.get_pre_tokenizer());
        self.encoding_with(edges, text, frame, offsets)
    }

    /// An encoding by another normalizer and another pre-tokenizer.
    fn encoding_with(
        &self,
        edges: (Option<&NormalizerWrapper>, Option<&PreTokenizerWrapper>),
        text: &Marked,
        frame: bool,
        offsets: OffsetType,
    ) -> Result<Encoding, TokenizerError> {
        catch_panics(|| self.encoded(edges, text, frame, offsets)).map_err(failed)
    }

    fn encoded(
        &self,
        (normalizer, splitter): (Option<&NormalizerWrapper>, Option<&PreTokenizerWrapper>),
        text: &Marked,
        frame: bool,
        offsets: OffsetType,
    ) -> tokenizers::Result<Encoding> {
        let found = added_in(&self.inner, text);
        let (late, early): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.normalized);
        let mut cut = PreTokenizedString::from(text.text());
        cut.split(|_, part| split_at(part, &early))?;
        cut.split(|_, mut part| {
            normalizer.map_or(Ok(()), |normalizer| normalizer.normalize(&mut part))?;
            split_at(part, &late)
        })?;
        if let Some(splitter) = splitter {
            splitter.pre_tokenize(&mut cut)?;
        }
        cut.tokenize(|part| self.tokenize(part.get()))?;
        let encoding = cut.into_encoding(None, 0, offsets)?;
        self.inner.post_process(encoding, None, frame)
    }

    /// Tokens of a part without added tokens.
    fn tokenize(&self, part: &str) -> tokenizers::Result<Vec<tokenizers::Token>> {
        let Some(words) = &self.words else { return self.inner.get_model().tokenize(part) };
        let tokens = words.model.tokenize(part)?;
        // The vocabulary holds none; if some kind of model finds a control token nevertheless, it is dropped.
        match tokens.iter().find(|token| self.control.contains(&token.id) && Some(token.id) != words.unknown) {
            Some(token) => Err(format!("words became the control token {}", token.id).into()),
            None => Ok(tokens),
        }
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

    /// Makes sure that no words become these tokens, whatever the tokenizer says about them.
    pub(crate) fn keep_from_words(&mut self, tokens: &[Token]) -> Result<(), TokenizerError> {
        let spelled = |id: &&Token| is_spelled(catch_panics(|| self.inner.decode(&[**id], false)));
        let more: Vec<Token> = tokens.iter().filter(|id| !self.control.contains(id)).filter(spelled).copied().collect();
        if more.is_empty() {
            return Ok(());
        }
        self.control.extend(more);
        self.words = words::without(self.inner.get_model(), &self.control).map_err(failed)?;
        Ok(())
    }

    /// The tokens that a model of `vocab` tokens does not have: those that words may become, and added ones. Sorted.
    pub(crate) fn beyond(&self, vocab: usize) -> (Vec<Token>, Vec<Token>) {
        let mut beyond: Vec<Token> =
            self.inner.get_vocab(true).into_values().filter(|id| *id as usize >= vocab).collect();
        beyond.sort_unstable();
        beyond
            .into_iter()
            .partition(|id| !self.inner.get_added_vocabulary().get_added_tokens_decoder().contains_key(id))
    }
}

fn not_usable(path: PathBuf, error: &tokenizers::Error) -> CandleError {
    CandleError::Tokenizer { path, message: format!("not a tokenizer: {error}") }
}

/// Over vocabulary and rules, not over what is put around a text.
fn fingerprint(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<String> {
    let mut rules = tokenizer.clone();
    rules.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
    Ok(hex::encode(Sha256::digest(rules.to_string(false)?)))
}

/// Whether a token has a text, from what the tokenizer decodes it to. A token that cannot be decoded may have one.
fn is_spelled(decoded: tokenizers::Result<String>) -> bool {
    decoded.map_or(true, |text| !text.trim().is_empty())
}

impl Tokenizer for HfTokenizer {
    fn encode(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        self.encode_marked(&Marked::words(text), false)
    }

    fn spell(&self, state: &mut SpellState, token: Token, bytes: &mut Vec<u8>) -> Result<(), TokenizerError> {
        // Ids that only fill up the model's output matrix have no text.
        let Some(spelled) = self.inner.id_to_token(token) else { return Ok(()) };
        if self.inner.get_added_vocabulary().is_special_token(&spelled) {
            return Ok(());
        }
        self.spelling.spell(state, spelled, bytes).map_err(TokenizerError::Refused)
    }

    fn is_control(&self, token: Token) -> bool {
        self.control.contains(&token)
    }

    fn continued(&self) -> SpellState {
        self.spelling.continued()
    }

    fn encode_continued(&self, text: &str) -> Result<Vec<Token>, TokenizerError> {
        let Some(continued) = &self.continued else { return self.encode(text) };
        let encoding = self.encoding_with(continued.edges(), &Marked::words(text), false, OffsetType::None)?;
        Ok(encoding.get_ids().to_vec())
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_cannot_be_decoded_counts_as_spelled() {
        assert!(is_spelled(Ok("</s>".to_owned())) && !is_spelled(Ok(" ".to_owned())));
        assert!(is_spelled(Err("no such token".into())));
        assert!(is_spelled(catch_panics(|| panic!("the decoder"))));
    }
}
