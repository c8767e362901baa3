//! The tokenizer in a GGUF file, as the tokenizer.json that the tensor library's companion reads.
//!
//! Two kinds are read: `gpt2`, pairs of bytes merged in order, and `llama`, SentencePiece with scores and single bytes for
//! what the vocabulary lacks. Every other kind, and every pre-tokenizer that is not listed, is refused by its name.

mod bytes;
mod pieces;
mod vocabulary;
mod words;

use super::{Gguf, Value};
use crate::CandleError;
use serde_json::Value as Json;
use vocabulary::{Role, Vocabulary};

/// The kinds that are read.
const KINDS: [&str; 2] = ["gpt2", "llama"];

/// Control tokens with these names end an answer or a turn, whatever model they are of.
const ENDS: [&str; 8] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<end_of_utterance>",
];

/// Keys of the tokenizer that are read, or say nothing about tokens.
const UNDERSTOOD: [&str; 15] = [
    "model",
    "pre",
    "tokens",
    "token_type",
    "token_type_count",
    "scores",
    "merges",
    "add_bos_token",
    "add_eos_token",
    "add_sep_token",
    "add_space_prefix",
    "remove_extra_whitespaces",
    "treat_whitespace_as_suffix",
    "escape_whitespaces",
    "precompiled_charsmap",
];

/// The parts of a tokenizer.json that differ by kind.
struct Rules {
    model: Json,
    normalizer: Json,
    pre_tokenizer: Json,
    decoder: Json,
    /// Whether a text begins with the beginning token unless the metadata say otherwise.
    begins: bool,
}

impl Gguf {
    /// What tokenizer.json would hold; `None` if the metadata have no tokenizer.
    ///
    /// # Errors
    /// [`CandleError::Field`] naming the key that is missing, unknown or contradicts another.
    pub(crate) fn tokenizer(&self) -> Result<Option<Json>, CandleError> {
        const KEY: &str = "tokenizer.ggml.model";
        let kind = match self.value(KEY) {
            None => return Ok(None),
            Some(Value::Text(kind)) if KINDS.contains(&kind.as_str()) => kind,
            Some(_) => {
                return Err(self.wrong(KEY, &format!("{}; or a tokenizer.json beside the file", KINDS.join(", "))));
            }
        };
        self.refuse_charsmap()?;
        let vocabulary = Vocabulary::of(self)?;
        let rules = if kind == "gpt2" { bytes::rules(&vocabulary)? } else { pieces::rules(&vocabulary)? };
        vocabulary.file(rules).map(Some)
    }

    /// Whether the tokenizer.json beside the file, which spells tokens like this, has the same tokens.
    ///
    /// # Errors
    /// [`CandleError::OtherTokens`] naming the first that differs. Tokens that only fill up the vocabulary may differ, and
    /// so may SentencePiece's sign for a blank.
    pub(crate) fn same_tokens(&self, beside: impl Fn(u32) -> Option<String>) -> Result<(), CandleError> {
        const KEY: &str = "tokenizer.ggml.tokens";
        if self.value(KEY).is_none() {
            return Ok(());
        }
        let plain = |token: &str| token.replace('\u{2581}', " ");
        for (id, token, role) in Vocabulary::of(self)?.ids() {
            let other = beside(id as u32);
            if role == Role::Unused || other.as_deref().is_some_and(|other| plain(other) == plain(token)) {
                continue;
            }
            let value = other.map_or("no token".to_owned(), |other| format!("{other:?}"));
            return Err(CandleError::OtherTokens { gguf: self.path.clone(), id, metadata: token.to_owned(), value });
        }
        Ok(())
    }

    /// Keys of the tokenizer that are not understood here.
    pub(crate) fn unknown_keys(&self) -> impl Iterator<Item = &str> {
        let keys = self.first.header.metadata.keys().filter_map(|key| key.strip_prefix("tokenizer.ggml."));
        // An id that names a token changes no other.
        keys.filter(|key| !UNDERSTOOD.contains(key) && !key.ends_with("_token_id"))
    }

    /// How a token of the metadata's vocabulary is spelled.
    pub(crate) fn token(&self, id: u32) -> Option<&str> {
        match self.value("tokenizer.ggml.tokens") {
            Some(Value::Texts(tokens)) => tokens.get(id as usize).map(String::as_str),
            _ => None,
        }
    }

    /// The tokens that end an answer, with the key that says so: those that the metadata name, and control tokens whose
    /// names are those of ends everywhere, as llama.cpp takes them.
    ///
    /// # Errors
    /// [`CandleError::Field`] for a value that is not a token's id.
    pub(crate) fn ends(&self) -> Result<Vec<(u32, &'static str)>, CandleError> {
        const NAMED: [&str; 3] =
            ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
        let mut ends = Vec::new();
        for key in NAMED {
            match self.value(key) {
                None => {}
                Some(Value::Whole(id)) if u32::try_from(*id).is_ok() => ends.push((*id as u32, key)),
                Some(_) => return Err(self.wrong(key, "a token's id")),
            }
        }
        let by_name = self.controls().filter(|(_, token)| ENDS.contains(token));
        ends.extend(by_name.map(|(id, _)| (id as u32, "tokenizer.ggml.tokens")));
        Ok(ends)
    }

    /// Control tokens with their ids.
    fn controls(&self) -> impl Iterator<Item = (usize, &str)> {
        let lists = match (self.value("tokenizer.ggml.tokens"), self.value("tokenizer.ggml.token_type")) {
            (Some(Value::Texts(tokens)), Some(Value::Wholes(types))) => (tokens.as_slice(), types.as_slice()),
            _ => (&[][..], &[][..]),
        };
        let both = lists.0.iter().map(String::as_str).zip(lists.1).enumerate();
        both.filter(|(_, (_, number))| Role::of(**number) == Some(Role::Control)).map(|(id, (token, _))| (id, token))
    }

    fn texts(&self, key: &str) -> Result<&[String], CandleError> {
        match self.value(key) {
            Some(Value::Texts(texts)) => Ok(texts),
            _ => Err(self.wrong(key, "a list of texts")),
        }
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, CandleError> {
        match self.value(key) {
            None => Ok(default),
            Some(Value::Flag(flag)) => Ok(*flag),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// Texts that are changed before they are split would be changed in a way that is not read here.
    fn refuse_charsmap(&self) -> Result<(), CandleError> {
        const MAP: &str = "tokenizer.ggml.precompiled_charsmap";
        const BLANKS: &str = "tokenizer.ggml.remove_extra_whitespaces";
        const SUFFIX: &str = "tokenizer.ggml.treat_whitespace_as_suffix";
        const ESCAPES: &str = "tokenizer.ggml.escape_whitespaces";
        let empty = match self.value(MAP) {
            None => true,
            Some(Value::Wholes(bytes)) => bytes.is_empty(),
            Some(_) => false,
        };
        if !empty {
            return Err(self.wrong(MAP, "absent; put the model's tokenizer.json beside the file"));
        }
        for (key, plain) in [(BLANKS, false), (SUFFIX, false), (ESCAPES, true)] {
            if self.flag(key, plain)? != plain {
                return Err(self.wrong(key, &format!("{plain}; put the model's tokenizer.json beside the file")));
            }
        }
        Ok(())
    }
}
