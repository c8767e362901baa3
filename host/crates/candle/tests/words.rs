//! Scaffold and words are encoded apart, and ordinary words as `tokenizers` encodes them.

mod common;

use common::{copy, golden};
use inferenceguard_candle::{CandleError, CandleModel, HfTokenizer, LoadOptions, Marked};
use inferenceguard_model::{Message, Model, Token, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    texts: Vec<Vec<(String, String)>>,
    tokenizers: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    ids: Vec<Vec<Token>>,
    framed: Vec<Vec<Token>>,
    tokenizer: Value,
}

fn all() -> Golden {
    serde_json::from_slice(&std::fs::read(golden("encodings.json")).unwrap()).unwrap()
}

fn read(tokenizer: &Value) -> HfTokenizer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    HfTokenizer::read(&path).unwrap()
}

fn marked(parts: &[(String, String)]) -> Marked {
    parts.iter().fold(Marked::default(), |text, (kind, part)| match kind.as_str() {
        "words" => text.and_words(part),
        _ => text.and_scaffold(part),
    })
}

#[test]
fn ordinary_words_have_the_tokens_of_the_reference() {
    let golden = all();
    for case in &golden.tokenizers {
        let tokenizer = read(&case.tokenizer);
        for ((parts, ids), framed) in golden.texts.iter().zip(&case.ids).zip(&case.framed) {
            let text = marked(parts);
            assert_eq!(tokenizer.encode_marked(&text, false).unwrap(), *ids, "{}: {parts:?}", case.name);
            assert_eq!(tokenizer.encode_marked(&text, true).unwrap(), *framed, "{}: {parts:?}", case.name);
        }
    }
}

/// Ids that stand for no text: special ones, and added ones that are more than whitespace.
fn control(tokenizer: &Value) -> Vec<Token> {
    let added = tokenizer["added_tokens"].as_array().unwrap().iter();
    let spells = added.filter(|one| !one["content"].as_str().unwrap().trim().is_empty());
    spells.map(|one| one["id"].as_u64().unwrap() as Token).collect()
}

#[test]
fn words_become_no_control_token_whatever_they_spell() {
    for case in &all().tokenizers {
        let (tokenizer, control) = (read(&case.tokenizer), control(&case.tokenizer));
        let unknown = ["[UNK]", "<unk>"].into_iter().find_map(|name| tokenizer.id(name));
        let added = case.tokenizer["added_tokens"].as_array().unwrap();
        for spelled in added.iter().map(|one| one["content"].as_str().unwrap()) {
            for text in [spelled.to_owned(), format!("the{spelled}{spelled} is"), format!(" {spelled}\n")] {
                // Only what stands for unknown characters may come of it.
                let found = tokenizer.encode(&text).unwrap();
                let forged: Vec<&Token> =
                    found.iter().filter(|t| control.contains(t) && Some(**t) != unknown).collect();
                assert!(forged.is_empty(), "{}: {text:?} became {found:?}", case.name);
                // In the scaffold the same text is read as it is beside harmless words.
                let harmless: String = text.chars().map(|c| if c.is_whitespace() { c } else { 'e' }).collect();
                let count = |words: &str| {
                    let all = Marked::words(words).and_scaffold(spelled).and_words(words);
                    let found = tokenizer.encode_marked(&all, false).unwrap();
                    found.iter().filter(|t| control.contains(t) && Some(**t) != unknown).count()
                };
                assert_eq!(count(&text), count(&harmless), "{}: {text:?}", case.name);
            }
        }
    }
}

#[test]
fn words_and_scaffold_make_no_token_together() {
    for case in &all().tokenizers {
        let (tokenizer, control) = (read(&case.tokenizer), control(&case.tokenizer));
        let unknown = ["[UNK]", "<unk>"].into_iter().find_map(|name| tokenizer.id(name));
        for spelled in
            case.tokenizer["added_tokens"].as_array().unwrap().iter().map(|one| one["content"].as_str().unwrap())
        {
            for (at, _) in spelled.char_indices().skip(1) {
                let (left, right) = spelled.split_at(at);
                if left.trim().is_empty() || right.trim().is_empty() {
                    continue;
                }
                for text in [Marked::words(left).and_scaffold(right), Marked::scaffold(left).and_words(right)] {
                    let found = tokenizer.encode_marked(&text, false).unwrap();
                    let forged = found.iter().any(|t| control.contains(t) && Some(*t) != unknown);
                    assert!(!forged, "{}: {text:?} became {found:?}", case.name);
                }
            }
        }
    }
}

#[test]
fn a_text_that_is_encoded_says_the_same_again() {
    for name in ["llama1", "qwen2", "llama3-tied", "score-llama-cost"] {
        let tokenizer = HfTokenizer::read(&golden(name).join("tokenizer.json")).unwrap();
        for text in ["</s>", "a<|im_end|>b", "<s> <unk>", "hi<|eot|> x", "<pad>"] {
            let tokens = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&tokens).unwrap(), text, "{name}");
        }
    }
}

/// A golden folder whose tokenizer knows one token more than its model.
fn wide(pad: &str, template: Option<&str>) -> tempfile::TempDir {
    let folder = copy("llama1");
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let id = tokenizer["model"]["vocab"].as_object().unwrap().len();
    let token = serde_json::json!({"id": id, "content": pad, "special": true, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false});
    tokenizer["added_tokens"].as_array_mut().unwrap().push(token);
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    if let Some(template) = template {
        std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    }
    folder
}

#[test]
fn a_token_that_the_model_has_not_is_reported_at_once_and_never_asked_for() {
    let load = |folder: &tempfile::TempDir| CandleModel::load(folder.path(), &LoadOptions::default());
    let folder = wide("<pad>", None);
    let mut model = load(&folder).unwrap();
    assert!(model.warnings().iter().any(|one| one.contains("<pad>")), "{:?}", model.warnings());
    let tokens = model.encode_chat(&[Message::user("a <pad> b")]).unwrap();
    assert!(tokens.iter().all(|token| (*token as usize) < model.info().vocab));
    let (beam, _) = model.prefill(&tokens).unwrap();
    model.release(&[beam]);
    // A template that asks for it cannot work.
    let error = load(&wide("<pad>", Some("<pad>{{ messages[0].content }}"))).err().unwrap();
    assert!(matches!(error, CandleError::Tokenizer { .. }) && error.to_string().contains("<pad>"), "{error}");
}

#[test]
fn an_end_token_is_no_word_even_if_the_tokenizer_does_not_know_it_for_one() {
    let folder = copy("llama1");
    let plain = HfTokenizer::read(&folder.path().join("tokenizer.json")).unwrap();
    let text = "the kettle";
    let end = *plain.encode(text).unwrap().last().unwrap();
    std::fs::write(folder.path().join("generation_config.json"), format!("{{\"eos_token_id\": [2, {end}]}}")).unwrap();
    let model = CandleModel::load(folder.path(), &LoadOptions::default()).unwrap();
    let tokens = model.tokenizer().encode(text).unwrap();
    assert!(!tokens.contains(&end), "{tokens:?}");
    assert_eq!(model.tokenizer().decode(&tokens).unwrap(), text);
}
