//! Products of quantised weights with rows of bytes.
//!
//! Each part of 32 weights is taken apart once for up to four rows. A row's sums are made in the same order whatever
//! other rows there are.

use super::{
    activations::{Activations, Row},
    blocks::Blocks,
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
    /// With the best instructions of this machine.
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
                let fours = if B::MINS { machine.fours_of_positive(q, x) } else { machine.fours(q, x) };
                sums[r] = machine.add(sums[r], fours, lanes, scale);
            }
        }
        if let (true, Some(mins)) = (B::MINS, scales.mins.first_chunk()) {
            for r in 0..R {
                let Some(x) = x[r].sums[i].first_chunk() else { continue };
                sums[r] = machine.less(sums[r], mins, x);
            }
        }
    }
    sums.map(|sums| machine.total(sums))
}
