//! Reads folded text as one entry of the list.
//!
//! All ways to read the text are followed at once, one symbol at a time, so the work is bounded by the length of the
//! text times the square of that of the entry, whatever the text is; ordinary text leaves one or two ways to follow.

use crate::edge::{GAP, goes_on_after, goes_on_before, row_goes_on};
use crate::pattern::{Pattern, Run};
use crate::symbol::{Kind, Symbol};

/// Symbols that a match may have for each of its letters; bounds the work, and how far a cost must look back.
pub(crate) const STRETCH: usize = 6;

/// How the letters of the current word have been separated so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spacing {
    /// Only one letter was seen.
    Unknown,
    /// Letters touch; a separator now and then (`ki-ll`).
    Solid,
    /// A separator between all letters, but no space (`k.i.l.l`).
    Dotted,
    /// An apostrophe between all letters, but no space (`k'i'l'l`).
    Quoted,
    /// A space between all letters (`k i l l`).
    Spaced,
}

/// One way to read the text so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Reading {
    /// The run of the newest letter.
    run: usize,
    /// How often its letter was seen.
    count: u8,
    spacing: Spacing,
    gap: Gap,
    /// Something was seen that is not only a look-alike: a bare number is never a word.
    wordlike: bool,
    /// No digit was seen.
    plain: bool,
}

/// Separators since the newest letter, and what they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Gap {
    len: usize,
    spaces: bool,
    apostrophes: bool,
    points: bool,
}

/// All ways to read a text that begins at one place.
pub(crate) struct Reader<'a> {
    pattern: &'a Pattern,
    symbols: &'a [Symbol],
    start: usize,
    at: usize,
    readings: Vec<Reading>,
}

impl<'a> Reader<'a> {
    /// Reads the first letter; none if it is another, does not begin a word, or is followed by another one.
    pub(crate) fn begin(pattern: &'a Pattern, symbols: &'a [Symbol], start: usize) -> Option<Self> {
        let (first, symbol) = (pattern.runs[0], symbols[start]);
        let next = symbols.get(start + 1).filter(|next| next.is_word());
        let fits = |next: &Symbol| pattern.runs.iter().take(2).any(|run| pattern.reads(*next, run.letter));
        let other = pattern.runs.len() > 1 && next.is_some_and(|next| !fits(next));
        // Two digits that stand for letters are a number, and what follows is its unit: 45s.
        let digits = symbol.kind == Kind::Digit && next.is_some_and(|next| next.kind == Kind::Digit);
        if other
            || !pattern.reads(symbol, first.letter)
            || digits && symbol.letter != first.letter
            || !pattern.open.0 && goes_on_before(symbols, start, first.letter, true)
        {
            return None;
        }
        let nothing = Reading {
            run: 0,
            count: 1,
            spacing: Spacing::Unknown,
            gap: Gap::default(),
            wordlike: false,
            plain: pattern.letters > 3,
        };
        Some(Self { pattern, symbols, start, at: start, readings: vec![nothing.seen(symbol, first)] })
    }

    /// The newest symbol read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Reads one more symbol; `None` if no reading is left.
    pub(crate) fn advance(&mut self) -> Option<()> {
        let longest = STRETCH * self.pattern.letters + GAP;
        let next = *self.symbols.get(self.at + 1).filter(|_| self.at < self.start + longest)?;
        let mut after = Vec::with_capacity(self.readings.len());
        for reading in &self.readings {
            self.read(*reading, next, &mut after);
        }
        after.sort_unstable();
        after.dedup();
        self.readings = after;
        self.at += 1;
        (!self.readings.is_empty()).then_some(())
    }

    /// Every reading that one more symbol allows.
    fn read(&self, reading: Reading, symbol: Symbol, after: &mut Vec<Reading>) {
        let run = self.pattern.runs[reading.run];
        if self.pattern.reads(symbol, run.letter) {
            // More than two surplus letters count as two.
            let count = reading.count.saturating_add(1).min(run.count.saturating_add(2).max(3));
            after.extend(reading.within_word(run, run).map(|reading| Reading { count, ..reading }.seen(symbol, run)));
        }
        let next = self.pattern.runs.get(reading.run + 1);
        if let Some(next) = next.filter(|next| self.pattern.reads(symbol, next.letter) && run.fits(reading.count)) {
            let moved = if next.word { reading.next_word(run, *next) } else { reading.within_word(run, *next) };
            let moved = moved.map(|moved| Reading { run: reading.run + 1, count: 1, ..moved });
            after.extend(moved.map(|moved| moved.seen(symbol, *next)));
        }
        // Two letters with more than one sign between them do not touch.
        let widest = if self.pattern.letters < 3 && next.is_none_or(|next| !next.word) { 1 } else { GAP };
        if !symbol.is_word() && reading.gap.len < widest {
            after.push(Reading { gap: reading.gap.and(symbol), ..reading });
        }
    }

