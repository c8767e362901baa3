//! What a handle holds, and which beams it may name.

use crate::{BeamId, Caller, Effort, GrowRow, GrownRow, ModelError};
use std::collections::HashSet;

/// What one caller holds of a back end: its beams, and what its calls have taken since that was last read.
#[derive(Debug)]
pub struct Holding {
    /// Who it works for.
    pub caller: Caller,
    /// Its beams.
    pub beams: OwnBeams,
    /// What its calls have taken.
    pub effort: Effort,
}

impl Holding {
    /// Nothing yet.
    #[must_use]
    pub fn new(caller: &Caller) -> Self {
        Self { caller: caller.clone(), beams: OwnBeams::default(), effort: Effort::default() }
    }
}

/// The beams of one handle. Those of other handles do not exist for it.
#[derive(Debug, Default)]
pub struct OwnBeams(HashSet<BeamId>);

/// Rows that a handle may not grow: where they were, and their parents.
#[derive(Debug, Default)]
pub struct ForeignRows(Vec<(usize, BeamId)>);

impl OwnBeams {
    /// Adds beams that were made.
    pub fn add(&mut self, beams: impl IntoIterator<Item = BeamId>) {
        self.0.extend(beams);
    }

    /// These beams, if all are of this handle.
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`].
    pub fn check(&self, beams: impl IntoIterator<Item = BeamId>) -> Result<Vec<BeamId>, ModelError> {
        let own = |beam| if self.0.contains(&beam) { Ok(beam) } else { Err(ModelError::UnknownBeam(beam)) };
        beams.into_iter().map(own).collect()
    }

    /// Takes beams out; gives those that were there.
    pub fn remove(&mut self, beams: &[BeamId]) -> Vec<BeamId> {
        beams.iter().copied().filter(|beam| self.0.remove(beam)).collect()
    }

    /// Takes all beams out.
    pub fn remove_all(&mut self) -> Vec<BeamId> {
        self.0.drain().collect()
    }

    /// Parts the rows whose parents are of this handle from others, which fail by themselves.
    ///
    /// # Errors
    /// [`ModelError::UnknownBeam`] when no row is left.
    pub fn split(&self, rows: Vec<GrowRow>) -> Result<(Vec<GrowRow>, ForeignRows), ModelError> {
        let (mut own, mut foreign) = (Vec::with_capacity(rows.len()), Vec::new());
        for (i, row) in rows.into_iter().enumerate() {
            if self.0.contains(&row.parent) {
                own.push(row);
            } else {
                foreign.push((i, row.parent));
            }
        }
        match foreign.first() {
            Some((_, beam)) if own.is_empty() => Err(ModelError::UnknownBeam(*beam)),
            _ => Ok((own, ForeignRows(foreign))),
        }
    }

    /// The outcomes of all rows in the order of the call. The new beams are added.
    pub fn join(&mut self, mut grown: Vec<GrownRow>, foreign: ForeignRows) -> Vec<GrownRow> {
        self.add(grown.iter().flatten().map(|(beam, _)| *beam));
        for (i, beam) in foreign.0 {
            grown.insert(i.min(grown.len()), Err(ModelError::UnknownBeam(beam)));
        }
        grown
    }
}
