//! A model of a few kilobytes whose files are replaced one at a time.

use inferenceguard_candle::{CandleError, CandleModel, LoadOptions, ModelFiles};
use inferenceguard_model::{Message, Model, Token};
use std::{borrow::Cow, collections::BTreeMap};

pub(crate) const TEMPLATE: &str = "chat_template.jinja";
pub(crate) const CONFIG: &str = "config.json";
pub(crate) const GENERATION: &str = "generation_config.json";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
pub(crate) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(crate) const SPECIAL_TOKENS: &str = "special_tokens_map.json";
pub(crate) const ADDED_TOKENS: &str = "added_tokens.json";

/// The most tokens of a prompt that a model reads.
pub(crate) const READ: usize = 64;

const FILES: [(&str, &[u8]); 6] = [
    (TEMPLATE, include_bytes!("../../golden/qwen3/chat_template.jinja")),
    (CONFIG, include_bytes!("../../golden/qwen3/config.json")),
    (GENERATION, include_bytes!("../../golden/qwen3/generation_config.json")),
    (WEIGHTS, include_bytes!("../../golden/qwen3/model.safetensors")),
    (TOKENIZER, include_bytes!("../../golden/qwen3/tokenizer.json")),
    (TOKENIZER_CONFIG, include_bytes!("../../golden/qwen3/tokenizer_config.json")),
];

pub(crate) type Files = BTreeMap<String, Cow<'static, [u8]>>;

pub(crate) fn files() -> Files {
    FILES.iter().map(|(name, bytes)| ((*name).to_owned(), Cow::Borrowed(*bytes))).collect()
}

/// The bytes of one file as it is.
pub(crate) fn file(name: &str) -> Vec<u8> {
    files()[name].to_vec()
}

/// The model with one file replaced.
pub(crate) fn with(name: &str, bytes: &[u8]) -> Files {
    let mut all = files();
    all.insert(name.to_owned(), bytes.to_vec().into());
    all
}

/// Loads a model and, where that succeeds, reads a conversation and takes one step with it.
pub(crate) fn load_and_run(files: Files) {
    if let Ok(mut model) = load(files) {
        let Some(tokens) = prompt(&model) else { return };
        let vocabulary = model.info().vocab;
        assert!(
            tokens.iter().all(|token| (*token as usize) < vocabulary),
            "a prompt beyond the vocabulary: {tokens:?}"
        );
        step(&mut model, &tokens);
    }
}

/// The tokens of a conversation.
pub(crate) fn prompt(model: &CandleModel) -> Option<Vec<Token>> {
    model.encode_chat(&[Message::user("How do I clean a kitchen knife?")]).ok()
}

/// Reads the beginning of a prompt and takes one step. Returns whether the model read it.
pub(crate) fn step(model: &mut CandleModel, tokens: &[Token]) -> bool {
    let read = model.prefill(&tokens[..tokens.len().min(READ)]);
    if let Ok((beam, rows)) = &read {
        let _ = model.project(rows);
        model.release(&[*beam]);
    }
    assert_eq!(model.live_beams(), 0, "a beam is left");
    read.is_ok()
}

pub(crate) fn load(files: Files) -> Result<CandleModel, CandleError> {
    CandleModel::load_files(&ModelFiles::memory("fuzzed", files), &LoadOptions::default())
}
