//! A text costs the same in one piece and chunk by chunk.

mod support;

use proptest::prelude::*;
use support::{finds, finds_in_chunks};

/// Every way to write a class, and ordinary text. None of them is complete before its end.
const PIECES: &[&str] = &[
    "jane.doe@example.org",
    "jo\u{ff20}exam\u{200b}ple.org",
    "+49 30 1234567",
    "+1 (555) 234-5678",
    "0041 44 123 45 67",
    "030 / 123 45 67",
    "\u{7535}\u{8bdd}030 1234567",
    "555-234-5678 / 555-345-6789",
    "in 2023 555-234-5678x9",
    "4111 1111 1111 1111",
    "4111\u{200b}1111 - 1111\n1111",
    "3782 822463 10005",
    "card5555555555554444",
    "DE89370400440532013000",
    "GB82 WEST 1234 5698 7654 32",
    "AKIAIOSFODNN7EXAMPLE",
    "token=ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "on 03/04/2021 at 10:30",
    "versions 1.2.3 and 2.0.0-rc.1",
    "0.25 0.50 0.75",
    "300 400 5000 people",
    "Use WD40 to free the rusty lock",
    "2023 2024 2025 2026",
    "\u{6211}\u{4eec}\u{8d70}\u{5427}\u{3002}",
];

#[test]
fn one_cut_anywhere_changes_nothing() {
    for piece in PIECES {
        for cut in 0..piece.chars().count() {
            assert_eq!(finds_in_chunks(piece, &[cut]), finds(piece), "{piece} cut at {cut}");
        }
    }
}

#[test]
fn one_character_a_chunk_changes_nothing() {
    for piece in PIECES {
        let cuts: Vec<usize> = (0..piece.chars().count()).collect();
        assert_eq!(finds_in_chunks(piece, &cuts), finds(piece), "{piece}");
    }
}

#[test]
fn invisible_padding_is_looked_through() {
    for padding in [1, 100, 400] {
        let text = format!("4111{}1111 1111 1111", "\u{200b}".repeat(padding));
        for cut in [4, 5, 4 + padding, 10 + padding] {
            assert_eq!(finds_in_chunks(&text, &[cut]), ["card"], "{padding} signs, cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn borders_change_nothing(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..10),
        cuts in prop::collection::vec(0..400_usize, 0..12),
    ) {
        let text = pieces.join(", and ");
        prop_assert_eq!(finds_in_chunks(&text, &cuts), finds(&text), "{}", text);
    }

    /// A border may show a shorter pattern, which is charged before it goes on; it never hides one.
    #[test]
    fn borders_hide_nothing(text in "[0-9 ./+()-]{0,60}|[0-9a-z@. -]{0,60}|[0-6 ]{0,60}|[A-Z]{2}[0-9 ]{20,40}", cuts in prop::collection::vec(0..60_usize, 0..5)) {
        prop_assert!(finds_in_chunks(&text, &cuts).len() >= finds(&text).len(), "{}", text);
    }
}
