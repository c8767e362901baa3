//! A GGUF file with nothing beside it: its tokenizer, its template and every format of its tensors.

mod common;

use candle_core::{
    Device,
    quantized::gguf_file::{self, Value},
    safetensors,
};
use common::{distance, golden};
use inferenceguard_candle::{CandleError, CandleModel, HfTokenizer, Kernels, LoadOptions, ModelFiles, Prober};
use inferenceguard_model::{Model, Token, Tokenizer};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, HashMap},
    io::Cursor,
    path::{Path, PathBuf},
};

fn file() -> PathBuf {
    golden("gguf").join("mixed.gguf")
}

fn about() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(golden("gguf").join("golden.json")).unwrap()).unwrap()
}

fn ids(value: &serde_json::Value) -> Vec<Token> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn its_tokens_are_those_of_the_tokenizer_it_was_made_from() {
    let tokenizer = HfTokenizer::of(&ModelFiles::folder(&file())).unwrap();
    for case in about()["texts"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(tokenizer.encode_framed(text, false).unwrap(), ids(&case["tokens"]), "{text:?}");
    }
}

#[test]
fn its_template_and_its_ends_are_taken() {
    let model = CandleModel::load(&file(), &LoadOptions::default()).unwrap();
    let prompt = &about()["prompt"];
    assert_eq!(model.encode_prompt(prompt["user"].as_str().unwrap()).unwrap(), ids(&prompt["tokens"]));
    // The named one, and the other whose name is that of an end everywhere.
    assert_eq!(model.info().eos, [2, 0]);
    assert!(model.facts().all().iter().any(|fact| fact.name == "tokenizer" && fact.from == ["mixed.gguf"]));
}

#[test]
fn its_logits_are_those_of_the_reference() {
    let found = safetensors::load(golden("gguf").join("golden.safetensors"), &Device::Cpu).unwrap();
    let tokens: Vec<i64> = found["tokens"].to_vec1().unwrap();
    let tokens: Vec<Token> = tokens.into_iter().map(|token| token as Token).collect();
    let expected: Vec<f32> = found["logits"].flatten_all().unwrap().to_vec1().unwrap();
    let logits = |kernels| {
        let options = LoadOptions { kernels, ..LoadOptions::default() };
        let probe = Prober::load(&file(), &options).unwrap().run_tokens(tokens.clone()).unwrap();
        probe.logits.unwrap().data
    };
    let exact = distance(&logits(Kernels::Tensors), &expected);
    assert!(exact <= 1e-4, "{exact}");
    // What rounding x to bytes does.
    let rounded = distance(&logits(Kernels::Direct), &expected);
    assert!(rounded <= 0.05, "{rounded}");
}

/// A GGUF file with metadata and no tensors.
fn header(metadata: &[(&str, Value)]) -> ModelFiles {
    let mut bytes = Cursor::new(Vec::new());
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    gguf_file::write(&mut bytes, &metadata, &[]).unwrap();
    ModelFiles::memory("carried", BTreeMap::from([("model.gguf".to_owned(), bytes.into_inner().into())]))
}

fn texts<S: AsRef<str>>(texts: &[S]) -> Value {
    Value::Array(texts.iter().map(|text| Value::String(text.as_ref().to_owned())).collect())
}

fn wholes(numbers: &[i32]) -> Value {
    Value::Array(numbers.iter().map(|number| Value::I32(*number)).collect())
}

/// A tokenizer of SentencePiece: a piece, its score, its type.
struct Pieces(Vec<(String, f32, i32)>);

impl Pieces {
    fn new() -> Self {
        let mut pieces: Vec<(String, f32, i32)> =
            [("<unk>", 2), ("<s>", 3), ("</s>", 3)].map(|(text, kind)| (text.to_owned(), 0.0, kind)).into();
        pieces.extend((0..=255).map(|byte: u8| (format!("<0x{byte:02X}>"), 0.0, 6)));
        // Words in the order of how good they are; their beginnings too, so that there are several ways to each.
        let words = ["▁a", "ab", "▁ab", "abc", "bc", "▁t", "he", "▁the", "th", "▁th", "cc", "ccc", "é▁", "é▁a"];
        pieces.extend(words.iter().enumerate().map(|(i, word)| ((*word).to_owned(), -(i as f32), 1)));
        let letters = "▁abcthe.é".chars().map(|letter| (letter.to_string(), -100.0, 1));
        pieces.extend(letters);
        pieces.push(("<tool>".to_owned(), -1000.0, 4));
        Self(pieces)
    }

