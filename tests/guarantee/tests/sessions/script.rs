//! Random scripts for the toy: a small language with several spellings of the same text, and what it costs.

use inferenceguard_guarantee_tests::Dice;
use std::{fmt::Write as _, ops::RangeInclusive};

/// `bad` is one token, `ba` `+d`, or `b` `a` `d` spaced out; whatever is glued is also a word, so any text encodes. The
/// glued ones come last.
const WORDS: [&str; 10] = ["a", "b", "c", "d", "ba", "bad", "er", "+d", "+er", "+c"];

/// What one script is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flavour {
    /// Whether some text has a negative cost.
    pub(crate) signed: bool,
    /// Whether the cost model re-tokenises and withholds its tail.
    pub(crate) withheld: bool,
    /// Whether every text has one spelling only: nothing is glued, and nothing is invisible.
    pub(crate) plain: bool,
}

/// A script with the score models `cost`, `other` and `reward`.
pub(crate) fn script(dice: &mut Dice, flavour: Flavour) -> String {
    let words = if flavour.plain { &WORDS[..7] } else { &WORDS[..] };
    let mut text = format!("vocab: <eos>* <pad> ask {}\ncontext: 64\n", words.join(" "));
    let _ = writeln!(text, "after : {}", weights(dice, words));
    for word in words {
        if dice.chance(0.5) {
            let _ = writeln!(text, "after {word} : {}", weights(dice, words));
        }
    }
    let withheld = if flavour.withheld { " withheld" } else { "" };
    let cumulative = if dice.chance(0.15) { " cumulative" } else { "" };
    let low = if flavour.signed { -8 } else { 0 };
    let _ = writeln!(text, "score cost{withheld}{cumulative}: {}", values(dice, words, low..=12));
    let _ = writeln!(text, "score other: {}", values(dice, words, low..=12));
    let _ = writeln!(text, "score reward cumulative: {}", values(dice, words, -4..=12));
    text
}

/// Some words likely, some out of reach, and sometimes an end.
fn weights(dice: &mut Dice, words: &[&str]) -> String {
    let mut entries = vec![format!("<eos> {}", dice.pick(&[0, 0, 1, 2, 4])), format!("a {}", dice.whole(1, 4))];
    if words.len() == WORDS.len() && dice.chance(0.1) {
        entries.push("<pad> 1".into());
    }
    for word in &words[1..] {
        if dice.chance(0.6) {
            entries.push(format!("{word} {}", dice.pick(&[0, 1, 1, 2, 6])));
        }
    }
    entries.join(", ")
}

/// Quarters, for single words and for some pairs.
fn values(dice: &mut Dice, words: &[&str], range: RangeInclusive<i64>) -> String {
    let value = |dice: &mut Dice| dice.whole(*range.start(), *range.end()) as f64 / 4.0;
    let mut entries: Vec<String> = Vec::new();
    for (i, word) in words.iter().enumerate() {
        if dice.chance(0.5) {
            entries.push(format!("{word} {}", value(dice)));
        }
        if dice.chance(0.15) {
            entries.push(format!("{word} {} {}", words[(i * 3 + 2) % words.len()], value(dice)));
        }
    }
    if dice.chance(0.2) {
        entries.push(format!("<eos> {}", value(dice)));
    }
    entries.join(", ")
}
