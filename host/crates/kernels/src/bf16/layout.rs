//! How weights and rows of x lie in memory: pairs of bf16, in units of 32 inputs. All kernels here read the same order.

use crate::product::LANES;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Pairs of inputs in a tile; a row of weights or of x is filled up with zeros.
pub(super) const PAIRS: usize = 16;

/// Inputs of a tile.
pub(super) const DEPTH: usize = 2 * PAIRS;

/// Rows of x that lie side by side.
pub(super) const BLOCK: usize = 16;

/// 32 inputs of 16 outputs: `[inputs / 2][outputs]`, each a pair.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Tile(pub(super) [[u32; LANES]; PAIRS]);

impl Tile {
    pub(super) const ZERO: Self = Self([[0; LANES]; PAIRS]);
}

/// 32 numbers of a row of x, by pairs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; PAIRS]);

impl Line {
    const ZERO: Self = Self([0; PAIRS]);
}

/// Rows of x as bf16.
pub(super) struct Rows {
    /// `[blocks][tiles][rows of the block]`; a block has 16 rows, the last one what is left.
    lines: Vec<Line>,
    rows: usize,
    tiles: usize,
}

impl Rows {
    /// Lays out `x [rows, inputs]`; each number is rounded to the nearest bf16, ties to even.
    pub(super) fn new(x: &[f32], inputs: usize) -> Self {
        let (rows, tiles) = (x.len() / inputs, inputs.div_ceil(DEPTH));
        let mut lines = vec![Line::ZERO; rows * tiles];
        let arch = Arch::new();
        let blocks = lines.par_chunks_mut(BLOCK * tiles).zip(x.par_chunks(BLOCK * inputs));
        blocks.for_each(|(lines, x)| arch.dispatch(Rounding { x, inputs, lines }));
        Self { lines, rows, tiles }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Tiles that cover the inputs.
    pub(super) fn tiles(&self) -> usize {
        self.tiles
    }

    /// The lines of `count` rows from `row` on: `row` begins a block, and so does the row behind them, unless there is none.
    pub(super) fn lines(&self, row: usize, count: usize) -> &[Line] {
        &self.lines[row * self.tiles..(row + count) * self.tiles]
    }
}

/// Some panels for all rows, and some of the inputs.
pub(super) struct Task<'a> {
    pub(super) x: &'a Rows,
    /// Which tiles of a panel and lines of a row.
    pub(super) tiles: Range<usize>,
    /// `[panels][all tiles]`.
    pub(super) panels: &'a [Tile],
    /// `[panels][rows][16]`; products are added to them, input by input in their order.
    pub(super) sums: &'a mut [[f32; LANES]],
}

/// One block of rows.
struct Rounding<'a> {
    x: &'a [f32],
    inputs: usize,
    lines: &'a mut [Line],
}

impl WithSimd for Rounding<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, inputs, lines } = self;
        let rows = x.len() / inputs;
        for (row, x) in x.chunks_exact(inputs).enumerate() {
            let (whole, rest) = x.as_chunks::<DEPTH>();
            for (tile, x) in whole.iter().enumerate() {
                lines[tile * rows + row] = line(x);
            }
            if !rest.is_empty() {
                let mut x = [0.0; DEPTH];
                x[..rest.len()].copy_from_slice(rest);
                lines[whole.len() * rows + row] = line(&x);
            }
        }
    }
}

#[inline(always)]
fn line(x: &[f32; DEPTH]) -> Line {
    let mut line = Line::ZERO;
    for (pair, x) in line.0.iter_mut().zip(x.as_chunks().0) {
        *pair = self::pair(x);
    }
    line
}

/// Two numbers as bf16, the first one in the low half.
#[inline(always)]
pub(super) fn pair([first, second]: &[f32; 2]) -> u32 {
    bits(*first) | bits(*second) << 16
}

/// The two numbers of a pair.
#[inline(always)]
pub(super) fn numbers(pair: u32) -> [f32; 2] {
    [f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000)]
}

/// The bits of the nearest bf16, ties to even; NaN stays NaN, and what is beyond the largest number becomes infinite.
#[inline(always)]
fn bits(x: f32) -> u32 {
    let bits = x.to_bits();
    // A NaN whose low bits alone are set must not become infinite.
    if x.is_nan() { bits >> 16 | 0x40 } else { (bits + 0x7fff + (bits >> 16 & 1)) >> 16 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    #[test]
    fn numbers_round_as_the_format_says() {
        let special = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, -0.0, 1e-40];
        // NaN that would round to infinity, ties on both sides, and numbers of any size.
        let ties = [0x7f80_0001, 0xff80_0001, 0x3f80_8000, 0x3f81_8000, 0x3f80_7fff, 0x3f80_8001].map(f32::from_bits);
        let all = (0..1u32 << 20).map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b1)));
        for x in special.into_iter().chain(ties).chain(all) {
            let ([low, high], expected) = (numbers(pair(&[x, -x])), bf16::from_f32(x).to_f32());
            let same = if x.is_nan() { low.is_nan() && high.is_nan() } else { low == expected && high == -expected };
            assert!(same, "{x} gave {low} and {high}, not {expected}");
        }
    }

    #[test]
    fn each_number_of_a_row_has_its_place() {
        for (rows, inputs) in [(1, 1), (3, 33), (16, 32), (17, 95), (40, 64)] {
            let x: Vec<f32> = (0..rows * inputs).map(|i| (i % 256) as f32).collect();
            let found = Rows::new(&x, inputs);
            let tiles = inputs.div_ceil(DEPTH);
            assert_eq!((found.rows(), found.tiles(), found.lines(0, rows).len()), (rows, tiles, rows * tiles));
            for row in 0..rows {
                let first = row / BLOCK * BLOCK;
                let side = (rows - first).min(BLOCK);
                let block = found.lines(first, side);
                for i in 0..tiles * DEPTH {
                    let expected = if i < inputs { x[row * inputs + i] } else { 0.0 };
                    let line = &block[i / DEPTH * side + row - first].0;
                    assert_eq!(numbers(line[i % DEPTH / 2])[i % 2], expected, "number {i} of row {row}");
                }
            }
        }
    }
}
