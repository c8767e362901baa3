//! Why prices are what they are: notes that costs write beside them. They change no decision.

use crate::BeamKey;
use serde::{Deserialize, Serialize};

/// What a cost says of one price of its last call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The row of the call.
    pub row: u32,
    /// The new token of that row that pays for it, from 0.
    pub token: u32,
    /// What was found, such as an entry of a word list.
    pub found: String,
}

/// A note about a token of a beam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// The cost that wrote it.
    pub cost: String,
    /// The beam whose new token it is about.
    pub beam: BeamKey,
    /// The token, counted from the first of the answer.
    pub token: u32,
    /// What was found.
    pub found: String,
}

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The cost that found it.
    pub cost: String,
    /// The token that paid for it, counted from the first of the answer.
    pub token: u32,
    /// What it is.
    pub found: String,
}

/// The notes along a line of beams, in order, each once.
#[must_use]
pub fn found_along(notes: &[Noted], line: &[BeamKey]) -> Vec<Found> {
    let mut found = Vec::new();
    for note in notes.iter().filter(|note| line.contains(&note.beam)) {
        let one = Found { cost: note.cost.clone(), token: note.token, found: note.found.clone() };
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found.sort_by_key(|one: &Found| one.token);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_a_line_are_those_of_its_beams_in_order_and_each_once() {
        let note = |beam, token, found: &str| Noted { cost: "words".into(), beam, token, found: found.into() };
        let notes = [note(3, 5, "b"), note(1, 2, "a"), note(2, 2, "other"), note(3, 5, "b")];
        let found = found_along(&notes, &[0, 1, 3]);
        let seen: Vec<(u32, &str)> = found.iter().map(|one| (one.token, one.found.as_str())).collect();
        assert_eq!(seen, [(2, "a"), (5, "b")]);
        assert!(found_along(&notes, &[9]).is_empty());
    }
}
