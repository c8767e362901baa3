//! The cost `keyword-cost`: words, phrases and whole numbers with weights, charged at the token that completes them.
//!
//! Text is compared after compatibility decomposition and case folding, without Latin accents, ornament and invisible
//! characters, so that full-width letters or a soft hyphen hide nothing. A word is also found when its letters are
//! spaced out, separated by punctuation, repeated, or replaced by look-alikes, whichever of the Latin, Cyrillic and Greek
//! alphabets they and the list are of; but only as a whole word. Text that U+202E turns round is read both ways. Digits beside
//! a word, and letters beside a number, do not hide it; scripts without spaces (Chinese, Japanese, Thai ...) have no
//! whole words: an entry is found anywhere in them. An entry is refused if it could not be found, or only by ignoring some of
//! its signs.
//!
//! The end of the new text counts as the end of a word. This may charge `ass` before it is known that `asset` follows; waiting
//! would leave the last word of an answer uncharged. So a border between chunks may add a match, and never hides one.
//!
//! Not found by design, because ordinary words would be charged or the work would have no bound:
//! - words in longer ones without `*`: other forms, compounds (`killSwitch`), particles of Korean, Turkish and others;
//! - other spellings by sound, transposed or missing letters, letters on several lines as a picture, words in other
//!   scripts than the list, beyond the look-alikes that `look_alikes` in `fold.rs` lists (Cyrillic, Greek, Armenian, digits);
//! - `I` for `l`, and `l` for `I`, in words of one case throughout (`KIII`), and words that are shown in another order by a
//!   direction sign other than U+202E, or by a sign before the text that is read;
//! - letters with more than 4 different separators in a row between them, with spaces between some only (`ki ll`), or
//!   in a row that goes on by two letters or more (`k i l l e r`);
//! - short words (3 letters or less) and those with digits for letters within codes of letters and digits (`7a55b2`),
//!   and look-alikes other than letters in entries of one or two letters, or two digits at the start (`45s`);
//! - a number as part of another (`1488` in `14.88`), or among single digits;
//! - matches of more than 6 symbols for each letter and 4 more, repetitions beyond the third aside, and matches that
//!   began more than 1,024 characters (or 6 for each letter of the longest entry) before the new text.
//!
//! False matches: spaced-out words with one more letter (`h e l l o` for `hell`), `aß` for `ass`,
//! words of another alphabet that look the same (`pot` for the Russian `рот`), and numbers of another meaning.
//!
//! Every request configures the list again: 20,000 entries take some 25 ms of it, 40,000 need more than the usual limit `fuel`.
//! A list of more than a few hundred entries is best kept in a file (`lists` in the bundle's manifest).

mod edge;
mod fold;
mod pattern;
mod reader;
mod symbol;

use edge::GAP;
use inferenceguard_guest::{BatchView, Cost, CostGrain, CostKind, Description, Need, Passage, RoleError, Settings};
use inferenceguard_guest::{Setup, Span, Value, describe, register_cost, why};
use pattern::Pattern;
use reader::STRETCH;
use std::collections::BTreeMap;
use symbol::Symbol;

/// Charged characters read before the new ones, at least: a match may hold any number of repeated or invisible ones.
const LOOKBACK: usize = 1024;

/// The word list, compiled.
#[derive(Debug)]
pub struct KeywordCost {
    patterns: Vec<Pattern>,
    weights: Vec<f64>,
    /// The entries as the operator wrote them.
    entries: Vec<String>,
    /// Patterns by what their first letter looks like.
    index: BTreeMap<char, Vec<usize>>,
    /// The most symbols that a match has.
    reach: usize,
}

