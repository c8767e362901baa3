//! Text as the finders see it: plain digits, plain separators and nothing invisible, each character with its position in the
//! text.

use crate::Stretch;
use inferenceguard_guest::Passage;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// The zeros of the digits that other scripts write numbers with.
const ZEROS: [u32; 20] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0e50, 0x0ed0,
    0x0f20, 0x1040, 0x17e0, 0x1810, 0xff10, 0x1fbf0,
];

/// Folded text.
pub(crate) struct Text {
    pub(crate) chars: Vec<char>,
    /// For every folded character, the position of the one it came from.
    at: Vec<usize>,
}

impl Text {
    pub(crate) fn of(raw: &[char]) -> Self {
        let mut text = Self { chars: Vec::with_capacity(raw.len()), at: Vec::with_capacity(raw.len()) };
        for (at, &char) in raw.iter().enumerate() {
            if !Passage::is_invisible(char) {
                fold(stop(raw, at), |folded| {
                    text.chars.push(folded);
                    text.at.push(at);
                });
            }
        }
        text
    }

    /// Where a stretch of folded text stood; it must not be empty.
    pub(crate) fn place(&self, (start, end): Stretch) -> Stretch {
        (self.at[start], self.at[end - 1] + 1)
    }
}

/// A character; a point if it is the full stop of Chinese and Japanese in front of a Latin letter, as in a domain.
fn stop(raw: &[char], at: usize) -> char {
    match (raw[at], raw.get(at + 1)) {
        ('\u{3002}' | '\u{ff61}', Some(next)) if next.is_ascii_alphabetic() => '.',
        (char, _) => char,
    }
}

fn fold(char: char, mut emit: impl FnMut(char)) {
    match plain(char) {
        Some(plain) => emit(plain),
        None if numbered(char) => emit(char),
        None => decompose_compatible(char, |part| {
            if !is_combining_mark(part) {
                emit(plain(part).unwrap_or(part));
            }
        }),
    }
}

/// What stands for one plain character.
fn plain(char: char) -> Option<char> {
    Some(match char {
        ' '..='~' | '\t' | '\n' => char,
        '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        // Hyphens, dashes, the minus sign, and the long vowel mark with which Japanese numbers are written.
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{301c}' | '\u{30fc}' => '-',
        '\u{2044}' | '\u{2215}' => '/',
        '\u{1d7ce}'..='\u{1d7ff}' => digit((u32::from(char) - 0x1d7ce) % 10),
        _ if char.is_whitespace() => ' ',
        _ => {
            let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&u32::from(char)))?;
            digit(u32::from(char) - zero)
        }
    })
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('0')
}

/// Whether it only contains a digit, as exponents, fractions and numbers in circles do: next to a number they are no
/// part of it.
fn numbered(char: char) -> bool {
    let mut found = false;
    decompose_compatible(char, |part| found |= part.is_ascii_digit());
    found
}
