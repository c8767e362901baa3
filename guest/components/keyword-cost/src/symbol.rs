//! Text as a matcher sees it: folded letters, each with its position in the text.

use crate::fold::{fold, look_alikes};
use unicode_normalization::char::is_combining_mark;

/// Equal letters in a row that count; further ones change nothing.
const LETTERS: u8 = 3;

/// Equal digits in a row that count.
pub(crate) const DIGITS: u8 = 12;

/// What a character does for a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Belongs to the word that the letters next to it belong to.
    Letter,
    Digit,
    /// A letter of a script that is written without spaces: a word may begin and end anywhere.
    Glyph,
    /// Everything else.
    Separator,
}

/// One folded character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol {
    /// The folded character.
    pub(crate) letter: char,
    pub(crate) kind: Kind,
    /// The position of the character it came from.
    pub(crate) at: usize,
    /// One past the last character it stands for: more than one where a character is repeated beyond measure.
    pub(crate) till: usize,
    /// How many equal ones have stood in a row, with this one.
    pub(crate) nth: u8,
    /// Whether it is a stroke that is read as `i` or `l`, whichever of the two it is.
    pub(crate) stroke: bool,
}

impl Symbol {
    /// A letter or digit: part of a word, whatever it may stand for.
    pub(crate) fn is_word(self) -> bool {
        self.kind != Kind::Separator
    }

    /// Part of the letter before it.
    pub(crate) fn is_mark(self) -> bool {
        self.kind != Kind::Separator && is_combining_mark(self.letter)
    }

    pub(crate) fn is_space(self) -> bool {
        self.letter.is_whitespace()
    }

    pub(crate) fn is_apostrophe(self) -> bool {
        matches!(self.letter, '\'' | '\u{2019}' | '\u{2018}' | '\u{2bc}')
    }

    /// Whether it stands between the digits of one number: 1.5, 1,000, 10:30.
    pub(crate) fn is_point(self) -> bool {
        matches!(self.letter, '.' | ',' | ':')
    }

    /// Everything it may stand for: itself first, then its look-alikes.
    pub(crate) fn letters(self) -> impl Iterator<Item = char> {
        let stroke = if self.stroke { STROKES } else { "" };
        std::iter::once(self.letter).chain(look_alikes(self.letter).chars()).chain(stroke.chars())
    }

    /// Whether it looks like a letter of an entry, itself or by way of a Latin letter that both look like. A digit of an
    /// entry is only that digit.
    pub(crate) fn stands_for(self, letter: char) -> bool {
        let alike = look_alikes(self.letter);
        let shared = || look_alikes(letter).chars().any(|latin| latin == self.letter || alike.contains(latin));
        self.letter == letter
            || alike.contains(letter)
            || self.stroke && STROKES.contains(letter)
            || letter.is_alphabetic() && shared()
    }
}

/// The letters under which an entry is filed that begins with `first`: one of them is among those of each symbol that
/// stands for it.
pub(crate) fn keys(first: char) -> impl Iterator<Item = char> {
    let alike = if first.is_alphabetic() { look_alikes(first) } else { "" };
    alike.chars().chain(Some(first).filter(|_| alike.is_empty()))
}

const STROKES: &str = "il";

/// How many equal letters are looked past.
const ROW: usize = 8;

/// A capital `I` after small letters, and a small `l` between capitals, are mistaken for one another: `kiII`, `KlLL`.
fn is_stroke(chars: &[char], at: usize) -> bool {
    let own = chars[at];
    let before = chars[..at].iter().rev().take(ROW).find(|char| **char != own);
    let after = chars[at + 1..].iter().take(ROW).find(|char| **char != own);
    let is = |char: Option<&char>, case: fn(char) -> bool| char.is_some_and(|char| case(*char));
    match own {
        'I' => is(before, char::is_lowercase),
        'l' => is(before, char::is_uppercase) && is(after, char::is_uppercase),
        _ => false,
    }
}

/// Folds text.
pub(crate) fn symbols(chars: &[char]) -> Vec<Symbol> {
    let mut symbols = Vec::with_capacity(chars.len());
    for (at, &char) in chars.iter().enumerate() {
        let stroke = is_stroke(chars, at);
        fold(char, |letter| push(&mut symbols, letter, at, stroke));
    }
    symbols
}

/// Adds a letter; one too many in a row only lengthens the last.
fn push(symbols: &mut Vec<Symbol>, letter: char, at: usize, stroke: bool) {
    let kind = kind(letter);
    // No script puts its marks on Latin letters.
    if is_combining_mark(letter) && symbols.last().is_some_and(|last| last.letter.is_ascii()) {
        return;
    }
    let most = if kind == Kind::Digit { DIGITS } else { LETTERS };
    match symbols.last_mut() {
        Some(last) if last.letter == letter && last.nth == most => last.till = at + 1,
        last => {
            let nth = last.filter(|last| last.letter == letter).map_or(1, |last| last.nth + 1);
            symbols.push(Symbol { letter, kind, at, till: at + 1, nth, stroke });
        }
    }
}

fn kind(letter: char) -> Kind {
    match letter {
        'a'..='z' => Kind::Letter,
        '0'..='9' => Kind::Digit,
        // Thai, Lao, Tibetan, Burmese, Khmer; kana; Chinese characters.
        '\u{e01}'..='\u{e4e}' | '\u{e80}'..='\u{ece}' | '\u{f40}'..='\u{fbc}' | '\u{1000}'..='\u{103f}' => Kind::Glyph,
        '\u{1780}'..='\u{17d3}' | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' => Kind::Glyph,
        '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => Kind::Glyph,
        '\u{20000}'..='\u{3ffff}' => Kind::Glyph,
        letter if letter.is_numeric() => Kind::Digit,
        letter if letter.is_alphabetic() || is_combining_mark(letter) => Kind::Letter,
        _ => Kind::Separator,
    }
}
