//! What the tests of this cost share: a cost of weight 1 for each entry, and its prices.

#![allow(dead_code, reason = "each test binary uses its own part")]

use inferenceguard_guest::{BatchDouble, Cost, RowDouble, Setup, Value};
use keyword_cost::KeywordCost;

pub(crate) fn configured(words: &[&str]) -> Result<KeywordCost, String> {
    let words = words.iter().map(|word| ((*word).to_owned(), 1.0)).collect();
    KeywordCost::with_settings(&[("words", Value::Weighted(words))])
}

pub(crate) fn cost(words: &[&str]) -> KeywordCost {
    configured(words).unwrap()
}

pub(crate) fn prices(cost: &KeywordCost, before: &str, pieces: &[&str]) -> Vec<f64> {
    prices_of(cost, RowDouble::default().with_text(pieces).after(before))
}

fn prices_of(cost: &KeywordCost, row: RowDouble) -> Vec<f64> {
    cost.price(&BatchDouble::of([row]), 0).unwrap()
}

/// How often the entries are found in one piece.
pub(crate) fn finds(cost: &KeywordCost, text: &str) -> u32 {
    prices(cost, "", &[text])[0] as u32
}

/// How often they are found chunk by chunk; each chunk ends at one of the cuts (in characters), and no chunk sees more of
/// the text before it than the cost asks for.
pub(crate) fn finds_in_chunks(cost: &KeywordCost, text: &str, cuts: &[usize]) -> u32 {
    let chunks = RowDouble::chunks(text, cuts, &cost.needs());
    chunks.into_iter().map(|chunk| prices_of(cost, chunk)[0]).sum::<f64>() as u32
}
