//! A tokenizer for texts that continue another text.
//!
//! Many tokenizers put a space before a text, so that its first word is encoded like any other word. An answer continues its
//! prompt: with that space, its text would not be encoded into the tokens that the model generated.

use serde_json::Value;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, Result, Tokenizer};

/// What such a tokenizer does to a text before it looks for tokens.
#[derive(Debug)]
pub(crate) struct Continued {
    normalizer: Option<NormalizerWrapper>,
    splitter: Option<PreTokenizerWrapper>,
}

impl Continued {
    /// The steps of this tokenizer without the space; `None` if it puts nothing before a text.
    pub(crate) fn of(tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let normalizer = tokenizer.get_normalizer().map(serde_json::to_value).transpose()?;
        let splitter = tokenizer.get_pre_tokenizer().map(serde_json::to_value).transpose()?;
        let (bare_normalizer, bare_splitter) = (normalizer.clone().and_then(bare), splitter.clone().and_then(bare));
        if (&bare_normalizer, &bare_splitter) == (&normalizer, &splitter) {
            return Ok(None);
        }
        let normalizer = bare_normalizer.map(serde_json::from_value).transpose()?;
        Ok(Some(Self { normalizer, splitter: bare_splitter.map(serde_json::from_value).transpose()? }))
    }

    /// The normalizer and the splitter, in the order in which they are used.
    pub(crate) fn edges(&self) -> (Option<&NormalizerWrapper>, Option<&PreTokenizerWrapper>) {
        (self.normalizer.as_ref(), self.splitter.as_ref())
    }
}

/// A normalizer or pre-tokenizer that puts nothing before a text; `None` if it did nothing else.
fn bare(mut step: Value) -> Option<Value> {
    match step["type"].as_str() {
        Some("Prepend") => return None,
        Some("Metaspace") => {
            step["prepend_scheme"] = "never".into();
            step.as_object_mut()?.remove("add_prefix_space");
        }
        Some("ByteLevel") => step["add_prefix_space"] = false.into(),
        Some("Sequence") => {
            for parts in ["normalizers", "pretokenizers"] {
                if let Some(Value::Array(steps)) = step.get_mut(parts) {
                    *steps = std::mem::take(steps).into_iter().filter_map(bare).collect();
                }
            }
        }
        _ => {}
    }
    Some(step)
}
