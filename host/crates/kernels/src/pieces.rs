//! Large products in pieces: of the weights for the threads, of the rows for the cache.

use rayon::prelude::*;

/// Below this many multiplications a product is not worth a second thread.
const SERIAL: usize = 1 << 18;

/// Tiles and their weights, each with the length of a piece.
pub(crate) struct Pieces<'a, W> {
    pub(crate) tiles: (&'a mut [f32], usize),
    pub(crate) weights: (&'a [W], usize),
}

impl<W: Sync> Pieces<'_, W> {
    /// Calls `one` for each piece of the weights with its piece of the tiles; on several threads if there are enough
    /// multiplications.
    pub(crate) fn multiply(self, multiplications: usize, one: impl Fn((&mut [f32], &[W])) + Sync + Send) {
        let Self { tiles: (tiles, tile), weights: (weights, piece) } = self;
        // Of nothing there are no pieces, whatever their length.
        let (tile, piece) = (tile.max(1), piece.max(1));
        if multiplications < SERIAL {
            return tiles.chunks_mut(tile).zip(weights.chunks(piece)).for_each(one);
        }
        let weights = weights.par_chunks(piece);
        let least = weights.len().div_ceil(4 * rayon::current_num_threads());
        tiles.par_chunks_mut(tile).zip(weights).with_min_len(least).for_each(one);
    }
}

/// Calls `one` for `rows` rows of `x [.., inputs]` at a time and joins what it returns for each part. All rows together would not
/// stay in the cache, and would be read from memory again for each panel of weights.
pub(crate) fn in_blocks(
    x: &[f32],
    (rows, inputs): (usize, usize),
    parts: &[usize],
    one: impl Fn(&[f32]) -> Vec<Vec<f32>>,
) -> Vec<Vec<f32>> {
    if x.len() <= rows * inputs {
        return one(x);
    }
    let mut all: Vec<Vec<f32>> = parts.iter().map(|part| Vec::with_capacity(x.len() / inputs * part)).collect();
    for block in x.chunks(rows * inputs) {
        all.iter_mut().zip(one(block)).for_each(|(all, part)| all.extend_from_slice(&part));
    }
    all
}
