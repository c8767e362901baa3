//! What the tests of this cost share: prices and finds, by class.

#![allow(dead_code, reason = "each test binary uses its own part")]

use inferenceguard_guest::{BatchDouble, Cost, RowDouble, Setup, Value};
use pattern_cost::PatternCost;

pub(crate) const CLASSES: [&str; 6] = ["email", "phone", "card", "iban", "key", "secret"];

/// Charges 1 for the class at 0, 100 for that at 1, 10,000 for that at 2, and so on.
pub(crate) fn by_class() -> PatternCost {
    let weights = CLASSES.iter().enumerate().map(|(at, name)| (*name, Value::Number(100_f64.powi(at as i32))));
    PatternCost::with_settings(&weights.collect::<Vec<_>>()).unwrap()
}

pub(crate) fn prices(before: &str, pieces: &[&str]) -> Vec<f64> {
    prices_of(RowDouble::default().with_text(pieces).after(before))
}

fn prices_of(row: RowDouble) -> Vec<f64> {
    by_class().price(&BatchDouble::of([row]), 0).unwrap()
}

/// The classes that a price stands for, each as often as it was found.
pub(crate) fn classes(price: f64) -> Vec<&'static str> {
    let mut rest = price as u64;
    let mut found = Vec::new();
    for class in CLASSES {
        found.extend(std::iter::repeat_n(class, (rest % 100) as usize));
        rest /= 100;
    }
    found
}

/// What a text costs in one piece.
pub(crate) fn finds(text: &str) -> Vec<&'static str> {
    classes(prices("", &[text])[0])
}

/// What a text costs chunk by chunk; each chunk ends at one of the cuts (in characters), and no chunk sees more of the
/// text before it than the cost asks for.
pub(crate) fn finds_in_chunks(text: &str, cuts: &[usize]) -> Vec<&'static str> {
    let chunks = RowDouble::chunks(text, cuts, &by_class().needs());
    classes(chunks.into_iter().map(|chunk| prices_of(chunk)[0]).sum())
}
