//! Products of quantised weights with rows of bytes.
//!
//! Each part of 32 weights is taken apart once for up to four rows. A row's sums are made in the same order whatever
//! other rows there are.

use super::{
    activations::{Activations, Row},
    blocks::{Blocks, PART},
};
use std::marker::PhantomData;

/// The products of 32 bytes with 32 others, summed by fours: exact, so that every machine gets the same.
pub(super) trait Fours: Copy {
    /// Whether a fused multiply-add is one instruction.
    const FUSED: bool;
    /// `w` is any byte, `x` from -127 to 127.
    fn fours(self, w: &[i8; PART], x: &[i8; PART]) -> [i32; 8];
}

/// Any machine: what the compiler makes of it.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Fours for Plain {
    const FUSED: bool = false;

    #[inline(always)]
    fn fours(self, w: &[i8; PART], x: &[i8; PART]) -> [i32; 8] {
        std::array::from_fn(|lane| (4 * lane..4 * lane + 4).map(|i| i32::from(w[i]) * i32::from(x[i])).sum())
    }
}

#[cfg(target_arch = "x86_64")]
impl Fours for pulp::x86::V3 {
    const FUSED: bool = true;

    #[inline(always)]
    fn fours(self, w: &[i8; PART], x: &[i8; PART]) -> [i32; 8] {
        let (w, x): (pulp::i8x32, pulp::i8x32) = (pulp::bytemuck::cast(*w), pulp::bytemuck::cast(*x));
        // The instruction takes bytes without sign on the left: the signs go over to the right. Pairs stay below 2^15.
        let (size, x) = (self.unsigned_abs_i8x32(w), self.apply_sign_i8x32(x, w));
        let pairs = self.multiply_saturating_add_adjacent_i8x32(size, x);
        pulp::bytemuck::cast(self.multiply_wrapping_add_adjacent_i16x16(pairs, self.splat_i16x16(1)))
    }
}

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
    fn with<const N: usize, F: Fours>(self, fours: F)
    where
        B: Blocks<N>,
    {
        let mut from = 0;
        for block in [4, 2, 1] {
            while from + block <= self.rows {
                for (weights, tile) in self.data.chunks_exact(self.stride).zip(self.tile.chunks_exact_mut(self.rows)) {
                    let to = &mut tile[from..from + block];
                    match block {
                        4 => rows::<B, F, N, 4>(fours, weights, self.x, from, to),
                        2 => rows::<B, F, N, 2>(fours, weights, self.x, from, to),
                        _ => rows::<B, F, N, 1>(fours, weights, self.x, from, to),
                    }
                }
                from += block;
            }
        }
    }
}

#[inline(always)]
fn fused<F: Fours>(a: f32, b: f32, c: f32) -> f32 {
    if F::FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// One output for `R` rows from `from` on.
#[inline(always)]
fn rows<B: Blocks<N>, F: Fours, const N: usize, const R: usize>(
    fours: F,
    weights: &[u8],
    x: &Activations,
    from: usize,
    to: &mut [f32],
) {
    let x: [Row<'_>; R] = std::array::from_fn(|r| x.row(from + r));
    let mut sums = [[0.0f32; 8]; R];
    for (i, block) in weights.chunks_exact(B::BYTES).enumerate() {
        let parts = B::parts(block);
        for p in 0..N {
            let scales: [f32; 8] = std::array::from_fn(|lane| parts.scales[p][lane / 4]);
            for r in 0..R {
                add::<F>(fours, &parts.q[p], &scales, &x[r], i * N + p, &mut sums[r]);
            }
        }
        for r in 0..if B::MINS { R } else { 0 } {
            for p in 0..N {
                sums[r][p % 8] = fused::<F>(-parts.mins[p], x[r].sums[i * N + p], sums[r][p % 8]);
            }
        }
    }
    for (to, sums) in to.iter_mut().zip(sums) {
        let [a, b, c, d, e, f, g, h] = sums;
        *to = ((a + e) + (c + g)) + ((b + f) + (d + h));
    }
}

/// One part for one row.
#[inline(always)]
fn add<F: Fours>(fours: F, q: &[i8; PART], scales: &[f32; 8], x: &Row<'_>, part: usize, sums: &mut [f32; 8]) {
    let (dots, scale) = (fours.fours(q, &x.q[part]), x.scales[part]);
    for lane in 0..8 {
        sums[lane] = fused::<F>(dots[lane] as f32, scales[lane] * scale, sums[lane]);
    }
}
