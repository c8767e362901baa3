//! Puts what steering returned back into the latents.

use crate::beams::Beams;
use inferenceguard_model::{ModelError, Rows};
use inferenceguard_search::{BeamKey, Role, RoleFailure, Steered};

/// Writes the new latents of the beams `keys`; a failure of the component if they do not fit.
pub(crate) fn write_back(
    steered: Steered,
    keys: &[BeamKey],
    beams: &mut Beams<'_>,
) -> Result<Result<(), RoleFailure>, ModelError> {
    let width = beams.hidden();
    let (keys, data) = match steered {
        Steered::Unchanged => return Ok(Ok(())),
        Steered::All(data) => (keys.to_vec(), data),
        Steered::Rows(rows) => match pick(rows, keys, width) {
            Ok(picked) => picked,
            Err(failure) => return Ok(Err(failure)),
        },
    };
    if let Err(failure) = check(&data, keys.len(), width) {
        return Ok(Err(failure));
    }
    beams.steer(&keys, Rows::host(keys.len(), width, data)?);
    Ok(Ok(()))
}

fn pick(rows: Vec<(u32, Vec<f32>)>, keys: &[BeamKey], width: usize) -> Result<(Vec<BeamKey>, Vec<f32>), RoleFailure> {
    let mut picked = Vec::with_capacity(rows.len());
    let mut data = Vec::with_capacity(rows.len() * width);
    for (row, latent) in rows {
        let known = keys.get(row as usize).copied().filter(|key| !picked.contains(key));
        let expected = || format!("rows below {}, each once", keys.len());
        picked.push(known.ok_or_else(|| bad(format!("a latent for row {row}"), expected()))?);
        check(&latent, 1, width)?;
        data.extend(latent);
    }
    Ok((picked, data))
}

fn check(data: &[f32], rows: usize, width: usize) -> Result<(), RoleFailure> {
    if data.len() != rows * width {
        return Err(bad(format!("{} numbers", data.len()), format!("{rows} rows of {width}")));
    }
    match data.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(bad(format!("a latent with {value}"), "finite numbers".to_owned())),
        None => Ok(()),
    }
}

fn bad(found: String, expected: String) -> RoleFailure {
    RoleFailure::bad_output(Role::Steering, "steering", found, expected)
}
