//! Phone numbers: with a country code, national with a leading zero, and North American.
//!
//! A number is the shortest run of digit groups that can be one, so that no number hides the next one.

use crate::Stretch;
use crate::group::{Groups, Read, separates};

/// The most digits of a number, with its country (ITU-T E.164), and with `00` before it.
const MOST: usize = 17;

pub(crate) fn phones(chars: &[char]) -> Vec<Stretch> {
    let groups = Groups::of(chars);
    groups.read(|at| match date(&groups, at) {
        true => Read::Skip(3),
        false => phone(&groups, at).unwrap_or(Read::Skip(1)),
    })
}

/// A run of groups that may be a number.
struct Run<'a> {
    groups: &'a Groups<'a>,
    first: usize,
    count: usize,
    digits: String,
}

fn phone(groups: &Groups, first: usize) -> Option<Read> {
    let plus = plus(groups, first);
    if plus.is_none() && !leads(groups, first) || groups.goes_on(first) || in_code(groups, first) {
        return None;
    }
    let mut run = Run { groups, first, count: 0, digits: String::new() };
    for group in first..groups.all.len() {
        if group > first && !joined(groups.gap(group)?) || run.digits.len() + groups.len(group) > MOST {
            return None;
        }
        run.digits.extend(groups.digits(group));
        run.count += 1;
        let fits = match plus {
            Some((_, apart)) => international(&run.digits, run.count) && (run.count > 2 || !apart),
            None => run.is_national(),
        };
        if fits {
            let (start, end) = groups.stretch(first, run.count);
            return Some(Read::Found(run.count, (plus.map_or(start, |(sign, _)| sign), end)));
        }
    }
    None
}

/// Whether a number without a country code may begin with a group: a zero (in brackets if it is alone), or three digits
/// of a North American one, with or without the 1 before them.
fn leads(groups: &Groups, first: usize) -> bool {
    match groups.digits(first) {
        ['0'] => groups.gap(first + 1).is_some_and(|gap| gap.starts_with(&[')'])),
        ['0', ..] => true,
        ['1'] | [_, _, _] => groups.len(first + 1) == 3,
        _ => false,
    }
}

/// Whether a gap may lie inside a number: no line ends, and no sentence does.
fn joined(gap: &[char]) -> bool {
    let signs = |char: &char| separates(*char) && !matches!(char, '\n' | '\t');
    gap.len() <= 4 && gap.iter().all(signs) && !gap.windows(2).any(|pair| pair == ['.', ' '])
}

/// Whether the digits go on a word that has digits already: a code, not a number.
fn in_code(groups: &Groups, first: usize) -> bool {
    let mut word = groups.before(first).take_while(char::is_ascii_alphanumeric);
    word.any(|char| char.is_ascii_digit())
}

/// Where the plus sign of a country code stands, and whether a space follows it. `2 + 3` and `C++ 3` have none.
fn plus(groups: &Groups, first: usize) -> Option<(usize, bool)> {
    let mut before = groups.before(first).peekable();
    let bracket = before.next_if_eq(&'(').is_some();
    let apart = before.next_if_eq(&' ').is_some();
    before.next_if_eq(&'+')?;
    let sign = groups.all[first].0 - 1 - usize::from(bracket) - usize::from(apart);
    let sum = match apart {
        true => before.find(|char| *char != ' '),
        false => before.next(),
    };
    let arithmetic = sum.is_some_and(|char| char.is_ascii_digit() || matches!(char, '+' | ')'));
    (!arithmetic).then_some((sign, apart))
}

/// A number with its country code.
fn international(digits: &str, count: usize) -> bool {
    match digits.bytes().next() {
        Some(b'1') => american(&digits[1..]),
        Some(b'2'..=b'9') => {
            (if count > 1 { 8..=15 } else { 9..=15 }).contains(&digits.len()) && !digits.ends_with("00000")
        }
        _ => false,
    }
}

/// Area, exchange and line of the North American plan.
fn american(digits: &str) -> bool {
    let first = |at: usize| digits.as_bytes().get(at).is_some_and(|digit| *digit >= b'2');
    digits.len() == 10 && first(0) && first(3) && !digits.ends_with("00000")
}

