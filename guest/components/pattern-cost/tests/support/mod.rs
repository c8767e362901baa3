//! What the tests of this cost share: prices and finds, by class.

#![allow(dead_code, reason = "each test binary uses its own part")]

use inferenceguard_guest::{BatchDouble, Cost, Need, RowDouble, Setup, Value};
use pattern_cost::PatternCost;

pub(crate) const CLASSES: [&str; 6] = ["email", "phone", "card", "iban", "key", "secret"];

/// Charges 1 for the class at 0, 100 for that at 1, 10,000 for that at 2, and so on.
pub(crate) fn by_class() -> PatternCost {
    let weights = CLASSES.iter().enumerate().map(|(at, name)| (*name, Value::Number(100_f64.powi(at as i32))));
    PatternCost::with_settings(&weights.collect::<Vec<_>>()).unwrap()
}

pub(crate) fn prices(before: &str, pieces: &[&str]) -> Vec<f64> {
    by_class().price(&BatchDouble::of([RowDouble::default().with_text(pieces).after(before)]), 0).unwrap()
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
    let chars: Vec<char> = text.chars().collect();
    let far = by_class().needs().iter().find_map(|need| match need {
        Need::Lookback(chars) => Some(*chars as usize),
        _ => None,
    });
    let mut ends: Vec<usize> = cuts.iter().map(|cut| (*cut).min(chars.len())).chain([chars.len()]).collect();
    ends.sort_unstable();
    let mut from = 0;
    let mut total = 0.0;
    for end in ends {
        let before: String = chars[from - from.min(far.unwrap())..from].iter().collect();
        let chunk: String = chars[from..end].iter().collect();
        total += prices(&before, &[&chunk])[0];
        from = end;
    }
    classes(total)
}
