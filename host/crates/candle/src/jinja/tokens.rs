//! The tokens of one tag of a chat template.

use std::ops::Range;

/// The deepest brackets.
const DEEPEST: usize = 100;

/// What kind of token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Word,
    Number,
    Sign,
}

/// A token, by its place in the tag.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
}

/// The tokens of the tag that `text` begins with, and where the tag ends.
///
/// # Errors
/// When its brackets are nested too deeply.
pub(super) fn tokens(text: &str, end: &str) -> Result<(Vec<Token>, usize), String> {
    let mut tokens = Vec::new();
    let mut depth = 0usize;
    let mut at = 2;
    while let Some(c) = text[at..].chars().next() {
        if depth == 0 && text[at..].starts_with(end) {
            let control = |t: &Token| matches!(&text[t.range.clone()], "-" | "+");
            tokens.pop_if(|t| control(t) && t.range.end == at);
            if tokens.first().is_some_and(|t| control(t) && t.range.start == 2) {
                tokens.remove(0);
            }
            return Ok((tokens, at + end.len()));
        }
        let (kind, len) = token(&text[at..], c);
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("its brackets are nested more than {DEEPEST} deep"));
        }
        tokens.extend(kind.map(|kind| Token { kind, range: at..at + len }));
        at += len;
    }
    Ok((tokens, text.len()))
}

/// Kind and length of the token that a text begins with; whitespace has no kind.
fn token(text: &str, c: char) -> (Option<Kind>, usize) {
    let run = |holds: fn(char) -> bool| text.find(|c| !holds(c)).unwrap_or(text.len());
    match c {
        c if c.is_whitespace() => (None, run(char::is_whitespace)),
        '"' | '\'' => (Some(Kind::Text), quoted(text, c)),
        c if c.is_ascii_digit() => (Some(Kind::Number), run(|c| c.is_ascii_digit())),
        c if c.is_alphanumeric() || c == '_' => (Some(Kind::Word), run(|c| c.is_alphanumeric() || c == '_')),
        _ => {
            let double = ["==", "!=", "<=", ">=", "//", "**"].iter().any(|sign| text.starts_with(sign));
            (Some(Kind::Sign), if double { 2 } else { c.len_utf8() })
        }
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
