//! The kind `llama`: SentencePiece. Of neighbouring pieces those are joined first whose whole has the best score.

use super::{Role, Rules, Value, Vocabulary};
use crate::CandleError;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The longest piece that is read, in bytes: each is cut in every place to see what it is made of.
const LONGEST: usize = 1024;
/// SentencePiece's blank.
const BLANK: &str = "\u{2581}";

pub(super) fn rules(vocabulary: &Vocabulary<'_>) -> Result<Rules, CandleError> {
    let gguf = vocabulary.gguf;
    if let Some((id, piece, _)) = vocabulary.ids().find(|(_, piece, _)| piece.len() > LONGEST) {
        let expected = format!("tokens of at most {LONGEST} bytes; token {id} has {}", piece.len());
        return Err(gguf.wrong("tokenizer.ggml.tokens", &expected));
    }
    let merges = merges(vocabulary, scores(vocabulary)?);
    let blank = gguf.flag("tokenizer.ggml.add_space_prefix", true)?;
    let replaced = json!({"type": "Replace", "pattern": {"String": " "}, "content": BLANK});
    let prepended = blank.then(|| json!({"type": "Prepend", "prepend": BLANK}));
    let normalizers: Vec<Json> = prepended.into_iter().chain([replaced]).collect();
    let back = json!({"type": "Replace", "pattern": {"String": BLANK}, "content": " "});
    let stripped = blank.then(|| json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    let decoders = [back, json!({"type": "ByteFallback"}), json!({"type": "Fuse"})].into_iter().chain(stripped);
    Ok(Rules {
        model: json!({
            "type": "BPE", "dropout": null, "unk_token": unknown(vocabulary)?, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": vocabulary.ordinary(), "merges": merges,
        }),
        normalizer: json!({"type": "Sequence", "normalizers": normalizers}),
        pre_tokenizer: Json::Null,
        decoder: json!({"type": "Sequence", "decoders": decoders.collect::<Vec<_>>()}),
        begins: true,
    })
}

fn scores<'a>(vocabulary: &Vocabulary<'a>) -> Result<&'a [f64], CandleError> {
    const KEY: &str = "tokenizer.ggml.scores";
    let count = vocabulary.tokens.len();
    match vocabulary.gguf.value(KEY) {
        Some(Value::Numbers(scores)) if scores.len() == count && !scores.iter().any(|score| score.is_nan()) => {
            Ok(scores)
        }
        _ => Err(vocabulary.gguf.wrong(KEY, &format!("a list of {count} numbers, one for each token"))),
    }
}

/// What stands for a character that has neither a piece nor bytes. Without it, such a character would vanish.
fn unknown<'a>(vocabulary: &Vocabulary<'a>) -> Result<Option<&'a str>, CandleError> {
    let by_role = || vocabulary.ids().find(|(_, _, role)| *role == Role::Unknown).map(|(_, token, _)| token);
    if let Some(token) = vocabulary.named("unknown_token_id")?.map(|(_, token)| token).or_else(by_role) {
        return Ok(Some(token));
    }
    let spelled = |byte: u8| format!("<0x{byte:02X}>");
    let known = |byte: u8| vocabulary.tokens.contains(&spelled(byte));
    match (0..=255).find(|byte| !known(*byte)) {
        None => Ok(None),
        Some(byte) => {
            let expected = format!("an unknown token, or a token for every byte; {} is missing", spelled(byte));
            Err(vocabulary.gguf.wrong("tokenizer.ggml.unknown_token_id", &expected))
        }
    }
}

/// A way to make a piece of two others.
struct Merge<'a> {
    score: f64,
    left: &'a str,
    right: &'a str,
    lengths: (usize, usize),
}

/// Every way to make a piece of two, the best score first; of equals the longer left part, then the longer right part.
fn merges(vocabulary: &Vocabulary<'_>, scores: &[f64]) -> Vec<Json> {
    let pieces = || vocabulary.ids().filter(|(_, _, role)| *role == Role::Normal);
    let ids: BTreeMap<&str, usize> = pieces().map(|(id, piece, _)| (piece, id)).collect();
    let mut all: Vec<Merge<'_>> = Vec::new();
    for (id, piece, _) in pieces() {
        let cuts = piece.char_indices().skip(1).map(|(at, _)| piece.split_at(at));
        let mut own: Vec<_> = cuts.filter_map(|(a, b)| Some(((*ids.get(a)?, *ids.get(b)?), a, b))).collect();
        own.sort_unstable_by_key(|(ids, _, _)| *ids);
        let lengths = |a: &str, b: &str| (a.chars().count(), b.chars().count());
        let merge = |(_, left, right)| Merge { score: scores[id], left, right, lengths: lengths(left, right) };
        all.extend(own.into_iter().map(merge));
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.lengths.cmp(&a.lengths)));
    all.into_iter().map(|merge| json!([merge.left, merge.right])).collect()
}
