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
    // 3 % of 1 + 0.0309 is a little more than 0.0309, and 3 % of 1.031 a little less than 0.031.
    assert!(meter(0.0309, true).is_err() && meter(0.031, true).is_ok());
    let error = meter(0.02, true).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`odd`: budget") && error.contains("0.02"), "{error}");
}

#[test]
fn a_piece_without_a_log_probability_is_unsafe_under_a_cost_that_reads_it() {
    let surprise = row_cost(Needs { logprobs: true, ..Needs::default() }, |row| {
        assert!(row.logprobs.len() == 1 && row.logprobs[0].is_finite(), "{:?}", row.logprobs);
        vec![f64::from((-row.logprobs[0] - 3.0).max(0.0))]
    });
    let config = SearchConfig { task: None, ..roles::config(constraint("odd", "odd", 1.0)) };
    let costs = BTreeMap::from([("odd".to_owned(), surprise)]);
    let mut meter = Meter::new(&config, Box::new(Recursion), costs, "ask").expect("a budget above its margin");
    let known = |logprob| Piece { logprob, ..piece(b"a", false) };
    let all =
        [Some(-1.0), None, Some(f32::NAN), Some(f32::NEG_INFINITY), Some(-3.5), Some(-5.0), Some(0.7), Some(1e-6)];
    let all = all.map(known);
    let weighed = meter.weigh(&all);
    let safe: Vec<bool> = weighed.iter().map(|one| one.safe).collect();
    let expected = [true, false, false, false, true, false, false, true];
    assert_eq!(safe, expected, "those without one break beside the dear one; 0.7 is a probability, and 1e-6 rounding");
    assert!(weighed[1..4].iter().all(|one| one.margins == [f64::NEG_INFINITY]), "{weighed:?}");
    assert_eq!(weighed[4].margins, [0.5]);
    let [failure] = meter.failures() else { panic!("{:?}", meter.failures()) };
    assert_eq!((failure.component.as_str(), failure.kind.name()), ("odd", "given"));
    assert!(failure.to_string().contains("no log-probability; expected a finite"), "{failure}");
    // What is only weighed breaks nothing; what is accepted does, for good.
    assert!(meter.standing().safe && meter.accept(&all[0]).safe);
    assert!(!meter.accept(&all[1]).safe && !meter.accept(&all[0]).safe);
}

#[test]
fn the_sum_of_log_probabilities_is_that_of_the_answer_or_negative_infinity() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&seen);
    let sum = row_cost(Needs::default(), move |row| {
        shown.lock().expect("one thread").push(row.logprob);
        vec![0.0]
    });
    let config = SearchConfig { task: None, ..roles::config(constraint("odd", "odd", 1.0)) };
    let costs = BTreeMap::from([("odd".to_owned(), sum)]);
    let mut meter = Meter::new(&config, Box::new(Recursion), costs, "ask").expect("a budget above its margin");
    for logprob in [Some(-1.0), Some(-0.5), Some(f32::NAN), Some(-1.0)] {
        meter.accept(&Piece { logprob, ..piece(b"a", false) });
    }
    let unknown = f64::NEG_INFINITY;
    assert_eq!(*seen.lock().expect("one thread"), [-1.0, -1.5, unknown, unknown]);
}

#[test]
fn a_cost_on_text_needs_no_log_probability() {
    let (mut meter, _) = self::meter(3, Granularity::Token).expect("it can be enforced");
    assert!(meter.accept(&piece(b"a", false)).safe && meter.failures().is_empty());
}
