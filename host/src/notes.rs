//! Keeps what costs note about their prices while a request runs.

use inferenceguard_model::Token;
use inferenceguard_search::{Batch, BatchRow, BeamKey, Decision, Found, Note, Noted, found_along};
use std::{collections::BTreeMap, sync::Arc};

/// The most notes of one request. Later ones are dropped.
const MOST: usize = 16_384;

/// The notes of one request, by beam.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    all: Vec<Noted>,
    parents: BTreeMap<BeamKey, BeamKey>,
    /// The rows of the last decision.
    last: Arc<[BatchRow]>,
    /// The row that it made the answer.
    chosen: Option<usize>,
}

impl Notes {
    /// Takes the notes of a call that priced these rows.
    pub(crate) fn take_notes(&mut self, cost: &str, batch: &Batch, notes: Vec<Note>) {
        self.parents.extend(batch.rows.iter().map(|row| (row.id, row.parent)));
        let noted = notes.into_iter().filter_map(|note| {
            let row = batch.rows.get(note.row as usize).filter(|row| (note.token as usize) < row.tokens.len())?;
            // Of a row, the new tokens are the last ones.
            let token = row.length - row.tokens.len() as u32 + note.token;
            Some(Noted { cost: cost.to_owned(), beam: row.id, token, found: note.found })
        });
        let room = MOST.saturating_sub(self.all.len());
        self.all.extend(noted.take(room));
    }

    /// Takes the rows of a decision.
    pub(crate) fn take_decision(&mut self, batch: &Batch, decision: Option<&Decision>) {
        self.last = Arc::clone(&batch.rows);
        self.chosen = match decision {
            Some(Decision::Answer(row)) => Some(*row as usize),
            _ => None,
        };
    }

    /// What was found in the answer with these tokens.
    pub(crate) fn of(&self, answer: &[Token]) -> Vec<Found> {
        let ends = |row: &&BatchRow| row.length as usize == answer.len() && answer.ends_with(&row.tokens);
        let chosen = self.chosen.and_then(|row| self.last.get(row)).filter(ends);
        let row = chosen.or_else(|| self.last.iter().find(ends));
        row.filter(|_| !answer.is_empty()).map_or_else(Vec::new, |row| found_along(&self.all, &self.line(row)))
    }

    /// All notes, for the trace.
    pub(crate) fn into_all(self) -> Vec<Noted> {
        self.all
    }

    /// A row and all that it continues.
    fn line(&self, row: &BatchRow) -> Vec<BeamKey> {
        let mut line = vec![row.id];
        let mut next = Some(row.parent);
        while let Some(beam) = next.filter(|beam| !line.contains(beam)) {
            line.push(beam);
            next = self.parents.get(&beam).copied();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(rows: &[(BeamKey, BeamKey, u32, &[Token])]) -> Batch {
        let row = |&(id, parent, length, tokens): &(BeamKey, BeamKey, u32, &[Token])| BatchRow {
            id,
            parent,
            length,
            tokens: tokens.to_vec(),
            ..BatchRow::default()
        };
        Batch { rows: rows.iter().map(row).collect(), ..Batch::default() }
    }

    fn note(row: u32, token: u32, found: &str) -> Note {
        Note { row, token, found: found.to_owned() }
    }

    #[test]
    fn an_answer_has_the_notes_of_its_own_line() {
        let mut notes = Notes::default();
        let first = batch(&[(1, 0, 2, &[5, 6]), (2, 0, 2, &[5, 7])]);
        notes.take_notes(
            "words",
            &first,
            vec![note(0, 1, "a"), note(1, 1, "b"), note(2, 0, "no row"), note(0, 2, "no token")],
        );
        let second = batch(&[(3, 2, 4, &[8, 9])]);
        notes.take_notes("words", &second, vec![note(0, 0, "c")]);
        notes.take_decision(&second, Some(&Decision::Answer(0)));
        let found = notes.of(&[5, 7, 8, 9]);
        let seen: Vec<(u32, &str)> = found.iter().map(|one| (one.token, one.found.as_str())).collect();
        assert_eq!(seen, [(1, "b"), (2, "c")]);
        assert!(notes.of(&[]).is_empty(), "a refusal holds nothing");
        assert!(notes.of(&[1, 2, 3, 4]).is_empty(), "another answer");
    }
}
