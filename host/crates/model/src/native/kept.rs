//! Latents of every token that a beam was given: costs that price by token read them.
//!
//! Beams of one parent share the latents of its tokens. A beam that is freed frees what no other beam shares.

use super::{Native, table_rows::finite_latents};
use crate::{BeamId, LatentSelector, ModelError};
use std::{ops::Range, sync::Arc};

/// The latents of one place of the model, one per token since the beam was asked to keep them.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    place: LatentSelector,
    tokens: Vec<Arc<[f32]>>,
}

impl Native {
    /// From now on these beams, and their forks, keep the latents of the tokens that they are given.
    pub(super) fn keep(&mut self, beams: &[BeamId], places: &[LatentSelector]) -> Result<(), ModelError> {
        // A place that the model does not have is refused here, and not in the middle of a step.
        places.iter().try_for_each(|place| self.newest_latents(beams, *place).map(|_| ()))?;
        for id in beams {
            if let Some(beam) = self.beams.get_mut(id) {
                beam.kept = places.iter().map(|place| Kept { place: *place, tokens: Vec::new() }).collect();
            }
        }
        Ok(())
    }

    /// Keeps the latents of the tokens that these beams were just given, if they keep any.
    pub(super) fn keep_newest(&mut self, beams: &[BeamId]) -> Result<(), ModelError> {
        for place in self.kept_places(beams) {
            let keeps =
                |id: &BeamId| self.beams.get(id).is_some_and(|beam| beam.kept.iter().any(|one| one.place == place));
            let keeping: Vec<BeamId> = beams.iter().copied().filter(keeps).collect();
            let rows = self.newest_latents(&keeping, place)?;
            for (id, row) in keeping.iter().zip(rows) {
                let kept = self.beams.get_mut(id).into_iter().flat_map(|beam| &mut beam.kept);
                kept.filter(|one| one.place == place).for_each(|one| one.tokens.push(Arc::clone(&row)));
            }
        }
        Ok(())
    }

    /// All places of which some of these beams keep latents, each once.
    fn kept_places(&self, beams: &[BeamId]) -> Vec<LatentSelector> {
        let mut places = Vec::new();
        for one in beams.iter().filter_map(|id| self.beams.get(id)).flat_map(|beam| &beam.kept) {
            if !places.contains(&one.place) {
                places.push(one.place);
            }
        }
        places
    }

    /// The latents of these tokens, row by row: those of one token lie side by side, in the order of `places`.
    pub(super) fn kept(
        &self,
        rows: &[(BeamId, Range<usize>)],
        places: &[LatentSelector],
    ) -> Result<Vec<Arc<[f32]>>, ModelError> {
        let read = |(id, tokens): &(BeamId, Range<usize>)| self.kept_row(*id, tokens, places);
        finite_latents(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    fn kept_row(&self, id: BeamId, tokens: &Range<usize>, places: &[LatentSelector]) -> Result<Arc<[f32]>, ModelError> {
        let kept = &self.beam(id)?.kept;
        let column = |place: &LatentSelector| {
            let column = kept.iter().find(|one| one.place == *place).map(|one| one.tokens.as_slice());
            let wanted = column.and_then(|column| column.get(tokens.clone()));
            wanted.ok_or_else(|| not_kept(*place, tokens, column))
        };
        let columns = places.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let mut row = Vec::new();
        for at in 0..tokens.len() {
            columns.iter().for_each(|column| row.extend_from_slice(&column[at]));
        }
        Ok(row.into())
    }
}

fn not_kept(place: LatentSelector, tokens: &Range<usize>, kept: Option<&[Arc<[f32]>]>) -> ModelError {
    let expected = format!("tokens {}..{} of {place:?}", tokens.start, tokens.end);
    let found = kept.map_or("none".to_owned(), |kept| format!("{} tokens", kept.len()));
    ModelError::Shape { what: "kept latents", expected, found }
}
