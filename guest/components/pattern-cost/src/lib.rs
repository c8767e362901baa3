//! The cost `pattern-cost`: personal data and secrets, each class with a weight, charged at the token that completes
//! it.
//!
//! Every pattern has a shape and, where there is one, a checksum and a table of what was issued: a card number must lie
//! in the range of a scheme and pass Luhn, an IBAN must have its country's length and pass modulo 97. Text is folded
//! first: full-width and foreign digits, dashes, spaces and invisible characters hide nothing, nor do letters next to a
//! number. The end of the new text counts as the end of a pattern, so that the last word of an answer is not free.
//!
//! Not found by design, because everyday text would be charged or because there is no shape to recognise:
//! - numbers in words, circled or superscript digits, letters for digits, addresses with ` at ` and ` dot `;
//! - cards in odd groups (`41 111 11 ...`), in pairs or single digits next to other numbers, with more than 3 signs
//!   between two groups, or with others than spaces, dashes, points, slashes, underscores and brackets (commas make
//!   lists);
//! - IBANs with gaps other than after every fourth character;
//! - phone numbers without `+`, `0` or North American groups: national ones of countries without a leading zero, ten
//!   digits in one piece, local ones of less than 9 digits, spaced-out digits, numbers across lines;
//! - North American numbers with spaces in a row of rising numbers, or of round or doubled groups only (`300 400
//!   5000`);
//! - patterns that began more than 512 characters, visible or not, before the new text.
//!
//! False matches: numbers of cards' length that pass their check by chance, codes that look like
//! phone numbers with a leading zero (old ISBNs, article numbers, five pairs of digits), digests as `secret`, and
//! placeholders in words behind the prefix of a key (`glpat-your-token-goes-here`). A
//! border between chunks may end a number early: what was a pattern at the end of a chunk stays charged, also where a
//! longer one of another class grows from it.

mod bank;
mod card;
mod email;
mod fold;
mod group;
mod phone;
mod secret;

use fold::Text;
use inferenceguard_guest::{BatchView, Cost, CostGrain, CostKind, Description, Need, Passage, RoleError, Settings};
use inferenceguard_guest::{Setup, Span, Value, describe, register_cost, why};

/// Charged characters read before the new ones: far more than any pattern has, to leave room for invisible ones.
const LOOKBACK: u32 = 512;

/// A stretch of text: its first character, and one past its last.
type Stretch = (usize, usize);

/// What finds a class.
type Finder = fn(&[char]) -> Vec<Stretch>;

/// Name, default weight, explanation and finder of every class.
const CLASSES: [(&str, f64, &str, Finder); 6] = [
    ("email", 3.0, "The cost of an e-mail address, at least 0.", email::emails),
    ("phone", 3.0, "The cost of a phone number, at least 0.", phone::phones),
    ("card", 10.0, "The cost of a payment card number, at least 0.", card::cards),
    ("iban", 10.0, "The cost of an international bank account number, at least 0.", bank::ibans),
    ("key", 10.0, "The cost of an access key or private key, at least 0.", secret::keys),
    ("secret", 3.0, "The cost of a long random text that may be a key, at least 0.", secret::random),
];

/// A weight per class.
#[derive(Debug)]
pub struct PatternCost {
    weights: Vec<f64>,
}

impl Setup for PatternCost {
    fn describe() -> Description {
        let description = describe!("Charges for personal data and secrets.");
        CLASSES.iter().fold(description, |all, (name, weight, help, _)| all.setting(name, Value::Number(*weight), help))
    }

    fn configure(settings: &Settings) -> Result<Self, String> {
        let weights = CLASSES.iter().map(|(name, ..)| settings.number(name, 0.0..)).collect::<Result<_, _>>()?;
        Ok(Self { weights })
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need::Text, Need::Lookback(LOOKBACK)]
    }
}

impl Cost for PatternCost {
    fn kind(&self) -> CostKind {
        CostKind::Safety
    }

    fn grain(&self) -> CostGrain {
        CostGrain::Token
    }

    fn price(&self, rows: &dyn BatchView, row: u32) -> Result<Vec<f64>, RoleError> {
        let note = |token, span: &Span| why::note(row, token, CLASSES[span.pattern].0);
        Ok(Passage::read(rows, row)?.noted_prices(|chars| self.find(chars), note))
    }
}

impl PatternCost {
    /// All patterns; of two that overlap only the one of the earlier class in this order: key, iban, card, email,
    /// phone, secret. A card number is not a phone number as well.
    fn find(&self, chars: &[char]) -> Vec<Span> {
        let text = Text::of(chars);
        let mut taken = vec![false; text.chars.len()];
        let mut spans = Vec::new();
        for pattern in [4, 3, 2, 0, 1, 5] {
            let (.., finder) = CLASSES[pattern];
            for stretch in finder(&text.chars) {
                let cells = &mut taken[stretch.0..stretch.1];
                if !cells.contains(&true) {
                    cells.fill(true);
                    let (start, end) = text.place(stretch);
                    spans.push(Span { pattern, start, end, weight: self.weights[pattern] });
                }
            }
        }
        spans
    }
}

/// The longest stretches of characters that `part` accepts.
fn stretches(chars: &[char], part: impl Fn(char) -> bool) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for (at, _) in chars.iter().enumerate().filter(|(_, char)| part(**char)) {
        match found.last_mut() {
            Some((_, end)) if *end == at => *end = at + 1,
            _ => found.push((at, at + 1)),
        }
    }
    found
}

register_cost!(PatternCost);
