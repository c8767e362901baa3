//! E-mail addresses.

use crate::Stretch;

/// `local@domain.top`.
pub(crate) fn emails(chars: &[char]) -> Vec<Stretch> {
    let signs = chars.iter().enumerate().filter(|(_, char)| **char == '@');
    signs.filter_map(|(at, _)| Some((local(chars, at)?, domain(chars, at + 1)?))).collect()
}

/// Where the part before the sign begins.
fn local(chars: &[char], sign: usize) -> Option<usize> {
    let part = |char: &&char| char.is_alphanumeric() || "._%+-".contains(**char);
    let start = sign - chars[..sign].iter().rev().take_while(part).count();
    (start..sign).find(|at| chars[*at] != '.')
}

/// Where the domain ends: after the last label that can be a top-level domain.
fn domain(chars: &[char], start: usize) -> Option<usize> {
    let part = |char: &char| char.is_alphanumeric() || *char == '-';
    let (mut at, mut best, mut labels, mut named) = (start, None, 0, false);
    loop {
        let label = at + chars[at..].iter().take_while(|char| part(char)).count();
        // All labels but a lone one (163.com) being numbers, it is a version (1.0.beta).
        if labels == 1 || labels > 1 && named {
            best = top(&chars[at..label]).map(|len| at + len).or(best);
        }
        if label == at || chars.get(label) != Some(&'.') {
            return best;
        }
        named |= chars[at..label].iter().any(|char| char.is_alphabetic());
        labels += 1;
        at = label + 1;
    }
}

/// How much of a label is a top-level domain: its letters, at least two, or all of an encoded name.
fn top(label: &[char]) -> Option<usize> {
    let encoded = label.len() > 5 && label[..4].iter().collect::<String>().eq_ignore_ascii_case("xn--");
    let letters = label.iter().take_while(|char| char.is_alphabetic()).count();
    match encoded {
        true => Some(label.len()),
        false => (letters >= 2).then_some(letters),
    }
}
