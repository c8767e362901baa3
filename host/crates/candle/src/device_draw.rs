//! Draws from logits where they are: the weights of blocks come to the host, then the one block each draw falls into.
//!
//! Tokens are in the order of their ids, as where the host draws from a whole row. A row of 128,256 logits thus costs 1,131
//! numbers of transfer.

use crate::error::backend;
use candle_core::{Result, Tensor};
use inferenceguard_model::{ModelError, Sampled, Token};

/// Tokens of a block.
const BLOCK: usize = 128;

/// A draw from the whole vocabulary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw {
    /// Of the logits.
    pub(crate) row: usize,
    /// Above 0.
    pub(crate) temperature: f32,
    /// In [0, 1).
    pub(crate) at: f64,
}

/// One token for each draw from `logits [rows, vocab]`.
pub(crate) fn draw(logits: &Tensor, draws: &[Draw]) -> std::result::Result<Vec<Sampled>, ModelError> {
    if draws.is_empty() {
        return Ok(Vec::new());
    }
    let shifted = shifted(logits, draws).map_err(backend)?;
    let (totals, blocks) = weights(&shifted, draws).map_err(backend)?;
    let mut places = Vec::with_capacity(draws.len());
    for ((draw, blocks), total) in draws.iter().zip(&blocks).zip(&totals) {
        if !total.is_finite() || *total <= 0.0 {
            return Err(ModelError::NotFinite("logits"));
        }
        let sum: f64 = blocks.iter().map(|weight| f64::from(*weight)).sum();
        places.push(fall(blocks.iter().map(|weight| f64::from(*weight)), draw.at * sum));
    }
    let chosen = chosen(&shifted, &places, blocks[0].len()).map_err(backend)?;
    let token = |(((draw, place), total), block): (((&Draw, &(usize, f64)), &f32), Vec<f32>)| {
        let weigh = |logit: &f32| (f64::from(*logit) / f64::from(draw.temperature)).exp();
        let (inside, _) = fall(block.iter().map(weigh), place.1);
        Sampled { token: (place.0 * BLOCK + inside) as Token, logprob: block[inside] - total.ln() }
    };
    Ok(draws.iter().zip(&places).zip(&totals).zip(chosen).map(token).collect())
}

/// The row of each draw below its largest logit, `[draws, vocab]`, filled up to whole blocks.
fn shifted(logits: &Tensor, draws: &[Draw]) -> Result<Tensor> {
    let rows: Vec<u32> = draws.iter().map(|draw| draw.row as u32).collect();
    let picked = logits.index_select(&Tensor::new(rows, logits.device())?, 0)?;
    let shifted = picked.broadcast_sub(&picked.max_keepdim(1)?)?;
    let (rows, vocab) = shifted.dims2()?;
    match vocab % BLOCK {
        0 => Ok(shifted),
        over => {
            let nothing = Tensor::full(f32::NEG_INFINITY, (rows, BLOCK - over), logits.device())?;
            Tensor::cat(&[shifted, nothing], 1)
        }
    }
}

/// The weight of each row at temperature 1, and of each of its blocks at the draw's temperature.
fn weights(shifted: &Tensor, draws: &[Draw]) -> Result<(Vec<f32>, Vec<Vec<f32>>)> {
    let inverse: Vec<f32> = draws.iter().map(|draw| 1.0 / draw.temperature).collect();
    let inverse = Tensor::from_vec(inverse, (draws.len(), 1), shifted.device())?;
    let (rows, width) = shifted.dims2()?;
    let blocks = shifted.broadcast_mul(&inverse)?.exp()?.reshape((rows, width / BLOCK, BLOCK))?.sum(2)?;
    let totals = match draws.iter().all(|draw| draw.temperature == 1.0) {
        true => blocks.sum_keepdim(1)?,
        false => shifted.exp()?.sum_keepdim(1)?,
    };
    // One transfer.
    let mut all = Tensor::cat(&[totals, blocks], 1)?.to_vec2::<f32>()?;
    Ok((all.iter_mut().map(|row| row.remove(0)).collect(), all))
}

/// The block that each draw fell into.
fn chosen(shifted: &Tensor, places: &[(usize, f64)], blocks: usize) -> Result<Vec<Vec<f32>>> {
    let index: Vec<u32> = places.iter().enumerate().map(|(row, (block, _))| (row * blocks + block) as u32).collect();
    shifted.reshape(((), BLOCK))?.index_select(&Tensor::new(index, shifted.device())?, 0)?.to_vec2()
}

/// Where the cumulative weight passes `target`, and what is left of it there; rounding may leave it past the last one with
/// any weight.
fn fall(weights: impl Iterator<Item = f64>, target: f64) -> (usize, f64) {
    let (mut passed, mut last) = (0.0, (0, 0.0));
    for (i, weight) in weights.enumerate() {
        if target < passed + weight {
            return (i, target - passed);
        }
        if weight > 0.0 {
            last = (i, weight);
        }
        passed += weight;
    }
    last
}
