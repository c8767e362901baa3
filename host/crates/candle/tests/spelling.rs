//! The bytes of single tokens, joined, are the text that the library decodes from all of them, wherever that text is valid;
//! later tokens change nothing.

mod common;

use common::golden;
use inferenceguard_candle::{CandleError, HfTokenizer};
use inferenceguard_model::{GrowingText, SpellState, Token, Tokenizer};
use proptest::prelude::*;
use std::{fs, path::Path, sync::LazyLock};

/// A tokenizer of ours and the library's.
struct Both {
    name: String,
    ours: HfTokenizer,
    library: tokenizers::Tokenizer,
}

impl Both {
    fn read(name: &str, path: &Path) -> Result<Self, CandleError> {
        let library = tokenizers::Tokenizer::from_file(path).expect("a tokenizer");
        Ok(Self { name: name.to_owned(), ours: HfTokenizer::read(path)?, library })
    }

    /// The library's own text.
    fn decoded(&self, tokens: &[Token]) -> String {
        self.library.decode(tokens, true).expect("the library decodes")
    }

    /// Each token's own bytes.
    fn spelled(&self, tokens: &[Token]) -> Vec<Vec<u8>> {
        let mut state = SpellState::default();
        let one = |token: &Token| {
            let mut bytes = Vec::new();
            self.ours.spell(&mut state, *token, &mut bytes).expect("it spells");
            bytes
        };
        tokens.iter().map(one).collect()
    }

    fn check(&self, tokens: &[Token]) {
        let place = || format!("{} {tokens:?}", self.name);
        let bytes = self.spelled(tokens).concat();
        if let Ok(text) = std::str::from_utf8(&bytes) {
            assert_eq!(text, self.decoded(tokens), "{}", place());
        }
        assert_eq!(self.ours.decode(tokens).expect("it decodes"), String::from_utf8_lossy(&bytes), "{}", place());
        let (mut text, mut before) = (GrowingText::default(), String::new());
        for token in tokens {
            text.push(&self.ours, *token).expect("it spells");
            assert!(text.text().starts_with(&before), "{}: {:?} after {before:?}", place(), text.text());
            text.text().clone_into(&mut before);
        }
    }
}

