//! Text of token ids: what is new, what came before, and where a stop text begins.

use crate::SearchError;
use inferenceguard_model::{Token, Tokenizer};

/// The text of `tokens`, without a character cut at its end.
pub(crate) fn stable(tokenizer: &dyn Tokenizer, tokens: &[Token]) -> Result<String, SearchError> {
    let mut text = tokenizer.decode(tokens)?;
    let whole = text.trim_end_matches('\u{FFFD}').len();
    text.truncate(whole);
    Ok(text)
}

/// The text of the tokens `from..to`, and what stands before it.
pub(crate) struct Piece {
    pub(crate) text: String,
    /// Characters of `text` up to and including each token.
    pub(crate) ends: Vec<u32>,
    pub(crate) before: String,
}

/// Cuts the text of `tokens[..to]` where that of `tokens[..from]` ends.
pub(crate) fn piece(
    tokenizer: &dyn Tokenizer,
    tokens: &[Token],
    from: usize,
    to: usize,
    lookback: u32,
) -> Result<Piece, SearchError> {
    let before = stable(tokenizer, &tokens[..from])?;
    let whole = stable(tokenizer, &tokens[..to])?;
    let cut = common_prefix(&before, &whole);
    let total = whole[cut..].chars().count() as u32;
    let mut ends = Vec::with_capacity(to - from);
    for end in from + 1..to {
        let part = stable(tokenizer, &tokens[..end])?;
        let chars = part.get(cut..).map_or(0, |t| t.chars().count() as u32);
        ends.push(chars.min(total).max(ends.last().copied().unwrap_or(0)));
    }
    if to > from {
        ends.push(total);
    }
    Ok(Piece { text: whole[cut..].to_owned(), ends, before: tail(&whole[..cut], lookback as usize).to_owned() })
}

fn common_prefix(a: &str, b: &str) -> usize {
    a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y).map_or(a.len().min(b.len()), |((i, _), _)| i)
}

/// The last `chars` characters.
pub(crate) fn tail(text: &str, chars: usize) -> &str {
    if chars == 0 {
        return "";
    }
    let start = text.char_indices().rev().nth(chars - 1).map_or(0, |(i, _)| i);
    &text[start..]
}

/// Where the first stop text begins, in bytes.
pub(crate) fn stop_at(text: &str, stop: &[String]) -> Option<usize> {
    stop.iter().filter_map(|s| text.find(s.as_str())).min()
}

/// `text` less a tail that may become a stop text.
pub(crate) fn before_partial_stop<'a>(text: &'a str, stop: &[String]) -> &'a str {
    let held =
        |s: &String| (1..s.len()).rev().find(|n| s.is_char_boundary(*n) && text.ends_with(&s[..*n])).unwrap_or(0);
    &text[..text.len() - stop.iter().map(held).max().unwrap_or(0)]
}
