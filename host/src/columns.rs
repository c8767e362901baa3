//! Fills the columns of a batch that come from the language model: only those the reader declared.

use crate::beams::Beams;
use inferenceguard_model::{Likely, ModelError};
use inferenceguard_search::{Batch, BatchRow, BeamKey};

/// Fills latents, those of every new token, top-k and logits. Rows whose beam was released stay empty: reading them is a typed error.
pub(crate) fn fill(batch: &mut Batch, beams: &mut Beams<'_>) -> Result<(), ModelError> {
    if !batch.needs.newest_position() {
        return Ok(());
    }
    let needs = batch.needs.clone();
    let mut rows: Vec<&mut BatchRow> = batch.rows_mut().iter_mut().filter(|row| beams.holds(row.id)).collect();
    let keys: Vec<BeamKey> = rows.iter().map(|row| row.id).collect();
    if keys.is_empty() {
        return Ok(());
    }
    if let Some(selector) = needs.latents {
        let latents = beams.latents(&keys, selector)?;
        rows.iter_mut().zip(latents).for_each(|(row, latent)| row.latent = Some(latent));
    }
    if !needs.token_latents.is_empty() {
        let new =
            |row: &&mut BatchRow| (row.id, (row.length as usize).saturating_sub(row.tokens.len())..row.length as usize);
        let tokens: Vec<_> = rows.iter().map(new).collect();
        let latents = beams.token_latents(&tokens, &needs.token_latents)?;
        rows.iter_mut().zip(latents).for_each(|(row, latents)| row.token_latents = Some(latents));
    }
    if needs.top_k > 0 {
        let logprob = |one: Likely| (one.token, one.logprob);
        let likeliest = beams.likeliest(&keys, needs.top_k)?.into_iter();
        let top_k = likeliest.map(|row| row.into_iter().map(logprob).collect());
        rows.iter_mut().zip(top_k).for_each(|(row, top_k)| row.top_k = Some(top_k));
    }
    if needs.logits {
        let logits = beams.logits(&keys)?;
        rows.iter_mut().zip(logits).for_each(|(row, logits)| row.logits = Some(logits));
    }
    Ok(())
}

/// The latents of every token for rows of whole answers that no beam holds: other spellings of an answer, which the model reads once
/// more. Those that do not fit the context stay empty: reading them is a typed error.
pub(crate) fn read_again(batch: &mut Batch, beams: &mut Beams<'_>) -> Result<(), ModelError> {
    let places = batch.needs.token_latents.clone();
    if places.is_empty() {
        return Ok(());
    }
    for row in batch.rows_mut() {
        let whole = !row.tokens.is_empty() && row.tokens.len() == row.length as usize;
        if whole && !beams.holds(row.id) {
            row.token_latents = beams.read_again(&row.tokens, &places)?;
        }
    }
    Ok(())
}