    fn metadata(&self) -> Vec<(&'static str, Value)> {
        let texts = texts(&self.0.iter().map(|(text, _, _)| text).collect::<Vec<_>>());
        let scores = Value::Array(self.0.iter().map(|(_, score, _)| Value::F32(*score)).collect());
        let types = wholes(&self.0.iter().map(|(_, _, kind)| *kind).collect::<Vec<_>>());
        vec![
            ("tokenizer.ggml.model", Value::String("llama".into())),
            ("tokenizer.ggml.tokens", texts),
            ("tokenizer.ggml.scores", scores),
            ("tokenizer.ggml.token_type", types),
            ("tokenizer.ggml.bos_token_id", Value::U32(1)),
            ("tokenizer.ggml.eos_token_id", Value::U32(2)),
            ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ]
    }

    /// SentencePiece by its definition: of all neighbours whose whole is a piece, the best is joined, the first of equals;
    /// text that is no piece in the end is spelled in bytes.
    fn encode(&self, text: &str) -> Vec<Token> {
        let normal: HashMap<&str, (Token, f32)> = (0..)
            .zip(&self.0)
            .filter(|(_, (_, _, kind))| *kind == 1)
            .map(|(id, (piece, score, _))| (piece.as_str(), (id, *score)))
            .collect();
        if text.is_empty() {
            return Vec::new();
        }
        let mut parts: Vec<String> = format!("▁{}", text.replace(' ', "▁")).chars().map(String::from).collect();
        loop {
            let score =
                |i: usize| normal.get(format!("{}{}", parts[i], parts[i + 1]).as_str()).map(|(_, score)| *score);
            let mut best: Option<(usize, f32)> = None;
            for (i, score) in (0..parts.len() - 1).filter_map(|i| Some((i, score(i)?))) {
                if best.is_none_or(|(_, most)| score > most) {
                    best = Some((i, score));
                }
            }
            let Some((i, _)) = best else { break };
            let right = parts.remove(i + 1);
            parts[i].push_str(&right);
        }
        let token = |part: &String| match normal.get(part.as_str()) {
            Some((id, _)) => vec![*id],
            None => part.bytes().map(|byte| 3 + Token::from(byte)).collect(),
        };
        parts.iter().flat_map(token).collect()
    }
}

