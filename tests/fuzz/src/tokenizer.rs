//! Tokenizer files: refused in words, or they encode and decode without losing their place.

use crate::{bytes::parts, golden};
use inferenceguard_candle::{HfTokenizer, ModelFiles};
use inferenceguard_model::{GrowingText, Token, Tokenizer};
use serde_json::{Value, json};

const LLAMA: &[u8] = include_bytes!("../../golden/llama2-gqa/tokenizer.json");

/// A `tokenizer.json`, a zero, and a text to encode.
pub fn run(bytes: &[u8]) {
    let [file, text] = parts(bytes);
    let files = golden::with(golden::TOKENIZER, file);
    let tokenizer = HfTokenizer::of(&ModelFiles::memory("fuzzed", files.clone()));
    let text = String::from_utf8_lossy(text);
    if let Ok(tokenizer) = tokenizer {
        let unknown = unknown(file, &tokenizer);
        for tokens in [tokenizer.encode(&text), tokenizer.encode_continued(&text)].into_iter().flatten() {
            let control = tokens.iter().find(|token| tokenizer.is_control(**token) && Some(**token) != unknown);
            assert_eq!(control, None, "words became a control token");
            grows(&tokenizer, &tokens);
        }
    }
    // A tokenizer with more tokens than the model has is refused here.
    golden::load_and_run(files);
}

/// What stands for characters that the vocabulary does not have.
fn unknown(file: &[u8], tokenizer: &HfTokenizer) -> Option<Token> {
    let file: Value = serde_json::from_slice(file).unwrap_or_default();
    let model = &file["model"];
    let id = || model["unk_id"].as_u64().and_then(|id| Token::try_from(id).ok());
    model["unk_token"].as_str().and_then(|spelled| tokenizer.id(spelled)).or_else(id)
}

fn grows(tokenizer: &HfTokenizer, tokens: &[Token]) {
    let (mut growing, mut before) = (GrowingText::default(), String::new());
    for token in tokens {
        let Ok(()) = growing.push(tokenizer, *token) else { return };
        assert!(growing.text().starts_with(&before), "text was taken back: {before:?} {:?}", growing.text());
        before = growing.text().to_owned();
    }
}

/// The golden tokenizer and those of other kinds, with texts that cut characters, join them, and spell control tokens.
pub fn seeds() -> Vec<Vec<u8>> {
    let files = [
        golden::file(golden::TOKENIZER),
        LLAMA.to_vec(),
        include_bytes!("../../golden/gguf/beside.json").to_vec(),
        // Bytes alone decide, and a space at the beginning stays.
        changed(&[("decoder", json!({"type": "ByteFallback"}))]),
        // Nothing joins the tokens.
        changed(&[("decoder", Value::Null), ("normalizer", Value::Null)]),
        // A control token that is found after normalisation, and a token of whitespace.
        changed(&[(
            "added_tokens",
            json!([
                {"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                 "special": true},
                {"id": 2, "content": "</s>", "single_word": false, "lstrip": true, "rstrip": true, "normalized": true,
                 "special": false},
                {"id": 325, "content": "\n\n", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
                 "special": false}
            ]),
        )]),
    ];
    let text = "\0naïve 東京 🙂 <|im_end|></s> 👩\u{200d}👩\u{200d}👧🙂🙂 e\u{301} \u{fffd}\n\n\u{fffd}".as_bytes();
    files.map(|file| [file.as_slice(), text].concat()).to_vec()
}

/// The tokenizer with byte tokens, with these keys in place of its own.
fn changed(keys: &[(&str, Value)]) -> Vec<u8> {
    let mut file: Value = serde_json::from_slice(LLAMA).expect("the golden file is JSON");
    keys.iter().for_each(|(key, value)| file[*key] = value.clone());
    file.to_string().into_bytes()
}
