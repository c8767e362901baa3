//! The kind `gpt2`: a text's bytes, as letters, merged pair by pair.

use super::{Rules, Value, Vocabulary, words::PreTokenizer};
use crate::CandleError;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

pub(super) fn rules(vocabulary: &Vocabulary<'_>) -> Result<Rules, CandleError> {
    let gguf = vocabulary.gguf;
    let words = words(vocabulary)?;
    let known: BTreeSet<&str> = vocabulary.tokens.iter().map(String::as_str).collect();
    let merges: Vec<&str> = gguf.texts("tokenizer.ggml.merges")?.iter().map(String::as_str).collect();
    if let Some(merge) = merges.iter().find(|merge| pair(merge).is_none()) {
        let expected = format!("pairs of tokens with a blank between them; {merge:?} is none");
        return Err(gguf.wrong("tokenizer.ggml.merges", &expected));
    }
    // A pair of what is not a token is never merged: its result could not be generated.
    let useful =
        |(a, b): (&str, &str)| known.contains(a) && known.contains(b) && known.contains(format!("{a}{b}").as_str());
    let merges: Vec<&str> = merges.into_iter().filter(|merge| pair(merge).is_some_and(useful)).collect();
    let blank = gguf.flag("tokenizer.ggml.add_space_prefix", false)?;
    Ok(Rules {
        model: json!({
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": words.whole_words, "vocab": vocabulary.ordinary(), "merges": merges,
        }),
        normalizer: if words.composed { json!({"type": "NFC"}) } else { Json::Null },
        pre_tokenizer: words.json(blank),
        decoder: json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
        begins: words.begins,
    })
}

/// How texts come apart. A file that does not say is refused: with the wrong words a model reads other tokens than those it
/// was trained on.
fn words(vocabulary: &Vocabulary<'_>) -> Result<&'static PreTokenizer, CandleError> {
    const KEY: &str = "tokenizer.ggml.pre";
    let words = match vocabulary.gguf.value(KEY) {
        Some(Value::Text(name)) => PreTokenizer::of(name),
        _ => None,
    };
    let expected = || format!("one of {}; or a tokenizer.json beside the file", PreTokenizer::names());
    words.ok_or_else(|| vocabulary.gguf.wrong(KEY, &expected()))
}

fn pair(merge: &str) -> Option<(&str, &str)> {
    let (a, b) = merge.split_once(' ')?;
    (!a.is_empty() && !b.is_empty() && !b.contains(' ')).then_some((a, b))
}
