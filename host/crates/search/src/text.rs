//! Text of a beam: what is new, what came before, and what may become a stop text.

use inferenceguard_model::GrowingText;

/// The text of the tokens `from..to`, and what stands before it.
pub(crate) struct Piece {
    pub(crate) text: String,
    /// Characters of `text` up to and including each token.
    pub(crate) ends: Vec<u32>,
    pub(crate) before: String,
}

/// Cuts a beam's text at its tokens. A character belongs to the token that completes it, so it is in one piece only.
pub(crate) fn piece(text: &GrowingText, from: usize, to: usize, lookback: u32) -> Piece {
    let before = tail(text.of_first(from), lookback as usize).to_owned();
    let (text, ends) = text.of_range(from, to);
    Piece { text: text.to_owned(), ends, before }
}

/// The last `chars` characters.
pub(crate) fn tail(text: &str, chars: usize) -> &str {
    if chars == 0 {
        return "";
    }
    let start = text.char_indices().rev().nth(chars - 1).map_or(0, |(i, _)| i);
    &text[start..]
}

/// `text` less a tail that may become a stop text.
pub(crate) fn before_partial_stop<'a>(text: &'a str, stop: &[String]) -> &'a str {
    let held =
        |s: &String| (1..s.len()).rev().find(|n| s.is_char_boundary(*n) && text.ends_with(&s[..*n])).unwrap_or(0);
    &text[..text.len() - stop.iter().map(held).max().unwrap_or(0)]
}
