//! Fills the columns of a batch that come from the language model: only those the reader declared.

use crate::beams::Beams;
use inferenceguard_model::{ModelError, log_softmax, top_k};
use inferenceguard_search::{Batch, BatchRow, BeamKey};

/// Fills latents, top-k and logits. Rows whose beam was released stay empty: reading them is a typed error.
pub(crate) fn fill(batch: &mut Batch, beams: &mut Beams<'_>) -> Result<(), ModelError> {
    if !batch.needs.newest_position() {
        return Ok(());
    }
    let needs = batch.needs.clone();
    let mut rows: Vec<&mut BatchRow> = batch.rows_mut().iter_mut().filter(|row| beams.holds(row.id)).collect();
    let keys: Vec<BeamKey> = rows.iter().map(|row| row.id).collect();
    if let Some(selector) = needs.latents {
        let latents = beams.host_latents(&keys, selector)?;
        rows.iter_mut().zip(latents).for_each(|(row, latent)| row.latent = Some(latent));
    }
    if needs.top_k == 0 && !needs.logits {
        return Ok(());
    }
    for (row, logits) in rows.iter_mut().zip(beams.host_logits(&keys)?) {
        if needs.top_k > 0 {
            row.top_k = Some(top_k(&log_softmax(&logits), needs.top_k as usize));
        }
        row.logits = needs.logits.then_some(logits);
    }
    Ok(())
}
