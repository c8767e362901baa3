//! Products of quantised weights with rows of bytes.
//!
//! Each part of 32 weights is taken apart once for up to four rows. A row's sums are made in the same order whatever
//! other rows there are.

use super::{
    activations::{Activations, Row},
    blocks::{Blocks, PART},
    machine::{Machine, Plain},
};
use std::marker::PhantomData;

/// Some outputs, for all rows.
pub(super) struct Product<'a, B> {
    /// Weights of the outputs, row by row.
    pub(super) data: &'a [u8],
    /// Bytes of one output's weights.
    pub(super) stride: usize,
    pub(super) x: &'a Activations,
    /// `[outputs][rows]`.
    pub(super) tile: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) blocks: PhantomData<B>,
}

impl<B> Product<'_, B> {
    /// Multiplies with the best instructions of this machine.
    pub(super) fn run<const N: usize>(self)
    where
        B: Blocks<N>,
    {
        #[cfg(target_arch = "x86_64")]
        if let Some(v3) = pulp::x86::V3::try_new() {
            struct Run<'a, B, const N: usize>(Product<'a, B>, pulp::x86::V3);
            impl<B: Blocks<N>, const N: usize> pulp::NullaryFnOnce for Run<'_, B, N> {
                type Output = ();
                #[inline(always)]
                fn call(self) {
                    self.0.with::<N, _>(self.1);
                }
            }
            return v3.vectorize(Run(self, v3));
        }
        self.with(Plain);
    }

    #[inline(always)]
    fn with<const N: usize, M: Machine>(mut self, machine: M)
    where
        B: Blocks<N>,
    {
        let mut from = 0;
        for block in [4, 2, 1] {
            while from + block <= self.rows {
                match block {
                    4 => self.group::<N, M, 4>(machine, from),
                    2 => self.group::<N, M, 2>(machine, from),
                    _ => self.group::<N, M, 1>(machine, from),
                }
                from += block;
            }
        }
    }

    /// All outputs for `R` rows from `from` on.
    #[inline(always)]
    fn group<const N: usize, M: Machine, const R: usize>(&mut self, machine: M, from: usize)
    where
        B: Blocks<N>,
    {
        let blocks = self.stride / B::BYTES;
        let x: [Row<'_, N>; R] = std::array::from_fn(|r| self.x.row(from + r).first(blocks));
        for (weights, tile) in self.data.chunks_exact(self.stride).zip(self.tile.chunks_exact_mut(self.rows)) {
            let sums = output::<B, M, N, R>(machine, &weights[..blocks * B::BYTES], &x);
            tile[from..from + R].copy_from_slice(&sums);
        }
    }
}

/// One output for `R` rows.
#[inline(always)]
fn output<B: Blocks<N>, M: Machine, const N: usize, const R: usize>(
    machine: M,
    weights: &[u8],
    x: &[Row<'_, N>; R],
) -> [f32; R] {
    let mut sums = [machine.zero(); R];
    // Rows have as many blocks: no index is checked again.
    for i in 0..x[0].q.len() {
        let block = &weights[i * B::BYTES..(i + 1) * B::BYTES];
        let (scales, q) = (B::scales(block), B::bytes(block));
        for (p, q) in q.iter().enumerate() {
            let lanes = machine.scales(scales.each[p]);
            for r in 0..R {
                let (x, scale) = (&x[r].q[i][p].0, x[r].scales[i][p]);
                // With a min, bytes have no sign.
                let positive = B::MINS || B::HALF_MINS;
                let fours = if positive { machine.fours_of_positive(q, x) } else { machine.fours(q, x) };
                sums[r] = machine.add(sums[r], fours, lanes, scale);
            }
        }
        if B::MINS {
            let mins = eight(&scales.mins);
            for r in 0..R {
                sums[r] = machine.less(sums[r], &mins, &eight(&x[r].sums[i]));
            }
        }
        if B::HALF_MINS {
            for (p, [a, b]) in B::half_mins(block).into_iter().enumerate() {
                let lanes = machine.scales([-a, -b]);
                for r in 0..R {
                    let fours = machine.fours_of_positive(&[1; PART], &x[r].q[i][p].0);
                    sums[r] = machine.add(sums[r], fours, lanes, x[r].scales[i][p]);
                }
            }
        }
    }
    sums.map(|sums| machine.total(sums))
}

/// Filled up with zeros.
#[inline(always)]
fn eight<const N: usize>(values: &[f32; N]) -> [f32; 8] {
    std::array::from_fn(|i| if i < N { values[i] } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantized::{
        large::{IQ4XS, Q2K, Q3K, Q4K, Q6K},
        small::{IQ4NL, Q4_1, Q5_1, Q8_0},
    };

    /// Blocks of any bytes whose half floats are small.
    fn data<B: Blocks<N>, const N: usize>(blocks: usize, halves: &[usize]) -> Vec<u8> {
        let mut data: Vec<u8> = (0..blocks * B::BYTES).map(|i| (i * 193 % 251) as u8).collect();
        for block in data.chunks_exact_mut(B::BYTES) {
            halves.iter().for_each(|at| block[at + 1] = 0x24);
        }
        data
    }

    fn agree<B: Blocks<N>, const N: usize>(halves: &[usize]) {
        let (rows, inputs, outputs) = (7, 512, 5);
        let numbers: Vec<f32> = (0..rows * inputs).map(|i| (i * 7919 % 1013) as f32 / 506.0 - 1.0).collect();
        let x = Activations::new(&numbers, inputs);
        let stride = inputs / (N * 32) * B::BYTES;
        let data = data::<B, N>(outputs * stride / B::BYTES, halves);
        let (mut best, mut plain) = (vec![0.0f32; outputs * rows], vec![0.0f32; outputs * rows]);
        Product::<B> { data: &data, stride, x: &x, tile: &mut best, rows, blocks: PhantomData }.run();
        Product::<B> { data: &data, stride, x: &x, tile: &mut plain, rows, blocks: PhantomData }.with(Plain);
        let scale = best.iter().fold(0.0f32, |m, y| m.max(y.abs()));
        assert!(scale > 0.0 && best.iter().zip(&plain).all(|(a, b)| (a - b).abs() <= 1e-5 * scale));
    }

    #[test]
    fn any_machine_computes_the_same_but_for_rounding() {
        agree::<Q8_0, 1>(&[0]);
        agree::<Q4K, 8>(&[0, 2]);
        agree::<Q6K, 8>(&[208]);
        agree::<Q4_1, 1>(&[0, 2]);
        agree::<Q5_1, 1>(&[0, 2]);
        agree::<Q2K, 8>(&[80, 82]);
        agree::<Q3K, 8>(&[108]);
        agree::<IQ4NL, 1>(&[0]);
        agree::<IQ4XS, 8>(&[0]);
    }
}
