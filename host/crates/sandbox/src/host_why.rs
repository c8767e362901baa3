//! The contract's `why`: notes about prices.

use crate::{bindings::inferenceguard::guard::why, host_log::cut, state::State};
use inferenceguard_search::Note;

/// The most notes of one call.
const NOTES: usize = 256;
/// The most bytes of one note.
const NOTE: usize = 120;

impl why::Host for State {
    fn note(&mut self, row: u32, token: u32, found: String) -> wasmtime::Result<()> {
        let rows = self.batch.as_ref().map_or(&[][..], |batch| &*batch.rows);
        let is_there = rows.get(row as usize).is_some_and(|row| (token as usize) < row.tokens.len());
        if is_there && self.notes.len() < NOTES {
            self.notes.push(Note { row, token, found: cut(&found, NOTE).to_owned() });
        }
        Ok(())
    }
}
