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
    let (totals, weights) = weights(&shifted, draws).map_err(backend)?;
    if totals.iter().any(|total| !total.is_finite() || *total <= 0.0) {
        return Err(ModelError::NotFinite("logits"));
    }
    let places: Vec<Place> = draws.iter().zip(&weights).map(|(draw, weights)| Place::of(draw, weights)).collect();
    let blocks = chosen(&shifted, &places).map_err(backend)?;
    let rows = draws.iter().zip(&totals).zip(places.iter().zip(&blocks));
    Ok(rows.map(|((draw, total), (place, block))| place.token(draw, block, *total)).collect())
}

/// Where a draw falls.
struct Place {
    block: usize,
    /// The weight that it passes inside the block.
    left: f64,
}

impl Place {
    fn of(draw: &Draw, weights: &[f32]) -> Self {
        let weights = || weights.iter().map(|weight| f64::from(*weight));
        let (block, left) = fall(weights(), draw.at * weights().sum::<f64>());
        Self { block, left }
    }

    /// The token, from the logits of the block below the row's largest, and the row's weight at temperature 1.
    fn token(&self, draw: &Draw, block: &[f32], total: f32) -> Sampled {
        let weigh = |logit: &f32| (f64::from(*logit) / f64::from(draw.temperature)).exp();
        let (inside, _) = fall(block.iter().map(weigh), self.left);
        Sampled { token: (self.block * BLOCK + inside) as Token, logprob: block[inside] - total.ln() }
    }
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
fn chosen(shifted: &Tensor, places: &[Place]) -> Result<Vec<Vec<f32>>> {
    let blocks = shifted.dim(1)? / BLOCK;
    let index: Vec<u32> = places.iter().enumerate().map(|(row, place)| (row * blocks + place.block) as u32).collect();
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
