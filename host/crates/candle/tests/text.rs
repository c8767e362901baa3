//! Tokenizers and chat templates do what the reference does.

mod common;

use common::{about, copy, golden};
use inferenceguard_candle::{CandleModel, HfTokenizer, LoadOptions, TemplateChoice};
use inferenceguard_model::{Message, ModelError};
use inferenceguard_model::{Model, Tokenizer};

const MODELS: [&str; 7] = ["llama1", "llama3-rope", "llama3-tied", "qwen2", "qwen3", "mistral-window", "gemma3"];

fn load(name: &str, template: TemplateChoice) -> CandleModel {
    CandleModel::load(&golden(name), &LoadOptions { template, ..LoadOptions::default() }).unwrap()
}

#[test]
fn chat_templates_render_as_the_reference() {
    for name in MODELS {
        let about = about(name);
        let messages: Vec<Message> = serde_json::from_value(about["messages"].clone()).unwrap();
        let expected: Vec<u32> = serde_json::from_value(about["chat_tokens"].clone()).unwrap();
        let found = load(name, TemplateChoice::Auto).encode_chat(&messages).unwrap();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn texts_survive_encoding() {
    for name in MODELS {
        let about = about(name);
        let text = about["text"].as_str().unwrap();
        let tokenizer = HfTokenizer::read(&golden(name).join("tokenizer.json")).unwrap();
        let tokens = tokenizer.encode(text).unwrap();
        assert_eq!(tokenizer.decode(&tokens).unwrap(), about["decoded"].as_str().unwrap());
        // A cut character shows as U+FFFD and changes nothing before it.
        for n in 1..tokens.len() {
            let part = tokenizer.decode(&tokens[..n]).unwrap();
            assert!(text.starts_with(part.trim_end_matches('\u{fffd}')), "{name}: {part:?}");
        }
        assert_eq!(tokenizer.decode(&[100_000]).unwrap(), "", "ids that only pad a vocabulary have no text");
    }
}

#[test]
fn special_tokens_and_ends() {
    let llama = load("llama1", TemplateChoice::Auto);
    assert_eq!(llama.info().eos, [2]);
    assert_eq!(llama.info().special, [0, 1, 2]);
    assert_eq!(llama.generation_config().sampling.temperature, Some(0.7));
    assert_eq!(llama.tokenizer().decode(&[1, 2]).unwrap(), "");
}

#[test]
fn a_template_may_refuse() {
    let model = load("llama1", TemplateChoice::Auto);
    let wrong = [Message::user("a"), Message::user("b")];
    let error = model.encode_chat(&wrong).unwrap_err();
    assert!(matches!(error, ModelError::Conversation(_)));
    assert!(error.to_string().contains("alternate"), "{error}");
}

#[test]
fn beaver_and_formats() {
    let model = load("llama1", TemplateChoice::Beaver);
    let expected = "BEGINNING OF CONVERSATION: USER: Hi ASSISTANT:";
    let tokens = model.encode_prompt("Hi").unwrap();
    assert_eq!(tokens[0], 1, "the tokenizer's beginning token comes first");
    assert_eq!(model.tokenizer().decode(&tokens).unwrap(), expected);
    let turn = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    let turns = [turn("user", "Hi"), turn("assistant", "Ho"), turn("user", "He")];
    let tokens = model.encode_chat(&turns).unwrap();
    assert_eq!(tokens.iter().filter(|t| **t == 2).count(), 1, "the earlier answer is closed");
    assert!(model.encode_chat(&turns[..2]).is_err());
    assert!(model.encode_chat(&[turn("system", "x")]).is_err());

    let model = load("llama1", TemplateChoice::Format("Human: {prompt} Assistant:".into()));
    let tokens = model.encode_prompt("Hi").unwrap();
    assert_eq!(model.tokenizer().decode(&tokens).unwrap(), "Human: Hi Assistant:");
    assert!(model.encode_chat(&turns).is_err());
}

#[test]
fn fingerprints_tell_tokenizers_apart() {
    let read = |name: &str| HfTokenizer::read(&golden(name).join("tokenizer.json")).unwrap().fingerprint();
    assert_eq!(read("llama1"), read("mistral-window"));
    assert_ne!(read("llama1"), read("score-llama-cost"), "one more special token");
    assert_ne!(read("llama1"), read("qwen2"));
}

#[test]
fn fingerprints_tell_models_apart() {
    let name = |folder: &std::path::Path| {
        CandleModel::load(folder, &LoadOptions::default()).unwrap().info().fingerprint.clone()
    };
    let same = copy("llama1");
    assert_eq!(name(same.path()), name(&golden("llama1")));
    let path = same.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 4;
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_ne!(name(same.path()), name(&golden("llama1")));
}
