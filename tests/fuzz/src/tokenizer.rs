//! Tokenizer files: refused in words, or they encode and decode without losing their place.

use crate::{bytes::parts, golden};
use inferenceguard_model::{GrowingText, Model};

/// A `tokenizer.json`, a zero, and a text to encode.
pub fn run(bytes: &[u8]) {
    let [file, text] = parts(bytes);
    let Ok(model) = golden::load(golden::with(golden::TOKENIZER, file)) else { return };
    let Ok(tokens) = model.encode_prompt(&String::from_utf8_lossy(text)) else { return };
    let tokenizer = model.tokenizer();
    let (mut growing, mut before) = (GrowingText::default(), String::new());
    for token in tokens {
        let Ok(()) = growing.push(&*tokenizer, token) else { return };
        assert!(growing.text().starts_with(&before), "text was taken back: {before:?} {:?}", growing.text());
        before = growing.text().to_owned();
    }
}

/// The golden tokenizer and those of other kinds, with texts that cut characters.
pub fn seeds() -> Vec<Vec<u8>> {
    let files = [
        golden::file(golden::TOKENIZER),
        include_bytes!("../../golden/llama2-gqa/tokenizer.json").to_vec(),
        include_bytes!("../../golden/gguf/beside.json").to_vec(),
    ];
    files.map(|file| [file, "\0naïve 東京 🙂 <|im_end|>".as_bytes().to_vec()].concat()).to_vec()
}
