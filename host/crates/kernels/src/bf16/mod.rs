//! Matrices of bf16, 16 bits a number: half of what f32 reads from memory.
//!
//! The rows of x are rounded to bf16, products are exact, sums are f32. How a sum is rounded on the way is the machine's: AMX adds
//! 32 inputs at a time, AVX-512 two, any other machine one; AMX and AVX-512 also take numbers below 2^-126 as 0. A process chooses
//! once, and computes all rows in that way: they are the same from call to call, but another machine may round them otherwise.
//!
//! **Invariant**: as in the kernels for f32, a row's numbers do not depend on which other rows are in the batch.

mod amx;
mod avx512;
mod layout;
mod plain;
#[cfg(test)]
mod tests;

use crate::{
    pieces::{Pieces, in_blocks},
    product::{LANES, unpack},
    room::with_room,
};
use amx::Amx;
use avx512::Avx512;
use layout::{DEPTH, PAIRS, Rows, Task, Tile, numbers, pair};
use std::{ops::Range, sync::OnceLock};

/// Panels side by side in a piece of work.
const SIDE: usize = 4;
/// Rows multiplied at once, and tiles of their inputs: together they take a megabyte at most and stay in the cache.
const ROWS: usize = 256;
const TILES: usize = 64;

/// What multiplies.
#[derive(Clone, Copy)]
enum Machine {
    /// Tiles.
    Amx(Amx),
    /// Vectors of pairs.
    Avx512(Avx512),
    /// Vectors of f32, on any machine.
    Plain,
}

impl Machine {
    /// All that this machine can do, the fastest first; looked up once.
    fn all() -> &'static [Self] {
        static ALL: OnceLock<Vec<Machine>> = OnceLock::new();
        ALL.get_or_init(|| {
            let fast = [Amx::detect().map(Self::Amx), Avx512::detect().map(Self::Avx512)];
            fast.into_iter().flatten().chain([Self::Plain]).collect()
        })
    }

    fn multiply(self, task: Task<'_>) {
        match self {
            Self::Amx(machine) => amx::multiply(machine, task),
            Self::Avx512(machine) => avx512::multiply(machine, task),
            Self::Plain => plain::multiply(task),
        }
    }
}

/// A weight matrix `[outputs, inputs]` of bf16, as panels of 16 outputs.
pub struct Bf16 {
    /// `[panels][inputs / 32]`, filled up with zeros.
    tiles: Vec<Tile>,
    inputs: usize,
    outputs: usize,
}

impl Bf16 {
    /// Packs `weight [outputs, inputs]`, row by row. Each number is rounded to the nearest bf16, ties to even; numbers that are
    /// bf16 already stay as they are. `inputs` is not 0.
    #[must_use]
    pub fn new(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        let depth = inputs.div_ceil(DEPTH);
        let mut tiles = vec![Tile::ZERO; outputs.div_ceil(LANES) * depth];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut tiles[output / LANES * depth..];
            for (i, values) in row.chunks(2).enumerate() {
                let values = [values[0], values.get(1).copied().unwrap_or_default()];
                panel[2 * i / DEPTH].0[i % PAIRS][output % LANES] = pair(&values);
            }
        }
        Self { tiles, inputs, outputs }
    }

    /// Columns of a product.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers of a row of weights.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// As [`Packed::append`](crate::Packed::append).
    pub fn append(&mut self, other: &Self) -> bool {
        let fits = self.inputs == other.inputs && self.outputs.is_multiple_of(LANES);
        if fits {
            self.tiles.extend_from_slice(&other.tiles);
            self.outputs += other.outputs;
        }
        fits
    }

    /// Appends row `row` as f32, exactly.
    pub fn push_row(&self, row: usize, to: &mut Vec<f32>) {
        let depth = self.inputs.div_ceil(DEPTH);
        let panel = &self.tiles[row / LANES * depth..][..depth];
        let pairs = panel.iter().flat_map(|tile| &tile.0).map(|pairs| numbers(pairs[row % LANES]));
        to.extend(pairs.flatten().take(self.inputs));
    }

    /// `x [rows, inputs]` to `[rows, part]` for each part of the outputs; all but the last are multiples of 16. The bias,
    /// one number per output, is added.
    #[must_use]
    pub fn forward(&self, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        self.forward_on(Machine::all()[0], x, parts, bias)
    }

    fn forward_on(&self, machine: Machine, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        in_blocks(x, (ROWS, self.inputs), parts, |x| self.forward_block(machine, x, parts, bias))
    }

    fn forward_block(&self, machine: Machine, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        let x = Rows::new(x, self.inputs);
        let (rows, depth) = (x.rows(), x.tiles());
        with_room(self.outputs.div_ceil(LANES) * rows * LANES, |sums| {
            for from in (0..depth).step_by(TILES) {
                self.add(machine, &x, from..depth.min(from + TILES), sums);
            }
            unpack(sums, rows, parts, bias)
        })
    }

    /// Adds the products of some inputs to sums `[panels][rows][16]`; the first ones begin them.
    fn add(&self, machine: Machine, x: &Rows, tiles: Range<usize>, sums: &mut [f32]) {
        let multiplications = x.rows() * tiles.len() * DEPTH * self.outputs;
        let weights = (self.tiles.as_slice(), SIDE * x.tiles());
        Pieces { tiles: (sums, SIDE * x.rows() * LANES), weights }.multiply(multiplications, |(sums, panels)| {
            if tiles.start == 0 {
                sums.fill(0.0);
            }
            machine.multiply(Task { x, tiles: tiles.clone(), panels, sums: sums.as_chunks_mut().0 });
        });
    }
}
