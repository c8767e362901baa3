//! Misspellings and dropped words, to fit and to test the judge.

use inferenceguard_dice::Dice;

/// A copy of `text` in which each letter is changed, dropped or doubled with probability `rate`,
/// and each word dropped with half of it. Full stops stay.
pub fn corrupt(text: &str, rate: f64, seed: u64) -> String {
    let mut dice = Dice::new(seed, &[7]);
    let mut words = Vec::new();
    for word in text.split(' ') {
        if word.ends_with('.') || !dice.chance(rate / 2.0) {
            words.push(word.chars().flat_map(|c| letter(&mut dice, c, rate)).collect::<String>());
        }
    }
    words.join(" ")
}

fn letter(dice: &mut Dice, c: char, rate: f64) -> Vec<char> {
    if !c.is_alphabetic() || !dice.chance(rate) {
        return vec![c];
    }
    match dice.below(3) {
        0 => vec![],
        1 => vec![c, c],
        _ => vec![(b'a' + dice.below(26) as u8) as char],
    }
}
