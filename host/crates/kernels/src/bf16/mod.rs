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
    /// From `[outputs, inputs]`, row by row, each number rounded to the nearest bf16, ties to even; of numbers that are bf16
    /// nothing is lost. `inputs` is not 0.
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

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;

    fn number(i: usize) -> f32 {
        ((i * 7919) % 1013) as f32 / 506.0 - 1.0
    }

    fn rounded(x: f32) -> f64 {
        bf16::from_f32(x).to_f64()
    }

    fn alike(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
    }

    /// By every kind of instructions: a row alone gives what it gives among others, and what the definition says of numbers that
    /// were rounded to bf16. Each addition rounds by at most half a unit in the last place, 2^-24 of all sizes together.
    fn check(rows: usize, inputs: usize, outputs: usize) {
        let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
        let bias: Vec<f32> = (0..outputs).map(number).collect();
        let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
        let matrix = Bf16::new(&weight, outputs, inputs);
        for machine in Machine::all() {
            let forward = |x: &[f32]| matrix.forward_on(*machine, x, &[outputs], Some(&bias)).remove(0);
            let y = forward(&x);
            for (row, x) in x.chunks(inputs).enumerate() {
                let alone = forward(x);
                assert!(
                    alike(&y[row * outputs..(row + 1) * outputs], &alone),
                    "{rows}, {inputs}, {outputs}: row {row}"
                );
                for (o, found) in alone.iter().enumerate() {
                    let terms = x.iter().zip(&weight[o * inputs..]).map(|(a, b)| rounded(*a) * rounded(*b));
                    let (sum, size) = terms.fold((0.0, 1.0), |(sum, size), term| (sum + term, size + term.abs()));
                    let expected = sum + f64::from(bias[o]);
                    let most = size * (inputs + 2) as f64 * f64::exp2(-24.0);
                    assert!((f64::from(*found) - expected).abs() < most, "{found} and {expected}");
                }
            }
        }
    }

    #[test]
    fn products_match_the_definition_and_ignore_the_batch() {
        for rows in 1..=40 {
            for (inputs, outputs) in [(1, 1), (5, 3), (31, 16), (32, 17), (33, 50), (64, 64), (95, 130)] {
                check(rows, inputs, outputs);
            }
        }
    }

    #[test]
    fn large_products_match_the_definition_and_ignore_the_batch() {
        // More rows than one block has, more inputs than one pass reads, and enough work for several threads.
        for (rows, inputs, outputs) in [(300, 48, 70), (3, 2 * TILES * DEPTH + 100, 20), (130, TILES * DEPTH + 1, 33)] {
            check(rows, inputs, outputs);
        }
        check(2, 600, 500);
        // As many numbers as several threads take out of the panels.
        check(220, 48, 320);
    }

    /// Integers that are exact as bf16, with sums that are exact as f32: nothing is rounded, so nothing may differ.
    #[test]
    fn sums_that_need_no_rounding_are_exact_on_every_machine() {
        for (rows, inputs, outputs) in
            [(1, 40, 20), (4, 2100, 64), (16, 64, 33), (17, 576, 16), (32, 96, 100), (39, 33, 5)]
        {
            let integer = |i: usize| ((i * 7919) % 129) as i32 - 64;
            let weight: Vec<f32> = (0..outputs * inputs).map(|i| integer(i) as f32).collect();
            let x: Vec<f32> = (0..rows * inputs).map(|i| integer(i + 5) as f32).collect();
            let sum = |row: usize, o: usize| -> i32 {
                (0..inputs).map(|i| integer(o * inputs + i) * integer(row * inputs + i + 5)).sum()
            };
            let expected: Vec<f32> = (0..rows * outputs).map(|i| sum(i / outputs, i % outputs) as f32).collect();
            let matrix = Bf16::new(&weight, outputs, inputs);
            for machine in Machine::all() {
                assert_eq!(matrix.forward_on(*machine, &x, &[outputs], None), [expected.as_slice()]);
            }
        }
    }

    #[test]
    fn any_machine_computes_the_same_but_for_rounding() {
        let (rows, inputs, outputs) = (37, 700, 90);
        let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
        let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
        let matrix = Bf16::new(&weight, outputs, inputs);
        let plain = matrix.forward_on(Machine::Plain, &x, &[outputs], None).remove(0);
        let scale = plain.iter().fold(0.0f32, |most, y| most.max(y.abs()));
        assert!(scale > 1.0);
        for machine in Machine::all() {
            let found = matrix.forward_on(*machine, &x, &[outputs], None).remove(0);
            assert!(found.iter().zip(&plain).all(|(a, b)| (a - b).abs() <= 1e-5 * scale));
        }
        assert!(alike(
            &matrix.forward(&x, &[outputs], None)[0],
            &matrix.forward_on(Machine::all()[0], &x, &[outputs], None)[0]
        ));
    }

    #[test]
    fn rows_are_read_as_they_were_rounded() {
        for (inputs, outputs) in [(1, 1), (33, 20), (64, 16)] {
            let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
            let matrix = Bf16::new(&weight, outputs, inputs);
            let mut rows = Vec::new();
            (0..outputs).for_each(|row| matrix.push_row(row, &mut rows));
            let expected: Vec<f32> = weight.iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
            assert_eq!(rows, expected);
            // Of numbers that are bf16 nothing is lost.
            let again = Bf16::new(&rows, outputs, inputs);
            let mut same = Vec::new();
            (0..outputs).for_each(|row| again.push_row(row, &mut same));
            assert_eq!(rows, same);
            assert_eq!((matrix.inputs(), matrix.outputs()), (inputs, outputs));
        }
    }

    #[test]
    fn matrices_side_by_side_give_what_each_gives_alone() {
        let (rows, inputs) = (5, 70);
        let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
        let bias: Vec<f32> = (0..53).map(number).collect();
        let one = |outputs: usize| {
            Bf16::new(&(0..outputs * inputs).map(|i| number(i + outputs)).collect::<Vec<_>>(), outputs, inputs)
        };
        let mut together = one(16);
        assert!(together.append(&one(32)) && together.append(&one(5)));
        let found = together.forward(&x, &[16, 32, 5], Some(&bias));
        for ((outputs, from), found) in [(16, 0), (32, 16), (5, 48)].into_iter().zip(found) {
            let alone = one(outputs).forward(&x, &[outputs], Some(&bias[from..from + outputs])).remove(0);
            assert!(alike(&found, &alone), "{outputs} outputs");
        }
        assert!(!together.append(&one(16)), "what follows 53 outputs would not begin a panel");
        assert!(!one(16).append(&Bf16::new(&[1.0; 32], 1, 32)), "other inputs");
    }

    #[test]
    fn no_rows_give_none() {
        let matrix = Bf16::new(&[1.0; 20 * 33], 20, 33);
        for machine in Machine::all() {
            assert_eq!(matrix.forward_on(*machine, &[], &[16, 4], None), [Vec::new(), Vec::new()] as [Vec<f32>; 2]);
        }
    }

    #[test]
    fn numbers_that_are_not_finite_do_not_vanish() {
        let matrix = Bf16::new(&[0.5; 20 * 70], 20, 70);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let mut x = vec![0.5; 3 * 70];
            x[70 + 66] = bad;
            for machine in Machine::all() {
                let y = matrix.forward_on(*machine, &x, &[20], None).remove(0);
                let finite = |row: usize| y[row * 20..(row + 1) * 20].iter().filter(|y| y.is_finite()).count();
                assert_eq!([0, 1, 2].map(finite), [20, 0, 20], "{bad}");
            }
        }
    }
}