#[test]
fn a_text_begins_as_the_metadata_say() {
    let framed = |more: &[(&'static str, bool)]| {
        let mut metadata = Pieces::new().metadata();
        metadata.extend(more.iter().map(|(key, flag)| (*key, Value::Bool(*flag))));
        HfTokenizer::of(&header(&metadata)).unwrap().encode_framed("ab", true).unwrap()
    };
    let ab = Pieces::new().encode("ab");
    assert_eq!(framed(&[]), [&[1], &ab[..]].concat());
    assert_eq!(framed(&[("tokenizer.ggml.add_bos_token", false)]), ab);
    assert_eq!(framed(&[("tokenizer.ggml.add_eos_token", true)]), [&[1], &ab[..], &[2]].concat());
    assert_ne!(framed(&[("tokenizer.ggml.add_space_prefix", false)])[1..], ab);
}

proptest! {
    #[test]
    fn sentence_pieces_are_those_of_the_definition(text in "[abcthe .é東\n🙂]{0,24}") {
        let pieces = Pieces::new();
        let tokenizer = HfTokenizer::of(&header(&pieces.metadata())).unwrap();
        let tokens = tokenizer.encode_framed(&text, false).unwrap();
        prop_assert_eq!(&tokens, &pieces.encode(&text));
        prop_assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
    }
}

/// The metadata of a golden tokenizer.json of bytes, and that file with these words instead of its own.
fn bytes_of(
    name: &str,
    pre: &str,
    normalizer: serde_json::Value,
    words: serde_json::Value,
) -> (ModelFiles, HfTokenizer) {
    let read = std::fs::read(golden(name).join("tokenizer.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&read).unwrap();
    json["pre_tokenizer"] = words;
    json["normalizer"] = normalizer;
    json["model"]["ignore_merges"] = (pre == "llama-bpe").into();
    let mut tokens: BTreeMap<u64, (String, i32)> = BTreeMap::new();
    for (token, id) in json["model"]["vocab"].as_object().unwrap() {
        tokens.insert(id.as_u64().unwrap(), (token.clone(), 1));
    }
    for added in json["added_tokens"].as_array().unwrap() {
        tokens.insert(added["id"].as_u64().unwrap(), (added["content"].as_str().unwrap().to_owned(), 3));
    }
    let (tokens, types): (Vec<_>, Vec<_>) = tokens.into_values().unzip();
    let merge = |merge: &serde_json::Value| match merge.as_array() {
        Some(pair) => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        None => merge.as_str().unwrap().to_owned(),
    };
    let merges: Vec<String> = json["model"]["merges"].as_array().unwrap().iter().map(merge).collect();
    let files = header(&[
        ("tokenizer.ggml.model", Value::String("gpt2".into())),
        ("tokenizer.ggml.pre", Value::String(pre.into())),
        ("tokenizer.ggml.tokens", texts(&tokens)),
        ("tokenizer.ggml.token_type", wholes(&types)),
        ("tokenizer.ggml.merges", texts(&merges)),
    ]);
    let file = BTreeMap::from([("tokenizer.json".to_owned(), json.to_string().into_bytes().into())]);
    (files, HfTokenizer::of(&ModelFiles::memory("expected", file)).unwrap())
}

fn split(regex: &str) -> serde_json::Value {
    serde_json::json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
    ]})
}