impl Setup for KeywordCost {
    fn describe() -> Description {
        describe!("Charges for words and phrases.").setting(
            "words",
            Value::Weighted(Vec::new()),
            "Words, phrases and whole numbers with the cost of each occurrence, at least 0; `*` at the start or end of an \
             entry lets a word go on.",
        )
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let (mut patterns, mut weights, mut index) = (Vec::new(), Vec::new(), BTreeMap::<char, Vec<usize>>::new());
        let mut entries = Vec::new();
        for (text, weight) in settings.weighted("words")? {
            if weight < 0.0 {
                return Err(format!("setting `words` gives `{text}` the weight {weight}; expected at least 0"));
            }
            let pattern = Pattern::parse(&text)?;
            for key in symbol::keys(pattern.first()) {
                index.entry(key).or_default().push(patterns.len());
            }
            patterns.push(pattern);
            weights.push(weight);
            entries.push(text);
        }
        let longest = patterns.iter().map(|pattern| pattern.letters).max().unwrap_or(0);
        Ok(Self { patterns, weights, entries, index, reach: STRETCH * longest + GAP + 1 })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Text, Need::Lookback(LOOKBACK.max(self.reach) as u32)]
    }
}

impl Cost for KeywordCost {
    fn kind(&self) -> CostKind {
        CostKind::Safety
    }

    fn grain(&self) -> CostGrain {
        CostGrain::Token
    }

    fn price(&self, rows: &dyn BatchView, row: u32) -> Result<Vec<f64>, RoleError> {
        let before: Vec<char> = rows.lookback(row)?.chars().collect();
        let from = self.first_in_reach(&symbol::symbols(&before));
        let note = |token, span: &Span| why::note(row, token, &self.entries[span.pattern]);
        Ok(Passage::read(rows, row)?.noted_prices(|chars| self.find(chars, from), note))
    }
}

impl KeywordCost {
    /// The first character of charged text with which a match may begin that ends after it.
    fn first_in_reach(&self, charged: &[Symbol]) -> usize {
        charged.len().checked_sub(self.reach).map_or(0, |first| charged[first].at)
    }

    /// All occurrences that begin at character `from` or later, as the text stands and as it is shown where it is turned
    /// round; each once.
    fn find(&self, chars: &[char], from: usize) -> Vec<Span> {
        let mut spans = self.in_order(chars, from);
        for (start, end) in turned(chars) {
            let shown: Vec<char> = chars[start..end].iter().rev().copied().collect();
            for span in self.in_order(&shown, 0) {
                let (first, last) = (end - span.end, end - span.start);
                let known = spans.iter().any(|one| (one.pattern, one.start) == (span.pattern, first));
                if first >= from && !known {
                    spans.push(Span { start: first, end: last, ..span });
                }
            }
        }
        spans
    }

    /// Occurrences as the text stands; those of one entry do not overlap.
    fn in_order(&self, chars: &[char], from: usize) -> Vec<Span> {
        let symbols = symbol::symbols(chars);
        let (mut spans, mut free) = (Vec::new(), vec![from; self.patterns.len()]);
        let first = symbols.partition_point(|symbol| symbol.at < from);
        for (start, symbol) in symbols.iter().enumerate().skip(first) {
            for &pattern in symbol.letters().filter_map(|letter| self.index.get(&letter)).flatten() {
                let end = Some(start).filter(|_| symbol.at >= free[pattern]);
                if let Some(end) = end.and_then(|start| self.patterns[pattern].ends(&symbols, start)) {
                    free[pattern] = symbols[end].till;
                    let weight = self.weights[pattern];
                    spans.push(Span { pattern, start: symbol.at, end: symbols[end].till, weight });
                }
            }
        }
        spans
    }
}

/// The stretches between the sign that shows text from right to left, whatever letters it has, and the end of its force.
fn turned(chars: &[char]) -> Vec<(usize, usize)> {
    let (mut found, mut from) = (Vec::new(), None);
    for (at, char) in chars.iter().enumerate() {
        match (char, from) {
            ('\u{202e}', None) => from = Some(at + 1),
            ('\u{202c}' | '\n' | '\u{2029}', Some(start)) => {
                found.push((start, at));
                from = None;
            }
            _ => {}
        }
    }
    found.extend(from.map(|start| (start, chars.len())));
    found
}

register_cost!(KeywordCost);
