//! Writes the latents that steering returned.

use crate::beams::Beams;
use inferenceguard_model::{ModelError, Rows};
use inferenceguard_search::{BeamKey, Check, Role, RoleFailure, Steered};

/// Writes the new latents of the beams `keys`. Latents that do not fit are a failure of the component.
pub(crate) fn write_back(
    steered: Steered,
    keys: &[BeamKey],
    beams: &mut Beams<'_>,
) -> Result<Result<(), RoleFailure>, ModelError> {
    let width = beams.hidden();
    let check = Check { role: Role::Steering, component: "steering" };
    let (keys, data) = match check.steered(steered, keys.len(), width) {
        Err(failure) => return Ok(Err(failure)),
        Ok(Steered::Unchanged) => return Ok(Ok(())),
        Ok(Steered::All(data)) => (keys.to_vec(), data),
        Ok(Steered::Rows(edits)) => {
            let (rows, latents): (Vec<u32>, Vec<Vec<f32>>) = edits.into_iter().unzip();
            (rows.into_iter().map(|row| keys[row as usize]).collect(), latents.concat())
        }
    };
    if keys.is_empty() {
        return Ok(Ok(()));
    }
    beams.steer(&keys, Rows::host(keys.len(), width, data)?)?;
    Ok(Ok(()))
}
