//! International bank account numbers, as ISO 13616 writes them.

use crate::Stretch;
use crate::group::separates;

/// How many characters the account numbers of a country have.
const LENGTHS: &[(usize, &str)] = &[
    (15, "NO"),
    (16, "BE"),
    (18, "DK FI FK FO GL NL SD"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU MN XK"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM SO TL"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BI DJ FR GR IT MC MR SM"),
    (28, "AL AZ BY CY DO GT HN HU LB NI PL SV"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU YE"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];

/// Account numbers, in one piece or in groups of four.
pub(crate) fn ibans(chars: &[char]) -> Vec<Stretch> {
    (0..chars.len()).filter_map(|start| iban(chars, start)).collect()
}

fn iban(chars: &[char], start: usize) -> Option<Stretch> {
    let length = length(chars.get(start..start + 4)?)?;
    let (mut number, mut end) = (Vec::with_capacity(length), start);
    while number.len() < length {
        if number.len().is_multiple_of(4) && end > start {
            end += chars[end..].iter().take(3).take_while(|char| separates(**char)).count();
        }
        number.push(chars.get(end).filter(|char| char.is_ascii_alphanumeric())?.to_ascii_uppercase());
        end += 1;
    }
    let digit = |at: Option<&char>| at.is_some_and(char::is_ascii_digit);
    let apart = !digit(chars.get(end)) && !digit(start.checked_sub(1).and_then(|at| chars.get(at)));
    (apart && modulo_97(&number) == 1).then_some((start, end))
}

/// How long an account number with this head (country and check digits) is.
fn length(head: &[char]) -> Option<usize> {
    if !head[2..].iter().all(char::is_ascii_digit) || !head[..2].iter().all(char::is_ascii_alphabetic) {
        return None;
    }
    let country: String = head[..2].iter().map(char::to_ascii_uppercase).collect();
    LENGTHS.iter().find(|(_, countries)| countries.split(' ').any(|one| one == country)).map(|(length, _)| *length)
}

/// The remainder of the account number, head moved to the end, letters as 10 to 35.
fn modulo_97(number: &[char]) -> u32 {
    let (head, tail) = number.split_at(4);
    tail.iter().chain(head).filter_map(|char| char.to_digit(36)).fold(0, |rest, value| {
        let shift = if value > 9 { 100 } else { 10 };
        (rest * shift + value) % 97
    })
}
