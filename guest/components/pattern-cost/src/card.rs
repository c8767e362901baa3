//! Payment card numbers: issued ranges, usual groupings, and the check digit.

use crate::Stretch;
use crate::group::{Groups, Read, separates};

/// Card numbers of 13 to 19 digits, in one piece or in groups.
pub(crate) fn cards(chars: &[char]) -> Vec<Stretch> {
    let groups = Groups::of(chars);
    groups.read(|at| card(&groups, at).unwrap_or(Read::Skip(1)))
}

/// The shortest card number that begins with this group.
fn card(groups: &Groups, first: usize) -> Option<Read> {
    let (mut number, mut lens) = (String::new(), Vec::new());
    for group in first..groups.all.len() {
        if group > first && !joined(groups, group) || number.len() + groups.len(group) > 19 {
            return None;
        }
        number.extend(groups.digits(group));
        lens.push(groups.len(group));
        if issued(&number) && luhn(&number) && grouped(groups, first, &lens) && apart(groups, first, &number) {
            return Some(Read::Found(lens.len(), groups.stretch(first, lens.len())));
        }
    }
    None
}

/// Whether a group may belong to the same number as the one before it.
fn joined(groups: &Groups, group: usize) -> bool {
    groups.gap(group).is_some_and(|gap| gap.len() <= 3 && gap.iter().all(|char| separates(*char)))
}

/// Fours, eights and twelves (the last group may be shorter) and the groups of American Express and Diners may stand
/// among other numbers. Two large groups, and groups of another equal length, are a card number only if no more groups
/// follow or precede: rows of small numbers are written too often.
fn grouped(groups: &Groups, first: usize, lens: &[usize]) -> bool {
    let (Some((last, rest)), [head, ..]) = (lens.split_last(), lens) else { return false };
    let even = *last <= *head && rest.iter().all(|len| len == head);
    match lens {
        [_] | [4, 6, 4 | 5] => true,
        // A decimal number.
        [_, _] if groups.gap(first + 1) == Some(&['.']) => false,
        _ if (*last < 4 || last.is_multiple_of(4)) && rest.iter().all(|len| len.is_multiple_of(4)) => true,
        [a, b] if *a.min(b) < 4 => false,
        _ => (even || rest.len() == 1) && !joined(groups, first) && !joined(groups, first + lens.len()),
    }
}

/// Neither the end of a longer number nor, if it is short enough for one, a phone number with its country.
fn apart(groups: &Groups, first: usize, number: &str) -> bool {
    let abroad = number.len() <= 15 && groups.before(first).next() == Some('+');
    !(abroad || groups.goes_on(first))
}

/// The ranges that card schemes have been given, by length.
fn issued(number: &str) -> bool {
    let lead = |digits: usize| number.get(..digits).and_then(|lead| lead.parse::<u32>().ok()).unwrap_or(0);
    match number.len() {
        13 => lead(1) == 4,
        14 => matches!(lead(2), 30 | 36 | 38 | 39),
        15 => matches!(lead(2), 34 | 37),
        // 2200 to 2204 and 2221 to 2720: Mir and Mastercard; 3528 to 3589: JCB; 81 and 82: RuPay; 9792: Troy.
        16 => {
            matches!(lead(1), 4..=6)
                || matches!(lead(2), 81 | 82)
                || matches!(lead(4), 2200..=2204 | 2221..=2720 | 3528..=3589 | 9792)
        }
        17 | 18 => lead(1) == 6 || matches!(lead(2), 50 | 56..=58),
        19 => matches!(lead(1), 4 | 6) || matches!(lead(2), 50 | 56..=58),
        _ => false,
    }
}

/// The check of ISO/IEC 7812: every second digit from the right is doubled, and the digit sum is a multiple of ten.
fn luhn(number: &str) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let digits = number.chars().rev().filter_map(|char| char.to_digit(10));
    let sum: u32 = digits.enumerate().map(|(i, digit)| if i % 2 == 1 { doubled(digit) } else { digit }).sum();
    sum.is_multiple_of(10)
}
