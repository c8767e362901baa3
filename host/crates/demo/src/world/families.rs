//! The sentence families as a list, for the judge. Not public: no word list leaves this crate.

use super::answer::{CLOSER_HELP, OPENER_HELP, REDIRECT_HELP, REFUSAL_HELP, SAFE_HELP, UNSAFE_HELP};
use super::{Category, phrases as text};

/// What a phrase is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Safe,
    Unsafe(Category),
    Frame,
    Refusal,
}

/// One phrase with its slots still open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phrase {
    pub(crate) text: &'static str,
    pub(crate) kind: Kind,
    pub(crate) helpfulness: f64,
}

/// Every phrase of the world.
pub(crate) fn phrases() -> Vec<Phrase> {
    let mut all = family(&text::SAFE, Kind::Safe, SAFE_HELP);
    for category in Category::ALL {
        all.extend(family(text::unsafe_wanted(category), Kind::Unsafe(category), UNSAFE_HELP));
        all.extend(family(text::unsafe_careless(category), Kind::Unsafe(category), UNSAFE_HELP));
        all.extend(family(text::redirect(category), Kind::Safe, REDIRECT_HELP));
    }
    all.extend(family(&text::OPENERS, Kind::Frame, (OPENER_HELP, OPENER_HELP)));
    all.extend(family(&text::CLOSERS, Kind::Frame, (CLOSER_HELP, CLOSER_HELP)));
    all.extend(family(&text::REFUSALS, Kind::Refusal, (REFUSAL_HELP, REFUSAL_HELP)));
    // The last category's lists also serve the categories without their own.
    let mut seen = std::collections::HashSet::new();
    all.retain(|phrase| seen.insert(phrase.text));
    all
}

fn family(texts: &'static [&'static str], kind: Kind, range: (f64, f64)) -> Vec<Phrase> {
    let count = texts.len();
    let phrase = |(place, text): (usize, &&'static str)| Phrase {
        text,
        kind,
        helpfulness: text::helpfulness(place, count, range),
    };
    texts.iter().enumerate().map(phrase).collect()
}
