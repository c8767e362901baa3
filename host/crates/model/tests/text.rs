//! Text that grows: later tokens never change earlier text, and a character counts once.

use inferenceguard_model::{ByteText, GrowingText, toy::ToyScript};
use proptest::prelude::*;

/// Bytes that make characters, parts of characters and nonsense.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let whole = ["A", " ", "é", "東", "😀", "\u{FFFD}"].map(|text| text.as_bytes().to_vec());
    let part = prop_oneof![prop::sample::select(whole.to_vec()), any::<u8>().prop_map(|byte| vec![byte])];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn however_bytes_are_cut_the_text_is_theirs(bytes in bytes(), cuts in prop::collection::vec(0usize..4, 24)) {
        let (mut text, mut rest) = (ByteText::default(), bytes.as_slice());
        let mut before = String::new();
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (now, after) = rest.split_at(cut.min(rest.len()));
            text.push(now);
            rest = after;
            prop_assert!(text.text().starts_with(&before), "{:?} after {before:?}", text.text());
            before = text.text().to_owned();
        }
        let cut = if text.pending().is_empty() { "" } else { "\u{FFFD}" };
        prop_assert_eq!(format!("{}{cut}", text.text()), String::from_utf8_lossy(&bytes));
        prop_assert!(text.pending().len() < 4);
    }
}

#[test]
fn a_character_comes_with_its_last_byte_and_what_cannot_become_one_is_replaced_once() {
    let mut text = ByteText::default();
    let mut after = |bytes: &[u8]| {
        text.push(bytes);
        (text.text().to_owned(), text.pending().len())
    };
    assert_eq!(after(b"A\xF0\x9F"), ("A".into(), 2));
    assert_eq!(after(b"\x98\x80\xE2"), ("A😀".into(), 1));
    assert_eq!(after(b"B"), ("A😀\u{FFFD}B".into(), 0));
    assert_eq!(after("\u{FFFD}".as_bytes()), ("A😀\u{FFFD}B\u{FFFD}".into(), 0));
}

#[test]
fn tokens_have_their_places_in_the_text() {
    let tokenizer = ToyScript::parse("vocab: <eos>* ba +d é\n after : ba 1").expect("parses").tokenizer();
    let mut text = GrowingText::default();
    for token in [1, 2, 3, 0] {
        text.push(tokenizer.as_ref(), token).expect("known");
    }
    assert_eq!(text.text(), "bad é");
    assert_eq!((0..=4).map(|tokens| text.of_first(tokens)).collect::<Vec<_>>(), ["", "ba", "bad", "bad é", "bad é"]);
    assert_eq!(text.of_range(1, 4), ("d é", vec![1, 3, 3]));
    assert_eq!(text.of_range(2, 2), ("", vec![]));
    let fork = text.clone();
    assert!(text.push(tokenizer.as_ref(), 9).is_err());
    assert_eq!(text, fork, "what is not in the vocabulary appends nothing");
}
