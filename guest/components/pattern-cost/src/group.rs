//! Numbers are written in groups of digits: the groups of a text, and what stands between them.

use crate::{Stretch, stretches};

/// Digits in a row, without gaps.
pub(crate) struct Groups<'a> {
    pub(crate) chars: &'a [char],
    pub(crate) all: Vec<Stretch>,
}

impl<'a> Groups<'a> {
    pub(crate) fn of(chars: &'a [char]) -> Self {
        Self { chars, all: stretches(chars, |char| char.is_ascii_digit()) }
    }

    /// How many digits a group has; none if there is no such group.
    pub(crate) fn len(&self, group: usize) -> usize {
        self.all.get(group).map_or(0, |(start, end)| end - start)
    }

    pub(crate) fn digits(&self, group: usize) -> &'a [char] {
        self.all.get(group).map_or(&[], |(start, end)| &self.chars[*start..*end])
    }

    /// What stands between a group and the one before it; none before the first and after the last.
    pub(crate) fn gap(&self, group: usize) -> Option<&'a [char]> {
        let before = self.all.get(group.checked_sub(1)?)?;
        Some(&self.chars[before.1..self.all.get(group)?.0])
    }

    /// From the start of the first of some groups to the end of the last.
    pub(crate) fn stretch(&self, first: usize, count: usize) -> Stretch {
        (self.all[first].0, self.all[first + count - 1].1)
    }

    /// The last characters before a group, the nearest first.
    pub(crate) fn before(&self, group: usize) -> impl Iterator<Item = char> {
        self.chars[..self.all[group].0].iter().rev().copied()
    }

    /// Whether a group continues a number: the fraction of a decimal, the seconds of a time, or thousands.
    pub(crate) fn goes_on(&self, group: usize) -> bool {
        let mut before = self.before(group);
        let sign = before.next();
        let joins = matches!(sign, Some('.' | ':')) || sign == Some(',') && self.len(group) == 3;
        joins && before.next().is_some_and(|char| char.is_ascii_digit())
    }

    /// Reads the groups from the left. `read` returns how many groups the next match takes and where it lies, or how many groups
    /// to skip.
    pub(crate) fn read(&self, read: impl Fn(usize) -> Read) -> Vec<Stretch> {
        let (mut found, mut at) = (Vec::new(), 0);
        while at < self.all.len() {
            match read(at) {
                Read::Found(count, stretch) => {
                    found.push(stretch);
                    at += count;
                }
                Read::Skip(count) => at += count,
            }
        }
        found
    }
}

/// What the next groups are.
pub(crate) enum Read {
    /// The next groups, this many, form one match.
    Found(usize, Stretch),
    /// The next groups, at least 1, belong to no match.
    Skip(usize),
}

/// Signs that stand between the digits of one number.
pub(crate) fn separates(char: char) -> bool {
    matches!(
        char,
        ' ' | '\t' | '\n' | '-' | '.' | '/' | '_' | '(' | ')' | '\u{b7}' | '\u{2022}' | '\u{2027}' | '\u{30fb}'
    )
}
