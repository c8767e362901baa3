//! A text costs the same in one piece and chunk by chunk.

mod support;

use proptest::prelude::*;
use support::{cost, finds, finds_in_chunks};

const ENTRIES: &[&str] = &["kill", "kill you", "*bomb", "1488", "hate", "\u{81ea}\u{6bba}"];

/// Disguises and ordinary text. No word of it begins with an entry and goes on: that is charged where a chunk ends.
const PIECES: &[&str] = &[
    "kill",
    "k i l l",
    "k.i.l.l",
    "k1ll,",
    "kiiiiiiiiiiiiiiiill",
    "K\u{200b}I\u{ad}LL!",
    "kill you",
    "2kill2",
    "timebomb",
    "timebbbomb2",
    "1488",
    "14/88",
    "x1488x",
    "h8te hate h4te",
    "\u{4ed6}\u{60f3}\u{81ea}\u{6bba}\u{4e86}",
    "skill",
    "overskilled",
    "a b c d",
    "good 6.6.6 food",
    "14.88",
    "the rest of you",
    "?!... -- ",
];

#[test]
fn one_cut_anywhere_changes_nothing() {
    let cost = cost(ENTRIES);
    for piece in PIECES {
        for cut in 0..piece.chars().count() {
            assert_eq!(finds_in_chunks(&cost, piece, &[cut]), finds(&cost, piece), "{piece} cut at {cut}");
        }
    }
}

#[test]
fn one_character_a_chunk_changes_nothing() {
    let cost = cost(ENTRIES);
    for piece in PIECES {
        let cuts: Vec<usize> = (0..piece.chars().count()).collect();
        assert_eq!(finds_in_chunks(&cost, piece, &cuts), finds(&cost, piece), "{piece}");
    }
}

#[test]
fn repetition_and_padding_do_not_push_a_word_out_of_sight() {
    let cost = cost(ENTRIES);
    for filler in ["i", "1", "\u{200b}", "\u{ad}", "\u{301}"] {
        for times in [70, 400, 900] {
            let text = format!("ki{}ll", filler.repeat(times));
            for cut in [1, 30, 70, times, times + 2, times + 3] {
                assert_eq!(finds_in_chunks(&cost, &text, &[cut]), 1, "{times} times {filler:?}, cut at {cut}");
            }
        }
    }
}

#[test]
fn the_look_back_grows_with_the_entries() {
    let phrase = ["never", "say", "this"].repeat(40).join(" ");
    let text = phrase.replace("never", "nnneeevvveeerrr").replace(' ', "    ");
    let cost = cost(&[&phrase]);
    let chars = text.chars().count();
    assert!(chars > 1024, "{chars}");
    assert_eq!(finds(&cost, &text), 1);
    assert_eq!(finds_in_chunks(&cost, &text, &[chars - 1]), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn borders_change_nothing(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..12),
        cuts in prop::collection::vec(0..200_usize, 0..12),
    ) {
        let (cost, text) = (cost(ENTRIES), pieces.join("; and "));
        prop_assert_eq!(finds_in_chunks(&cost, &text, &cuts), finds(&cost, &text), "{}", text);
    }

    /// A border may end a word early, which is charged; it never hides one.
    #[test]
    fn borders_hide_nothing(
        text in "[kil1 .]{0,40}|[kil1 .youer,\u{200b}2]{0,60}|[1488 ./-]{0,30}",
        cuts in prop::collection::vec(0..60_usize, 0..5),
    ) {
        let cost = cost(&["kill", "kill you", "*ill", "li", "1488", "kil*"]);
        prop_assert!(finds_in_chunks(&cost, &text, &cuts) >= finds(&cost, &text), "{}", text);
    }
}
