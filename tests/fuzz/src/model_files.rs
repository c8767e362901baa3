//! The JSON files of a model folder: refused in words, or a model that reads a prompt.

use crate::golden::{self, Files};
use inferenceguard_candle::{HfTokenizer, ModelFiles};
use inferenceguard_model::Model;
use serde_json::{Value, json};

const NAMES: [&str; 5] =
    [golden::CONFIG, golden::GENERATION, golden::TOKENIZER_CONFIG, golden::SPECIAL_TOKENS, golden::ADDED_TOKENS];

/// The first byte chooses the file.
pub fn run(bytes: &[u8]) {
    let Some((name, rest)) = bytes.split_first() else { return };
    let name = NAMES[usize::from(*name) % NAMES.len()];
    let files = golden::with(name, rest);
    match name {
        golden::SPECIAL_TOKENS => special(files, rest),
        golden::ADDED_TOKENS => added(files, rest),
        _ => golden::load_and_run(files),
    }
}

/// The end token that the file spells ends an answer.
fn special(files: Files, bytes: &[u8]) {
    let tokenizer = tokenizer(&files);
    let Ok(mut model) = golden::load(files) else { return };
    let map: Value = serde_json::from_slice(bytes).expect("a model whose file was read");
    let end = map["eos_token"].as_str().or(map["eos_token"]["content"].as_str()).filter(|end| !end.is_empty());
    if let Some(end) = end {
        let id = tokenizer.as_ref().and_then(|tokenizer| tokenizer.id(end));
        assert!(id.is_some_and(|id| model.info().eos.contains(&id)), "{end:?} does not end an answer");
    }
    if let Some(tokens) = golden::prompt(&model) {
        golden::step(&mut model, &tokens);
    }
}

/// Every token has the id that the file gives it, and the model reads no token that it does not have.
fn added(files: Files, bytes: &[u8]) {
    if let Some(tokenizer) = tokenizer(&files) {
        let named: Value = serde_json::from_slice(bytes).expect("a tokenizer whose file was read");
        for (token, id) in named.as_object().into_iter().flatten() {
            let found = tokenizer.id(token).map(u64::from);
            assert_eq!(found, id.as_u64(), "{token:?} has another id than the file says");
        }
    }
    let Ok(mut model) = golden::load(files) else { return };
    let Some(tokens) = golden::prompt(&model) else { return };
    let vocabulary = model.info().vocab;
    let has = tokens.iter().take(golden::READ).all(|token| (*token as usize) < vocabulary);
    let read = golden::step(&mut model, &tokens);
    assert!(has || !read, "the model reads a token that it does not have: {tokens:?}");
}

fn tokenizer(files: &Files) -> Option<HfTokenizer> {
    HfTokenizer::of(&ModelFiles::memory("fuzzed", files.clone())).ok()
}

/// The golden files, keys they do not have, and files that they do not need.
pub fn seeds() -> Vec<Vec<u8>> {
    let golden = (0..).zip(&NAMES[..3]).map(|(at, name)| [vec![at], golden::file(name)].concat());
    let config = String::from_utf8(golden::file(golden::CONFIG)).expect("the golden file is text");
    let more = [
        "{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,\
         \"original_max_position_embeddings\":32},",
        "{\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.0},\"sliding_window\":16,\"use_sliding_window\":true,",
        "{\"num_local_experts\":8,\"quantization_config\":{},\"eos_token_id\":[1,2,3],",
    ];
    let configs = more.map(|keys| [b"\0", config.replacen('{', keys, 1).as_bytes()].concat());
    let sampling = "{\"do_sample\":true,\"temperature\":0.6,\"top_k\":20,\"top_p\":0.95,\"min_p\":0.05,\
                    \"repetition_penalty\":1.1,\"eos_token_id\":[1,0],\"suppress_tokens\":[3]}";
    let special = [
        "{\"eos_token\":\"<|im_end|>\",\"pad_token\":\"<|endoftext|>\"}",
        "{\"eos_token\":{\"content\":\"<|endoftext|>\",\"lstrip\":false,\"normalized\":false,\"rstrip\":false,\
         \"single_word\":false},\"bos_token\":null,\"additional_special_tokens\":[\"<|im_start|>\",\"<|im_end|>\"]}",
    ];
    let added = ["{\"<|im_end|>\":295,\"<|im_start|>\":294}", "{\"<tool>\":296,\"</tool>\":297}", "{\"user\":296}"];
    let text = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let other = others().into_iter().map(|(kind, keys)| text(kind, &changed(kind, &keys)));
    let tokens = special.map(|map| text(3, map)).into_iter().chain(added.map(|ids| text(4, ids)));
    golden.chain(configs).chain([text(1, sampling)]).chain(tokens).chain(other).collect()
}

/// Keys that take the place of a file's own: facts that several files have, in shapes that tools and versions write.
fn others() -> Vec<(u8, Value)> {
    let named = |name: &str| json!({"name": name, "template": "{{ messages[0].content }}"});
    vec![
        (0, json!({"rope_scaling": {}, "eos_token_id": -1})),
        (0, json!({"rope_scaling": {"factor": 4.0}, "eos_token_id": "<|im_end|>", "bos_token_id": 1e12})),
        (
            0,
            json!({"rope_scaling": {"type": "yarn", "rope_type": "linear", "factor": 2.0}, "eos_token_id": [295, 295, 9999]}),
        ),
        (0, json!({"rope_scaling": {"type": "su", "long_factor": [1.0], "short_factor": []}})),
        (0, json!({"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}, "rope_theta": null})),
        (0, json!({"vocab_size": 4_294_967_296_u64, "num_key_value_heads": 0, "head_dim": -8})),
        (0, json!({"num_hidden_layers": 1e3, "max_position_embeddings": 0, "tie_word_embeddings": "yes"})),
        (1, json!({"do_sample": false, "temperature": 0.0, "top_k": -1, "top_p": 1.0000001})),
        (1, json!({"temperature": null, "eos_token_id": "</s>", "max_length": 20, "transformers_version": "5.0"})),
        (1, json!({"temperature": 1e300, "min_p": -0.0, "repetition_penalty": 0})),
        (2, json!({"chat_template": [named("tool_use"), named("rag")]})),
        (2, json!({"chat_template": [named("rag"), named("default")], "eos_token": "<|endoftext|>"})),
        (
            2,
            json!({"chat_template": 7, "bos_token": {"content": "<|im_start|>", "lstrip": false}, "add_bos_token": true}),
        ),
        (
            2,
            json!({"added_tokens_decoder": {"295": {"content": "<|im_end|>", "special": false}, "-1": {"content": "x"}}}),
        ),
    ]
}

/// The golden file with other keys.
fn changed(kind: u8, keys: &Value) -> String {
    let golden = golden::file(NAMES[usize::from(kind)]);
    let mut file: Value = serde_json::from_slice(&golden).expect("the golden file is JSON");
    for (key, value) in keys.as_object().into_iter().flatten() {
        file[key] = value.clone();
    }
    file.to_string()
}
