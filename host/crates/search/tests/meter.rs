//! Prices of what another engine writes.

use inferenceguard_search::*;
use inferenceguard_testkit::roles::{self, Recursion, constraint, row_cost};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

fn config(max_tokens: u32, granularity: Granularity) -> SearchConfig {
    let letters = PricedConstraint { granularity, ..constraint("letters", "letters", 1.5) };
    SearchConfig { max_tokens, task: None, ..roles::config(letters) }
}

type Shown = Arc<Mutex<Vec<(String, String)>>>;

/// One for every `x` in the new text; keeps what it was shown.
fn letters(needs: Needs, shown: Shown) -> Box<dyn Cost> {
    row_cost(needs, move |row| {
        shown.lock().expect("one thread").push((row.lookback.clone(), row.text.clone()));
        assert_eq!(row.text_ends, [row.text.chars().count() as u32]);
        vec![row.text.matches('x').count() as f64]
    })
}

fn meter(max_tokens: u32, granularity: Granularity) -> Result<(Meter, Shown), SearchError> {
    let shown = Shown::default();
    let needs = Needs { text: true, lookback: 8, ..Needs::default() };
    let costs = BTreeMap::from([("letters".to_owned(), letters(needs, Arc::clone(&shown)))]);
    Ok((Meter::new(&config(max_tokens, granularity), Box::new(Recursion), costs, "ask")?, shown))
}

fn piece(bytes: &[u8], ended: bool) -> Piece {
    Piece { token: 1, bytes: bytes.to_vec(), logprob: None, ended }
}

#[test]
fn costs_see_a_character_once_when_it_is_whole() {
    let (mut meter, shown) = meter(100, Granularity::Token).expect("it can be enforced");
    for bytes in [&b"A\xF0\x9F"[..], b"\x98", b"\x80x\xE2", b"b"] {
        // What is only weighed leaves no trace.
        meter.weigh(&[piece(b"x", false), piece(b"\x80", true)]);
        assert!(meter.accept(&piece(bytes, false)).safe);
    }
    let all = shown.lock().expect("one thread").clone();
    let accepted: Vec<_> = all.chunks(3).map(|asked| asked[2].clone()).collect();
    let seen = |before: &str, new: &str| (before.to_owned(), new.to_owned());
    assert_eq!(accepted, [seen("", "A"), seen("A", ""), seen("A", "😀x"), seen("A😀x", "\u{FFFD}b")]);
    assert_eq!(meter.standing().margins, [0.5]);
}

#[test]
fn what_comes_after_the_end_or_beyond_the_most_tokens_is_unsafe() {
    let (mut meter, _) = self::meter(3, Granularity::Token).expect("it can be enforced");
    assert!(meter.accept(&piece(b"a", false)).safe && meter.accept(&piece(b"b", true)).safe);
    assert!(!meter.weigh(&[piece(b"c", false)])[0].safe);
    assert!(!meter.accept(&piece(b"c", false)).safe && !meter.standing().safe);
    let (mut meter, _) = self::meter(3, Granularity::Chunk).expect("it can be enforced");
    let safe: Vec<bool> = (0..4).map(|_| meter.accept(&piece(b"a", false)).safe).collect();
    assert_eq!(safe, [true, true, true, false]);
}

#[test]
fn a_price_that_is_due_at_the_end_is_refused_by_name() {
    let error = meter(3, Granularity::Terminal).expect_err("it comes too late").to_string();
    assert!(["letters", "granularity", "terminal", "too late"].iter().all(|part| error.contains(part)), "{error}");
}

#[test]
fn costs_on_log_probabilities_keep_more_to_spare() {
    let meter = |budget: f64, logprobs: bool| {
        let cost = row_cost(Needs { logprobs, ..Needs::default() }, |_| vec![0.97]);
        let one = constraint("odd", "odd", budget);
        let config = SearchConfig { task: None, ..roles::config(one) };
        Meter::new(&config, Box::new(Recursion), BTreeMap::from([("odd".to_owned(), cost)]), "ask")
    };
    for (logprobs, safe) in [(false, true), (true, false)] {
        let mut meter = meter(1.0, logprobs).expect("a budget above its margin");
        let piece = Piece { logprob: Some(-1.0), ..piece(b"a", false) };
        assert_eq!(meter.accept(&piece).safe, safe, "0.03 of 2 is left, and 0.06 must be: {logprobs}");
    }
    assert!(meter(0.02, false).is_ok());
    let error = meter(0.02, true).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`odd`: budget") && error.contains("0.02"), "{error}");
}