impl Run<'_> {
    fn is_national(&self) -> bool {
        match self.lens()[..] {
            [3, 3, 4] => american(&self.digits) && self.pointed_alike() && !self.is_quantity(),
            [1, 3, 3, 4] => self.digits.strip_prefix('1').is_some_and(american) && self.pointed_alike(),
            _ => self.has_trunk_zero() && self.pointed_alike() && !self.is_row() && !self.counts(),
        }
    }

    fn lens(&self) -> Vec<usize> {
        (self.first..self.first + self.count).map(|group| self.groups.len(group)).collect()
    }

    /// The gaps inside.
    fn gaps(&self) -> Vec<&[char]> {
        (self.first + 1..self.first + self.count).filter_map(|group| self.groups.gap(group)).collect()
    }

    /// Digits with a leading zero, or two and a country code, in groups as people make them.
    fn has_trunk_zero(&self) -> bool {
        let lens = self.lens();
        let digits = &self.digits[..];
        let known = match digits.strip_prefix("00").filter(|_| lens[0] > 1) {
            Some(abroad) => digits.len() > 10 && international(abroad, self.count),
            None => digits.starts_with('0') && (9..=12).contains(&digits.len()) && !digits.ends_with("00000"),
        };
        // 02139-4307 is a place in the United States.
        let place = lens[..] == [5, 4] && self.gaps() == [['-']];
        let singles = lens[1..].iter().filter(|len| **len == 1).count();
        known && if self.count == 1 { !made_up(digits) } else { lens[0] <= 5 && singles < 2 && !place }
    }

    /// Points separate all groups or none, the first one apart: `01.23.45.67.89`, but not `0.25 0.50`.
    fn pointed_alike(&self) -> bool {
        let gaps = self.gaps();
        !gaps.iter().any(|gap| gap.contains(&'.')) || gaps.iter().skip(1).all(|gap| *gap == ['.'])
    }

    /// Groups of one length are a number only as the whole of their row: not as a part of `12 034 056 789`, or of a
    /// serial number.
    fn is_row(&self) -> bool {
        let (lens, gaps) = (self.lens(), self.gaps());
        if self.count < 2 || lens.iter().any(|len| *len != lens[0]) {
            return false;
        }
        // Pairs are how France writes numbers of ten digits; six of them are a lottery's.
        if lens[0] == 2 && self.count != 5 {
            return true;
        }
        let goes_on = |group: usize, gap: Option<&[char]>| {
            let len = self.groups.len(group);
            gap.is_some_and(|gap| gaps.contains(&gap)) && (len == lens[0] || lens[0] == 3 && len < 3)
        };
        let (before, after) = (self.first, self.first + self.count);
        gaps.iter().skip(2).any(|gap| *gap != gaps[1])
            || goes_on(before.wrapping_sub(1), self.groups.gap(before))
            || goes_on(after, self.groups.gap(after))
    }

    /// With spaces between them, round numbers (`300 400 5000 people`), doubled ones (`256 512 1024`) and a part of a
    /// row of rising ones are quantities.
    fn is_quantity(&self) -> bool {
        let values = self.values();
        let (before, after) = (self.first.wrapping_sub(1), self.first + self.count);
        let spaced = |group: usize| self.groups.gap(group) == Some(&[' ']);
        let rising = values.is_sorted_by(|a, b| a < b)
            && (spaced(self.first) && value(self.groups, before) < values[0]
                || spaced(after) && value(self.groups, after) > values[self.count - 1]);
        let round = values.iter().all(|value| value.is_multiple_of(10));
        let doubled = values.windows(2).all(|pair| pair[1] == pair[0].saturating_mul(2));
        (self.first + 1..after).all(spaced) && (rising || round || doubled)
    }

    /// `01 02 03 04 05`, and `0800 1200 1600`.
    fn counts(&self) -> bool {
        let steps: Vec<i64> = self.values().windows(2).map(|pair| i64::from(pair[1]) - i64::from(pair[0])).collect();
        steps.len() > 1 && steps.iter().all(|step| *step == steps[0]) && (steps[0] == 1 || steps[0] % 10 == 0)
    }

    /// The groups as numbers.
    fn values(&self) -> Vec<u32> {
        (self.first..self.first + self.count).map(|group| value(self.groups, group)).collect()
    }
}

/// A group as a number; the largest if it is longer than numbers get.
fn value(groups: &Groups, group: usize) -> u32 {
    groups.digits(group).iter().collect::<String>().parse().unwrap_or(u32::MAX)
}

/// Binary digits, and digits that are counted up.
fn made_up(digits: &str) -> bool {
    let up = |pair: &[u8]| pair[1].wrapping_sub(pair[0]) == 1 || pair == b"90";
    digits.bytes().all(|digit| digit <= b'1') || digits.as_bytes().windows(2).all(up)
}

/// Three groups that are a day, a month and a year, in one of the usual orders.
fn date(groups: &Groups, first: usize) -> bool {
    let gap = groups.gap(first + 1).filter(|gap| matches!(gap, ['-' | '.' | '/']));
    let alike = gap.is_some() && gap == groups.gap(first + 2);
    let (a, b, c) = (value(groups, first), value(groups, first + 1), value(groups, first + 2));
    let day = |a: u32, b: u32| {
        (1..=31).contains(&a) && (1..=12).contains(&b) || (1..=12).contains(&a) && (1..=31).contains(&b)
    };
    let year = |value: u32| (1000..2200).contains(&value);
    let lens = [first, first + 1, first + 2].map(|group| groups.len(group));
    alike
        && match lens {
            [1 | 2, 1 | 2, 4] => day(a, b) && year(c),
            [4, 1 | 2, 1 | 2] => year(a) && day(b, c),
            // Two digits for the year; more of the same are a number in pairs.
            [2, 2, 2] => (day(a, b) || day(b, c)) && groups.gap(first + 3) != gap,
            _ => false,
        }
}
