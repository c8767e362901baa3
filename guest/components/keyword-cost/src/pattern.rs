//! A word, phrase or number of the list.

use crate::edge::GAP;
use crate::reader::Reader;
use crate::symbol::{DIGITS, Kind, Symbol, symbols};

/// The most letters of an entry: with separators and repetitions it must still fit in what a cost may look back on.
const MOST_LETTERS: usize = 500;

/// A row of letter runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) runs: Vec<Run>,
    /// How many letters it has, separators apart.
    pub(crate) letters: usize,
    /// May stand inside a longer word, at its start or end.
    pub(crate) open: (bool, bool),
}

/// A letter, as often as it stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) letter: char,
    pub(crate) count: u8,
    /// Whether a word begins here.
    pub(crate) word: bool,
    /// Whether the entry itself has a point before it (`4.20`).
    pub(crate) pointed: bool,
}

impl Pattern {
    /// Compiles an entry of the word list. It refuses entries that would never be found, and entries that would match other text
    /// because some of their signs are ignored.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bare = text.trim();
        let open = (bare.starts_with('*'), bare.len() > 1 && bare.ends_with('*'));
        let symbols = symbols(&bare.trim_matches('*').chars().collect::<Vec<_>>());
        let refused = |found: &str| Err(format!("setting `words` has `{text}`: {found}"));
        if let Some(sign) = lost(&symbols) {
            return refused(&format!(
                "`{sign}` is not looked for there; expected letters and digits, with spaces or punctuation only between \
                 them, and `*` only at the start or end"
            ));
        }
        if symbols.iter().any(|one| one.till > one.at + 1 || one.kind == Kind::Digit && one.nth == DIGITS) {
            return refused(
                "too often the same in a row; expected at most 3 equal letters or signs, or 11 equal digits",
            );
        }
        let letters = symbols.iter().filter(|symbol| symbol.is_word()).count();
        if !(1..=MOST_LETTERS).contains(&letters) {
            return refused(&format!("{letters} letters and digits; expected 1 to {MOST_LETTERS}"));
        }
        let pattern = Self { runs: runs(&symbols), letters, open };
        match pattern.ends(&symbols, 0) {
            Some(_) => Ok(pattern),
            None => {
                refused(&format!("it is not found even in itself; expected at most {GAP} signs between two letters"))
            }
        }
    }

    pub(crate) fn first(&self) -> char {
        self.runs[0].letter
    }

    /// Whether a symbol of the text may be read as a letter. In one or two letters, look-alikes of other kinds than
    /// letters are too common: `5s`, `$$`.
    pub(crate) fn reads(&self, symbol: Symbol, letter: char) -> bool {
        let alike = self.letters > 2 || symbol.letter.is_alphabetic();
        symbol.letter == letter || alike && symbol.stands_for(letter)
    }

    /// The symbol with which the pattern completes, if it begins at `start`.
    pub(crate) fn ends(&self, symbols: &[Symbol], start: usize) -> Option<usize> {
        let mut reader = Reader::begin(self, symbols, start)?;
        while !reader.is_complete() {
            reader.advance()?;
        }
        Some(reader.at())
    }
}

/// The first sign of an entry that would be ignored: a sign at its start or end, or an uncommon sign.
fn lost(symbols: &[Symbol]) -> Option<char> {
    let between = |sign: &Symbol| {
        sign.is_space()
            || sign.is_apostrophe()
            || matches!(sign.letter, '-' | '.' | ',' | '/' | '_' | ':' | ';' | '&' | '"' | '\u{2010}'..='\u{2015}')
    };
    let ends = symbols.first().into_iter().chain(symbols.last());
    let mut lost =
        ends.filter(|end| !end.is_word()).chain(symbols.iter().filter(|one| !one.is_word() && !between(one)));
    lost.next().map(|sign| sign.letter)
}

/// The runs of letters of folded text that begins with a letter.
fn runs(symbols: &[Symbol]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut word, mut pointed) = (true, false);
    for symbol in symbols {
        match runs.last_mut() {
            _ if !symbol.is_word() => (word, pointed) = (true, pointed || symbol.is_point()),
            Some(run) if !word && run.letter == symbol.letter => run.count += 1,
            _ => {
                runs.push(Run { letter: symbol.letter, count: 1, word, pointed });
                (word, pointed) = (false, false);
            }
        }
    }
    runs
}

impl Run {
    pub(crate) fn is_digit(self) -> bool {
        self.letter.is_numeric()
    }

    /// Whether a letter seen this often is this run. Doubling makes another word of most letters (`good`), but three in
    /// a row, or two of those that English hardly doubles, are only stretched. A number with one more digit is another.
    pub(crate) fn fits(self, count: u8) -> bool {
        let doubles = matches!(self.letter, 'b'..='g' | 'l'..='p' | 'r'..='t' | 'z');
        count == self.count || count > self.count && !self.is_digit() && (!doubles || count > 2)
    }
}
