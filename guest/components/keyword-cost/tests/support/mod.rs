//! What the tests of this cost share: a cost of weight 1 for each entry, and its prices.

#![allow(dead_code, reason = "each test binary uses its own part")]

use inferenceguard_guest::{BatchDouble, Cost, Need, RowDouble, Setup, Value};
use keyword_cost::KeywordCost;

pub(crate) fn configured(words: &[&str]) -> Result<KeywordCost, String> {
    let words = words.iter().map(|word| ((*word).to_owned(), 1.0)).collect();
    KeywordCost::with_settings(&[("words", Value::Weighted(words))])
}

pub(crate) fn cost(words: &[&str]) -> KeywordCost {
    configured(words).unwrap()
}

pub(crate) fn prices(cost: &KeywordCost, before: &str, pieces: &[&str]) -> Vec<f64> {
    cost.price(&BatchDouble::of([RowDouble::default().with_text(pieces).after(before)]), 0).unwrap()
}

/// How often the entries are found in one piece.
pub(crate) fn finds(cost: &KeywordCost, text: &str) -> u32 {
    prices(cost, "", &[text])[0] as u32
}

/// How often they are found chunk by chunk; each chunk ends at one of the cuts (in characters), and no chunk sees more of
/// the text before it than the cost asks for.
pub(crate) fn finds_in_chunks(cost: &KeywordCost, text: &str, cuts: &[usize]) -> u32 {
    let chars: Vec<char> = text.chars().collect();
    let far = cost.needs().iter().find_map(|need| match need {
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
        total += prices(cost, &before, &[&chunk])[0];
        from = end;
    }
    total as u32
}
