//! Spoils the answer of a call that grows rows.

use super::{engine::failed, script::Fault};
use crate::{BeamId, Grown, GrownRow};

/// Spoils one row of an answer; the beams that the answer then names no more.
pub(super) fn spoil(grown: &mut Vec<GrownRow>, fault: Option<Fault>, vocab: usize, parents: &[BeamId]) -> Vec<BeamId> {
    match fault {
        Some(Fault::Missing(row)) if row < grown.len() => {
            return grown.remove(row).into_iter().map(|(beam, _)| beam).collect();
        }
        Some(Fault::RowError(row)) if row < grown.len() => {
            let lost = std::mem::replace(&mut grown[row], Err(failed("the engine aborted the row")));
            return lost.into_iter().map(|(beam, _)| beam).collect();
        }
        Some(Fault::WrongBeam(row)) => {
            if let (Some(Ok((beam, _))), Some(parent)) = (grown.get_mut(row), parents.get(row)) {
                return vec![std::mem::replace(beam, *parent)];
            }
        }
        Some(Fault::Outside(row) | Fault::TooMany(row) | Fault::Clipped(row) | Fault::Nan(row)) => {
            if let Some(Ok((_, one))) = grown.get_mut(row) {
                spoil_row(one, fault, vocab);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// Spoils the tokens or numbers of a row.
fn spoil_row(grown: &mut Grown, fault: Option<Fault>, vocab: usize) {
    match fault {
        Some(Fault::Outside(_)) => {
            if let Some(token) = grown.tokens.first_mut() {
                *token = u32::try_from(vocab).unwrap_or(u32::MAX);
            }
        }
        Some(Fault::TooMany(_)) => {
            grown.tokens.extend(grown.tokens.last().copied());
            grown.logprobs.extend(grown.logprobs.last().copied());
        }
        Some(Fault::Clipped(_)) => {
            grown.tokens.pop();
            grown.logprobs.pop();
        }
        Some(Fault::Nan(_)) => {
            if let Some(logprob) = grown.logprobs.first_mut() {
                *logprob = f32::NAN;
            }
        }
        _ => {}
    }
}
