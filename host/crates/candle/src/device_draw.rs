//! Draws from logits where they are: the weights of blocks come to the host, then the one block each draw falls into.
//!
//! Tokens are in the order of their ids, as where the host draws from a whole row. A row of 128,256 logits thus costs 1,131
//! numbers of transfer.

use crate::error::backend;
use candle_core::{Result, Tensor};
use inferenceguard_model::{ModelError, Sampled, Token};
use std::collections::HashMap;

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
    let (tempered, indices) = Tempered::of(draws);
    let shifted = shifted(logits, &tempered).map_err(backend)?;
    let weights = weights(&shifted, &tempered).map_err(backend)?;
    let usable = |row: &Weights| row.total.is_normal() && row.sum().is_normal();
    if !weights.iter().all(usable) {
        return Err(ModelError::NotFinite("logits"));
    }
    let landings: Vec<Landing> =
        draws.iter().zip(indices).map(|(draw, row)| Landing::of(draw, row, &weights[row])).collect();
    let blocks = chosen(&shifted, &landings).map_err(backend)?;
    let token =
        |((draw, landing), block): ((&Draw, &Landing), &Vec<f32>)| landing.token(draw, block, &weights[landing.row]);
    Ok(draws.iter().zip(&landings).zip(&blocks).map(token).collect())
}

/// A row at a temperature; several draws may share it.
#[derive(Clone, Copy)]
struct Tempered {
    row: usize,
    temperature: f32,
}

impl Tempered {
    /// Each once, and which of them each draw is from.
    fn of(draws: &[Draw]) -> (Vec<Self>, Vec<usize>) {
        let mut seen = HashMap::new();
        let mut all = Vec::new();
        let index = |draw: &Draw| {
            *seen.entry((draw.row, draw.temperature.to_bits())).or_insert_with(|| {
                all.push(Self { row: draw.row, temperature: draw.temperature });
                all.len() - 1
            })
        };
        let indices = draws.iter().map(index).collect();
        (all, indices)
    }
}

/// What the tokens of a row weigh, its likeliest weighing 1.
struct Weights {
    /// All of them at temperature 1.
    total: f32,
    /// Each block at the draws' temperature.
    blocks: Vec<f32>,
}

impl Weights {
    fn blocks(&self) -> impl Iterator<Item = f64> {
        self.blocks.iter().map(|weight| f64::from(*weight))
    }

    fn sum(&self) -> f64 {
        self.blocks().sum()
    }
}

/// Where a draw falls.
struct Landing {
    /// Of the tempered rows.
    row: usize,
    block: usize,
    /// The weight that it passes inside the block.
    left: f64,
}

impl Landing {
    fn of(draw: &Draw, row: usize, weights: &Weights) -> Self {
        let (block, left) = fall(weights.blocks(), draw.at * weights.sum());
        Self { row, block, left }
    }

    /// The token, from the logits of the block below the row's largest.
    fn token(&self, draw: &Draw, block: &[f32], weights: &Weights) -> Sampled {
        let weigh = |logit: &f32| (f64::from(*logit) / f64::from(draw.temperature)).exp();
        let (inside, _) = fall(block.iter().map(weigh), self.left);
        Sampled { token: (self.block * BLOCK + inside) as Token, logprob: block[inside] - weights.total.ln() }
    }
}

/// Rows below their largest logits, `[rows, vocab]`, filled up to whole blocks.
fn shifted(logits: &Tensor, rows: &[Tempered]) -> Result<Tensor> {
    let index: Vec<u32> = rows.iter().map(|one| one.row as u32).collect();
    let picked = logits.index_select(&Tensor::new(index, logits.device())?, 0)?;
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

fn weights(shifted: &Tensor, rows: &[Tempered]) -> Result<Vec<Weights>> {
    let inverse: Vec<f32> = rows.iter().map(|one| 1.0 / one.temperature).collect();
    let inverse = Tensor::from_vec(inverse, (rows.len(), 1), shifted.device())?;
    let (count, width) = shifted.dims2()?;
    let blocks = shifted.broadcast_mul(&inverse)?.exp()?.reshape((count, width / BLOCK, BLOCK))?.sum(2)?;
    let totals = match rows.iter().all(|one| one.temperature == 1.0) {
        true => blocks.sum_keepdim(1)?,
        false => shifted.exp()?.sum_keepdim(1)?,
    };
    // One transfer.
    let all = Tensor::cat(&[totals, blocks], 1)?.to_vec2::<f32>()?;
    Ok(all.into_iter().map(|mut row| Weights { total: row.remove(0), blocks: row }).collect())
}

/// The block that each draw fell into.
fn chosen(shifted: &Tensor, landings: &[Landing]) -> Result<Vec<Vec<f32>>> {
    let blocks = shifted.dim(1)? / BLOCK;
    let index: Vec<u32> = landings.iter().map(|landing| (landing.row * blocks + landing.block) as u32).collect();
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