/// Every folder of golden models.
static GOLDEN: LazyLock<Vec<Both>> = LazyLock::new(|| {
    let folders = fs::read_dir(golden("llama1").parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let with = folders.map(|folder| folder.join("tokenizer.json")).filter(|path| path.exists());
    with.map(|path| Both::read(&path.display().to_string(), &path).unwrap()).collect()
});

/// `llama1` with another decoder.
fn with_decoder(decoder: &str) -> Result<Both, CandleError> {
    let mut about: serde_json::Value =
        serde_json::from_slice(&fs::read(golden("llama1").join("tokenizer.json")).unwrap()).unwrap();
    about["decoder"] = serde_json::from_str(decoder).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    fs::write(&path, about.to_string()).unwrap();
    Both::read(decoder, &path)
}

const SPACES: &str = r#"{"type":"Replace","pattern":{"String":"▁"},"content":" "}"#;

/// Decoders that are followed, beside those of the golden models.
static OTHERS: LazyLock<Vec<Both>> = LazyLock::new(|| {
    let sequence = |parts: &[&str]| format!(r#"{{"type":"Sequence","decoders":[{}]}}"#, parts.join(","));
    let (bytes, fuse) = (r#"{"type":"ByteFallback"}"#, r#"{"type":"Fuse"}"#);
    let strip = r#"{"type":"Strip","content":" ","start":3,"stop":0}"#;
    let space = r#"{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}"#;
    let all = [
        "null".to_owned(),
        sequence(&[SPACES, bytes, fuse]),
        sequence(&[SPACES, bytes, fuse, strip]),
        sequence(&[r#"{"type":"Replace","pattern":{"Regex":"[▁e]"},"content":"<>"}"#, bytes]),
        sequence(&[&sequence(&[bytes, space]), fuse]),
        space.to_owned(),
        space.replace("always", "never"),
        r###"{"type":"WordPiece","prefix":"##","cleanup":true}"###.to_owned(),
        r#"{"type":"WordPiece","prefix":"▁","cleanup":false}"#.to_owned(),
    ];
    all.iter().map(|decoder| with_decoder(decoder).unwrap()).collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_tokens(tokens in prop::collection::vec(0u32..560, 0..24)) {
        GOLDEN.iter().chain(OTHERS.iter()).for_each(|both| both.check(&tokens));
    }

    /// Mostly valid text, with special tokens and ids beyond the vocabulary, cut anywhere.
    #[test]
    fn texts_cut_anywhere(text in "[ a-z▁é東😀\u{FFFD}.,'\n]{0,24}", cut in 0usize..40, other in prop::sample::select(vec![0u32, 1, 2, 3, 99_999])) {
        for both in GOLDEN.iter().chain(OTHERS.iter()) {
            let mut tokens = both.ours.encode(&text).unwrap();
            tokens.insert(cut.min(tokens.len()), other);
            both.check(&tokens);
            both.check(&tokens[..cut.min(tokens.len())]);
        }
    }

    /// An answer of whole tokens, as it goes on from a prompt, is cut into the same tokens again.
    #[test]
    fn what_goes_on_is_cut_as_it_was_written(text in "[ a-zé東😀.,\n]{0,24}") {
        for both in GOLDEN.iter() {
            let tokens = both.ours.encode_continued(&text).unwrap();
            let grown = GrowingText::continued(&both.ours).with(&both.ours, &tokens).unwrap();
            prop_assert_eq!(grown.text(), &text, "{}", &both.name);
        }
    }
}

#[test]
fn there_are_golden_tokenizers_of_both_kinds() {
    let llama = |both: &&Both| both.ours.id("<0xF0>").is_some();
    let count = GOLDEN.iter().filter(llama).count();
    assert!(count > 5 && GOLDEN.len() - count > 5, "{count} of {}", GOLDEN.len());
}

#[test]
fn one_more_byte_takes_no_character_back() {
    for both in GOLDEN.iter() {
        let tokens = both.ours.encode("A😀😀").unwrap();
        let mut text = GrowingText::default();
        let mut seen = vec![];
        for token in &tokens[..tokens.len() - 1] {
            text.push(&both.ours, *token).unwrap();
            seen.push(text.text().to_owned());
        }
        assert_eq!(text.text(), "A😀", "{}: {seen:?}", both.name);
        assert_eq!(both.spelled(&tokens).concat(), "A😀😀".as_bytes(), "{}", both.name);
    }
}

#[test]
fn an_answer_without_a_space_is_cut_without_one() {
    let [llama, qwen] =
        ["llama1", "qwen2"].map(|name| HfTokenizer::read(&golden(name).join("tokenizer.json")).unwrap());
    let [with, without] = [llama.encode("the").unwrap(), llama.encode_continued("the").unwrap()];
    assert_ne!(with, without);
    let text_of = |tokens: &[Token]| GrowingText::continued(&llama).with(&llama, tokens).unwrap().text().to_owned();
    assert_eq!([text_of(&with), text_of(&without)], [" the", "the"]);
    assert_eq!(llama.encode_continued(" the").unwrap(), with);
    assert_eq!(
        [&with, &without].map(|tokens| llama.decode(tokens).unwrap()),
        ["the", "the"],
        "a text begins with no space"
    );
    assert_eq!(qwen.encode("the").unwrap(), qwen.encode_continued("the").unwrap());
}

#[test]
fn decoders_that_look_ahead_are_refused_by_name() {
    let strip = r#"{"type":"Strip","content":" ","start":0,"stop":1}"#;
    let fused = |after: &str| format!(r#"{{"type":"Sequence","decoders":[{{"type":"Fuse"}},{after}]}}"#);
    let ctc = r#"{"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true}"#;
    let refused = [
        (ctc.to_owned(), "CTC"),
        (r#"{"type":"BPEDecoder","suffix":"</w>"}"#.to_owned(), "BPE"),
        (fused(strip), "Strip"),
        (fused(SPACES), "Replace"),
        (strip.replace("\"start\":0,\"stop\":1", "\"start\":1,\"stop\":0"), "Strip"),
    ];
    for (decoder, named) in refused {
        let Err(error) = with_decoder(&decoder) else { panic!("{decoder} is followed") };
        let error = error.to_string();
        assert!(error.contains(named) && error.contains("token by token") && error.contains("expected"), "{error}");
    }
}
