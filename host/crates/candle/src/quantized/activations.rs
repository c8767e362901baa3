//! Rows of x as bytes: 32 numbers share a scale.

use super::blocks::PART;
use pulp::{Arch, Simd, WithSimd};

/// A part, where it can be loaded at once.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(super) struct Bytes(pub(super) [i8; PART]);

/// `[rows][parts]`; number `i` of a part is `scale * q[i]`, to half a step of `largest / 127`.
pub(super) struct Activations {
    q: Vec<Bytes>,
    scales: Vec<f32>,
    /// The sums of the numbers as they were rounded.
    sums: Vec<f32>,
    /// Parts in a row.
    parts: usize,
}

/// One row, by blocks of `N` parts.
#[derive(Clone, Copy)]
pub(super) struct Row<'a, const N: usize> {
    pub(super) q: &'a [[Bytes; N]],
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
        let (q, scales, sums) = (vec![Bytes([0; PART]); x.len()], vec![0.0; x.len()], vec![0.0; x.len()]);
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
            (q.0, *scale, *sum) = round(x);
        }
    }
}

/// Bytes, their scale, and the sum of what they stand for.
#[inline(always)]
fn round(x: &[f32; PART]) -> ([i8; PART], f32, f32) {
    let (eights, _) = x.as_chunks::<8>();
    let (mut lanes, mut poison) = ([0.0f32; 8], [0.0f32; 8]);
    for x in eights {
        for lane in 0..8 {
            let size = x[lane].abs();
            lanes[lane] = if size > lanes[lane] { size } else { lanes[lane] };
            poison[lane] += x[lane] * 0.0;
        }
    }
    let largest = lanes.iter().fold(0.0f32, |a, b| if *b > a { *b } else { a });
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let inverse = if inverse.is_finite() { inverse } else { 0.0 };
    let (q, sum) = bytes(x, inverse);
    // What is added is 0, or NaN if a number is not finite.
    let scale = largest / 127.0 + poison.iter().sum::<f32>();
    (q, scale, scale * sum as f32)
}

/// Rounded to the nearest, ties to even, by the trick of adding what leaves no room for a fraction: one instruction on
/// any machine. Numbers stay below 128, or are NaN, which gives some byte.
#[inline(always)]
fn bytes(x: &[f32; PART], inverse: f32) -> ([i8; PART], i32) {
    const ROOM: f32 = 12_582_912.0;
    let (mut q, mut sum) = ([0i8; PART], [0i32; 8]);
    for (q, x) in q.as_chunks_mut::<8>().0.iter_mut().zip(x.as_chunks::<8>().0) {
        for lane in 0..8 {
            let rounded = (x[lane] * inverse + ROOM).to_bits().wrapping_sub(ROOM.to_bits()) as i32;
            sum[lane] = sum[lane].wrapping_add(rounded);
            q[lane] = rounded as i8;
        }
    }
    (q, sum.iter().fold(0, |a, b| a.wrapping_add(*b)))
}
