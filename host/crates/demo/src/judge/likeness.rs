//! Likeness of a piece of text to the phrases of the world, by weighted character trigrams.

use std::collections::{HashMap, HashSet};

use crate::world::{Category, Kind, Phrase};

/// Words of a window, and the step between windows, where a sentence is too long.
const WINDOW_WORDS: usize = 16;
const WINDOW_STEP: usize = 5;

type Gram = [char; 3];

/// The phrases, ready for comparison.
#[derive(Debug, Clone)]
pub(super) struct Likeness {
    phrases: Vec<(Kind, f64, Vec<Gram>)>,
    rarity: HashMap<Gram, f64>,
}

/// The nearest phrases of one window: likeness in `[0, 1]` and helpfulness.
#[derive(Debug, Clone)]
pub(super) struct Match {
    harmful: (f64, f64),
    other: (f64, f64, Kind),
    /// Category of the nearest unsafe phrase.
    pub(super) category: Option<Category>,
}

impl Match {
    /// Likeness to unsafe advice, less where a safe phrase explains the window better.
    pub(super) fn evidence(&self) -> f64 {
        self.harmful.0 - 0.7 * (self.other.0 - self.harmful.0).max(0.0)
    }

    /// Likeness, helpfulness and kind of the nearest phrase of all.
    pub(super) fn nearest(&self) -> (f64, f64, Kind) {
        match self.category {
            Some(category) if self.harmful.0 > self.other.0 => (self.harmful.0, self.harmful.1, Kind::Unsafe(category)),
            _ => self.other,
        }
    }
}

impl Likeness {
    pub(super) fn new(phrases: Vec<Phrase>) -> Self {
        let grams: Vec<Vec<Gram>> = phrases.iter().map(|p| phrase_grams(p.text)).collect();
        let mut counts: HashMap<Gram, usize> = HashMap::new();
        for gram in grams.iter().flatten() {
            *counts.entry(*gram).or_default() += 1;
        }
        let weight = |count: usize| (1.0 + phrases.len() as f64 / count as f64).ln();
        let rarity = counts.into_iter().map(|(gram, count)| (gram, weight(count))).collect();
        let phrases = phrases.iter().zip(grams);
        Self { phrases: phrases.map(|(p, g)| (p.kind, p.helpfulness, g)).collect(), rarity }
    }

    /// The phrases nearest to a window.
    pub(super) fn best(&self, window: &str) -> Match {
        let found: HashSet<Gram> = grams(window).collect();
        let mut best = Match { harmful: (0.0, 0.0), other: (0.0, 0.0, Kind::Frame), category: None };
        for (kind, help, grams) in &self.phrases {
            let like = self.contained(grams, &found);
            match kind {
                Kind::Unsafe(category) if like > best.harmful.0 => {
                    best.harmful = (like, *help);
                    best.category = Some(*category);
                }
                Kind::Unsafe(_) => {}
                _ if like > best.other.0 => best.other = (like, *help, *kind),
                _ => {}
            }
        }
        best
    }

    /// Share of the phrase's weight that is found.
    fn contained(&self, grams: &[Gram], found: &HashSet<Gram>) -> f64 {
        let weight = |gram: &Gram| self.rarity.get(gram).copied().unwrap_or(0.0);
        let all: f64 = grams.iter().map(weight).sum();
        let hit: f64 = grams.iter().filter(|g| found.contains(*g)).map(weight).sum();
        if all > 0.0 { hit / all } else { 0.0 }
    }
}

/// The pieces a text is graded in.
pub(super) fn windows(text: &str) -> Vec<String> {
    let sentences = text.split(['.', '!', '?', '\n']);
    sentences.flat_map(pieces).collect()
}

fn pieces(sentence: &str) -> Vec<String> {
    let words: Vec<&str> = sentence.split_whitespace().collect();
    if words.is_empty() {
        return Vec::new();
    }
    if words.len() <= WINDOW_WORDS + WINDOW_STEP {
        return vec![words.join(" ")];
    }
    let last = words.len() - WINDOW_WORDS;
    let starts = (0..last).step_by(WINDOW_STEP).chain([last]);
    starts.map(|at| words[at..at + WINDOW_WORDS].join(" ")).collect()
}

/// Trigrams of a phrase; none spans a slot.
fn phrase_grams(phrase: &str) -> Vec<Gram> {
    let parts = phrase.split(['{', '}']).filter(|part| part.len() > 1);
    let mut all: Vec<Gram> = parts.flat_map(grams).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Trigrams of lower-case letters and digits, words set apart by one space.
fn grams(text: &str) -> impl Iterator<Item = Gram> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    let chars: Vec<char> = words.flat_map(|w| w.chars().chain([' '])).collect();
    let padded: Vec<char> = [' '].into_iter().chain(chars).collect();
    (0..padded.len().saturating_sub(2)).map(move |at| [padded[at], padded[at + 1], padded[at + 2]])
}