    /// Whether a reading is complete, and nothing says that the word goes on.
    pub(crate) fn is_complete(&self) -> bool {
        self.readings.iter().any(|reading| self.completes(*reading))
    }

    fn completes(&self, reading: Reading) -> bool {
        let run = self.pattern.runs[reading.run];
        let last = reading.run + 1 == self.pattern.runs.len() && run.fits(reading.count);
        if !last || reading.gap.len > 0 || !reading.wordlike {
            return false;
        }
        let (began, goes_on) = (
            goes_on_before(self.symbols, self.start, self.pattern.first(), reading.plain),
            goes_on_after(self.symbols, self.at, run.letter, reading.plain),
        );
        let row = |spaced| row_goes_on(self.symbols, (self.start, self.at), spaced, self.pattern.letters);
        (self.pattern.open.0 || !began)
            && (self.pattern.open.1 || !goes_on)
            && match reading.spacing {
                Spacing::Unknown | Spacing::Solid => true,
                Spacing::Dotted | Spacing::Quoted => !row(false),
                Spacing::Spaced => !row(true),
            }
    }
}

impl Reading {
    fn seen(self, symbol: Symbol, run: Run) -> Self {
        let wordlike = self.wordlike || wordlike(symbol, run.letter);
        Self { gap: Gap::default(), wordlike, plain: self.plain && symbol.kind != Kind::Digit, ..self }
    }

    /// The reading when the next letter is of the same word; none if the separators do not allow it.
    fn within_word(self, run: Run, next: Run) -> Option<Self> {
        let spacing = match (self.gap.len, self.gap.spaces, self.spacing) {
            _ if self.in_number(run, next) => return None,
            (0, _, Spacing::Unknown | Spacing::Solid) => Spacing::Solid,
            (1.., true, Spacing::Unknown | Spacing::Spaced) => Spacing::Spaced,
            // An apostrophe between some letters is spelling (he'll), between all it is disguise.
            (1.., false, Spacing::Quoted) => Spacing::Quoted,
            (1.., false, Spacing::Unknown | Spacing::Dotted) if self.gap.apostrophes => Spacing::Quoted,
            (1.., false, Spacing::Unknown | Spacing::Dotted) => Spacing::Dotted,
            (1..=2, false, Spacing::Solid) if !self.gap.apostrophes => Spacing::Solid,
            (0, _, Spacing::Dotted) => Spacing::Solid,
            _ => return None,
        };
        Some(Self { spacing, ..self })
    }

    /// The reading when the next letter begins the next word of a phrase.
    fn next_word(self, run: Run, next: Run) -> Option<Self> {
        (self.gap.len > 0 && !self.in_number(run, next)).then_some(Self { spacing: Spacing::Unknown, ..self })
    }

    /// `14.88` and `14,88` are numbers of their own, not the digits of 1488.
    fn in_number(self, run: Run, next: Run) -> bool {
        self.gap.points && !next.pointed && run.is_digit() && next.is_digit()
    }
}

impl Gap {
    fn and(self, symbol: Symbol) -> Self {
        Self {
            len: self.len + 1,
            spaces: self.spaces || symbol.is_space(),
            apostrophes: self.apostrophes || symbol.is_apostrophe(),
            points: self.points || symbol.is_point(),
        }
    }
}

/// Digits and exclamation marks that stand for letters are no word, however many; `@$$` is one.
fn wordlike(symbol: Symbol, letter: char) -> bool {
    symbol.letter == letter || symbol.letter.is_alphabetic() || matches!(symbol.letter, '@' | '$')
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Reader};
    use crate::symbol::symbols;

    /// How many readings are followed in all, over all places where a match may begin.
    fn work(entry: &str, text: &str) -> usize {
        let (pattern, symbols) = (Pattern::parse(entry).unwrap(), symbols(&text.chars().collect::<Vec<_>>()));
        let mut work = 0;
        for start in 0..symbols.len() {
            let Some(mut reader) = Reader::begin(&pattern, &symbols, start) else { continue };
            work += 1;
            while reader.advance().is_some() {
                work += reader.readings.len();
            }
        }
        work
    }

    #[test]
    fn hostile_texts_take_bounded_work() {
        for entry in ["lilililililililililililil", "*lilililililililililililil*", "l*", "l l l l", "*il*", "1111"] {
            let letters = Pattern::parse(entry).unwrap().letters;
            for hostile in ["1", "l", "1.", "l ", "l'1", "1l", "!", "l.l l'l", "li", "1 . "] {
                let [once, twice, thrice] = [1, 2, 3].map(|times| work(entry, &hostile.repeat(200 * times)));
                let (most, more, still_more) = (hostile.len() * letters * letters, twice - once, thrice - twice);
                assert!(more <= 200 * 8 * most, "{entry} in {hostile}: {more} readings");
                assert!(still_more <= more + 8 * most, "{entry} in {hostile}: {more} readings, then {still_more}");
            }
        }
    }
}
