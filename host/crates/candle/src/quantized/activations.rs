//! Rows of x as bytes: 32 numbers share a scale.

use super::blocks::PART;
use pulp::{Arch, Simd, WithSimd};

/// `[rows][parts]`; number `i` of a part is `scale * q[i]`, to half a step of `largest / 127`.
pub(super) struct Activations {
    q: Vec<[i8; PART]>,
    scales: Vec<f32>,
    /// The sums of the numbers as they were rounded.
    sums: Vec<f32>,
    /// Parts in a row.
    parts: usize,
}

/// One row, by blocks of `N` parts.
#[derive(Clone, Copy)]
pub(super) struct Row<'a, const N: usize> {
    pub(super) q: &'a [[[i8; PART]; N]],
    pub(super) scales: &'a [[f32; N]],
    pub(super) sums: &'a [[f32; N]],
}

impl<const N: usize> Row<'_, N> {
    /// The first blocks. Said once, no index below is looked at again.
    #[inline(always)]
    pub(super) fn first(self, blocks: usize) -> Self {
        Self { q: &self.q[..blocks], scales: &self.scales[..blocks], sums: &self.sums[..blocks] }
    }
}

impl Activations {
    /// Of `x [rows, inputs]`; `inputs` is a multiple of 32. A part with NaN or infinity has the scale NaN.
    pub(super) fn new(x: &[f32], inputs: usize) -> Self {
        let (x, _) = x.as_chunks::<PART>();
        let (q, scales, sums) = (vec![[0; PART]; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]);
        let mut all = Self { q, scales, sums, parts: inputs / PART };
        Arch::new().dispatch(Rounding { x, to: &mut all });
        all
    }

    #[inline(always)]
    pub(super) fn row<const N: usize>(&self, row: usize) -> Row<'_, N> {
        let parts = row * self.parts..(row + 1) * self.parts;
        Row {
            q: self.q[parts.clone()].as_chunks().0,
            scales: self.scales[parts.clone()].as_chunks().0,
            sums: self.sums[parts].as_chunks().0,
        }
    }
}

struct Rounding<'a> {
    x: &'a [[f32; PART]],
    to: &'a mut Activations,
}

impl WithSimd for Rounding<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Activations { q, scales, sums, .. } = self.to;
        for (((x, q), scale), sum) in self.x.iter().zip(q).zip(scales).zip(sums) {
            (*q, *scale, *sum) = round(x);
        }
    }
}

/// Bytes, their scale, and the sum of what they stand for.
#[inline(always)]
fn round(x: &[f32; PART]) -> ([i8; PART], f32, f32) {
    let mut lanes = [0.0f32; 8];
    let mut poison = [0.0f32; 8];
    for i in 0..PART {
        let size = x[i].abs();
        lanes[i % 8] = if size > lanes[i % 8] { size } else { lanes[i % 8] };
        poison[i % 8] += x[i] * 0.0;
    }
    let largest = lanes.iter().fold(0.0f32, |a, b| if *b > a { *b } else { a });
    // 0 unless a number is not finite: then NaN.
    let poison: f32 = poison.iter().sum();
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    let mut q = [0i8; PART];
    let mut sum = 0i32;
    for i in 0..PART {
        let rounded = (x[i] * inverse).round_ties_even() as i32;
        sum += rounded;
        q[i] = rounded as i8;
    }
    let scale = largest / 127.0 + poison;
    (q, scale, scale * sum as f32)
}