/// As the models' own tokenizer.json have them: the name in GGUF files, the normaliser, the words.
fn known() -> Vec<(&'static str, serde_json::Value, serde_json::Value)> {
    let plain =
        serde_json::json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    let digits = serde_json::json!({"type": "Digits", "individual_digits": true});
    let common = r"[^\r\n\p{L}\p{N}]?\p{L}+|NUMBERS| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let contracted = format!("(?i:'s|'t|'re|'ve|'m|'ll|'d)|{common}");
    vec![
        ("gpt-2", serde_json::Value::Null, plain.clone()),
        ("smollm", serde_json::Value::Null, serde_json::json!({"type": "Sequence", "pretokenizers": [digits, plain]})),
        ("llama-bpe", serde_json::Value::Null, split(&contracted.replace("NUMBERS", r"\p{N}{1,3}"))),
        ("qwen2", serde_json::json!({"type": "NFC"}), split(&contracted.replace("NUMBERS", r"\p{N}"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bytes_are_merged_as_by_the_models_own_files(
        text in r"((the|kettle|KETTLE|'S|'ll|cat's|\u{301}|é|e|1|23456|[ \t\n]|\PC|<\|eot\|>|<\|im_end\|>)){0,16}",
    ) {
        for (pre, normalizer, words) in known() {
            for name in ["llama3-tied", "qwen2"] {
                let (files, expected) = bytes_of(name, pre, normalizer.clone(), words.clone());
                let found = HfTokenizer::of(&files).unwrap().encode_framed(&text, false).unwrap();
                prop_assert_eq!(found, expected.encode_framed(&text, false).unwrap(), "{} {}", name, pre);
            }
        }
    }
}

/// The metadata of a tokenizer, changed.
fn refused(change: impl FnOnce(&mut BTreeMap<&'static str, Value>)) -> CandleError {
    let mut metadata: BTreeMap<&'static str, Value> = Pieces::new().metadata().into_iter().collect();
    change(&mut metadata);
    HfTokenizer::of(&header(&metadata.into_iter().collect::<Vec<_>>())).err().expect("it was read")
}

#[test]
fn what_is_not_understood_is_refused_by_its_name() {
    let text = |text: &str| Value::String(text.into());
    let count = Pieces::new().0.len();
    let twins = {
        let mut pieces = Pieces::new();
        pieces.0[270].0 = "ab".to_owned();
        pieces.metadata().remove(1).1
    };
    let long = {
        let mut pieces = Pieces::new();
        pieces.0[270].0 = "a".repeat(1025);
        pieces.metadata().remove(1).1
    };
    let cases: Vec<(&'static str, Value, &str)> = vec![
        ("tokenizer.ggml.model", text("rwkv"), "gpt2, llama"),
        ("tokenizer.ggml.model", Value::U32(1), "gpt2, llama"),
        ("tokenizer.ggml.tokens", wholes(&[1]), "a list of texts"),
        ("tokenizer.ggml.tokens", twins, "every token once"),
        ("tokenizer.ggml.tokens", long, "at most 1024 bytes"),
        ("tokenizer.ggml.scores", Value::Array(vec![Value::F32(0.0)]), "one for each token"),
        ("tokenizer.ggml.scores", Value::Array(vec![Value::F32(f32::NAN); count]), "one for each token"),
        ("tokenizer.ggml.token_type", wholes(&[1, 2]), "whole numbers"),
        ("tokenizer.ggml.token_type", wholes(&vec![9; count]), "from 1 to 6"),
        ("tokenizer.ggml.bos_token_id", Value::U32(100_000), "an id below"),
        ("tokenizer.ggml.unknown_token_id", Value::I32(-5), "an id below"),
        ("tokenizer.ggml.add_bos_token", text("yes"), "true or false"),
        ("tokenizer.ggml.remove_extra_whitespaces", Value::Bool(true), "tokenizer.json"),
        ("tokenizer.ggml.treat_whitespace_as_suffix", Value::Bool(true), "tokenizer.json"),
        ("tokenizer.ggml.escape_whitespaces", Value::Bool(false), "tokenizer.json"),
        ("tokenizer.ggml.precompiled_charsmap", Value::Array(vec![Value::U8(1)]), "tokenizer.json"),
    ];
    for (key, value, expected) in cases {
        let error = refused(|metadata| drop(metadata.insert(key, value)));
        assert!(matches!(&error, CandleError::Field { field, .. } if field == key), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn words_of_an_unknown_kind_are_refused_by_their_name() {
    let (files, _) = bytes_of("qwen2", "superbpe", serde_json::Value::Null, split(r"\s"));
    let error = HfTokenizer::of(&files).err().unwrap().to_string();
    assert!(error.contains("superbpe") && error.contains("smollm") && error.contains("tokenizer.json"), "{error}");
    // Without a name as well: with other words a model reads other tokens.
    let error = refused(|metadata| drop(metadata.insert("tokenizer.ggml.model", Value::String("gpt2".into()))));
    assert!(matches!(&error, CandleError::Field { field, .. } if field == "tokenizer.ggml.pre"), "{error}");
}

/// The golden file in a folder of its own.
fn alone() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(file(), folder.path().join("mixed.gguf")).unwrap();
    folder
}

fn load(folder: &Path) -> Result<CandleModel, CandleError> {
    CandleModel::load(&folder.join("mixed.gguf"), &LoadOptions::default())
}

#[test]
fn a_tokenizer_beside_the_file_must_have_its_tokens() {
    let folder = alone();
    let path = folder.path().join("tokenizer.json");
    std::fs::copy(golden("qwen2").join("tokenizer.json"), &path).unwrap();
    let error = load(folder.path()).err().unwrap();
    assert!(matches!(&error, CandleError::OtherTokens { .. }), "{error}");
    std::fs::copy(golden("gguf").join("beside.json"), &path).unwrap();
    let model = load(folder.path()).unwrap();
    assert!(model.facts().all().iter().any(|fact| fact.name == "tokenizer" && fact.from == ["tokenizer.json"]));
}

#[test]
fn a_config_json_that_names_no_architecture_says_nothing() {
    let folder = alone();
    std::fs::write(folder.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
    let model = load(folder.path()).unwrap();
    assert!(model.facts().all().iter().any(|fact| fact.name == "architecture" && fact.from == ["mixed.gguf"]));
}
