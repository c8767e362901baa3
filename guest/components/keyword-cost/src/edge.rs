//! Where a word ends: whether the text around a match makes it a part of something longer.

use crate::symbol::{Kind, Symbol};

/// Separators that may stand between two letters of a word, or two words of a phrase.
pub(crate) const GAP: usize = 4;

/// How many symbols beside a match are read.
const FAR: usize = 64;

/// Whether a word goes on after the symbol at `last`, which stands for `letter`.
pub(crate) fn goes_on_after(symbols: &[Symbol], last: usize, letter: char, plain: bool) -> bool {
    let beyond = &symbols[last + 1..];
    beyond.first().is_some_and(|next| next.is_mark()) || joined(symbols[last], letter, plain, beyond.iter())
}

/// Whether a word began before the symbol at `first`, which stands for `letter`.
pub(crate) fn goes_on_before(symbols: &[Symbol], first: usize, letter: char, plain: bool) -> bool {
    joined(symbols[first], letter, plain, symbols[..first].iter().rev())
}

/// Letters continue words, and digits continue numbers. A digit next to a word, or a letter next to a number, does not continue
/// it. A look-alike continues either. Unless the match is `plain`, mixed letters and digits (`f1488bb24c`)
/// are a code, of which it is a part.
fn joined<'a>(edge: Symbol, letter: char, plain: bool, beyond: impl Iterator<Item = &'a Symbol>) -> bool {
    let itself = edge.letter == letter;
    let mut beyond = beyond.take(FAR);
    let Some(next) = beyond.next() else { return false };
    match (edge.kind, next.kind) {
        (Kind::Glyph, _) | (_, Kind::Glyph) => false,
        (Kind::Digit, Kind::Separator) if itself => {
            next.is_point() && beyond.next().is_some_and(|digit| digit.kind == Kind::Digit)
        }
        (_, Kind::Separator) => false,
        (edge, kind) if itself && edge != kind => {
            let mut code = beyond.skip_while(|symbol| symbol.kind == kind);
            !plain && code.next().is_some_and(|symbol| matches!(symbol.kind, Kind::Letter | Kind::Digit))
        }
        _ => true,
    }
}

/// Whether a row of single letters, of which those from `first` to `last` are a match of `letters`, goes on beyond the
/// match: `a s s` in `a s s i g n`. A single letter more may be a word of its own (`k i l l u`), two are not, nor is
/// one next to a match of two letters (`U.S.S.`), except `a` and `i`. What the text does not show yet does not count.
pub(crate) fn row_goes_on(symbols: &[Symbol], (first, last): (usize, usize), spaced: bool, letters: usize) -> bool {
    let gap = |symbols: &mut dyn Iterator<Item = &Symbol>| symbols.take_while(|symbol| !symbol.is_word()).count();
    let inner = (gap(&mut symbols[first + 1..].iter()), gap(&mut symbols[..last].iter().rev()));
    let before = singles(symbols[..first].iter().rev(), inner.0, spaced, true);
    let after = singles(symbols[last + 1..].iter(), inner.1, spaced, false);
    [(symbols[first], before), (symbols[last], after)].into_iter().any(|(edge, beyond)| match beyond {
        _ if edge.kind == Kind::Glyph => false,
        [None, _] => false,
        [Some(one), None] if edge.kind == Kind::Digit && one.kind == Kind::Digit => true,
        [Some(one), None] => letters < 3 && !(spaced && matches!(one.letter, 'a' | 'i')),
        [Some(_), Some(_)] => true,
    })
}

/// The next two single letters with gaps as in the match. At the edge of the text one is single if `edge` says so.
fn singles<'a>(symbols: impl Iterator<Item = &'a Symbol>, gap: usize, spaced: bool, edge: bool) -> [Option<Symbol>; 2] {
    let mut symbols = symbols.peekable();
    [(); 2].map(|()| single(&mut symbols, gap, spaced, edge))
}

fn single<'a>(
    symbols: &mut std::iter::Peekable<impl Iterator<Item = &'a Symbol>>,
    widest: usize,
    spaced: bool,
    edge: bool,
) -> Option<Symbol> {
    let (mut gap, mut spaces) = (0, false);
    loop {
        let symbol = *symbols.next()?;
        if symbol.is_word() {
            let alone = symbols.peek().map_or(edge, |next| !next.is_word());
            return (gap > 0 && spaces == spaced && alone).then_some(symbol);
        }
        (gap, spaces) = (gap + 1, spaces || symbol.is_space());
        if gap > widest {
            return None;
        }
    }
}
