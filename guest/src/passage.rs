//! New text with what stands before it, for costs that look for patterns in text.
//!
//! A pattern may begin in charged text and end in new text. It is charged once, at the token where it completes: what
//! was complete when the text before was charged is not charged again, even if it goes on growing.

use crate::{BatchView, ReadError};
use std::collections::BTreeSet;

/// Something found in text, by characters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Which pattern.
    pub pattern: usize,
    /// Its first character.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// What it costs.
    pub weight: f64,
}

/// The text of one row, charged and new.
#[derive(Debug, Clone)]
pub struct Passage {
    chars: Vec<char>,
    /// Where the new text begins.
    new: usize,
    /// For every new token, the new characters up to and including it.
    ends: Vec<u32>,
}

impl Passage {
    /// Reads a row. Needs: `Text`, `Lookback`.
    ///
    /// # Errors
    /// When a read fails.
    pub fn read(rows: &dyn BatchView, row: u32) -> Result<Self, ReadError> {
        let mut chars: Vec<char> = rows.lookback(row)?.chars().collect();
        let new = chars.len();
        chars.extend(rows.text(row)?.chars());
        Ok(Self { chars, new, ends: rows.text_ends(row)? })
    }

    /// Whether a character shows nothing and says nothing: inside a word or number it only hides it. These are
    /// Unicode's default-ignorable characters, the controls that are not white space, and the blank Braille pattern.
    ///
    /// ```
    /// use inferenceguard_guest::Passage;
    ///
    /// assert!(['\u{200b}', '\u{ad}', '\u{3164}', '\0'].into_iter().all(Passage::is_invisible));
    /// assert!(!['a', ' ', '\n', '\u{3000}', '\u{301}'].into_iter().any(Passage::is_invisible));
    /// ```
    #[must_use]
    pub fn is_invisible(char: char) -> bool {
        char.is_control() && !char.is_whitespace()
            || matches!(char,
                '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
                | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
    }

    /// One price per new token, for what `find` finds. It may take the end of what it is given as the end of the text,
    /// and should report each pattern once per start.
    pub fn prices(&self, find: impl Fn(&[char]) -> Vec<Span>) -> Vec<f64> {
        self.noted_prices(find, |_, _| {})
    }

    /// As [`Self::prices`]; `note` gets each pattern that costs something, and which of the new tokens pays for it.
    pub fn noted_prices(&self, find: impl Fn(&[char]) -> Vec<Span>, mut note: impl FnMut(u32, &Span)) -> Vec<f64> {
        let mut prices = vec![0.0; self.ends.len()];
        let before = find(&self.chars[..self.new]).into_iter();
        let charged: BTreeSet<_> = before.map(|span| (span.pattern, span.start)).collect();
        for span in find(&self.chars) {
            if span.end > self.new && !charged.contains(&(span.pattern, span.start)) {
                let end = span.end - self.new;
                // No text lies past the last token's end; if some does, the last token pays.
                let last = self.ends.len().saturating_sub(1);
                let token = self.ends.iter().position(|&till| till as usize >= end).unwrap_or(last);
                if let Some(price) = prices.get_mut(token) {
                    *price += span.weight;
                    if span.weight > 0.0 {
                        note(token as u32, &span);
                    }
                }
            }
        }
        prices
    }
}
