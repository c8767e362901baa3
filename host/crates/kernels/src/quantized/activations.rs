//! Rows of x as bytes: 32 numbers share a scale.

use super::blocks::PART;
use pulp::{
    Arch, Simd, WithSimd,
    bytemuck::{Pod, Zeroable},
};
use rayon::prelude::*;

/// A part, where it can be loaded at once.
#[derive(Clone, Copy, Pod, Zeroable)]
#[bytemuck(crate = "pulp::bytemuck")]
#[repr(C, align(32))]
pub(super) struct Bytes(pub(super) [i8; PART]);

/// `[rows][parts]`; number `i` of a part is `scale * q[i]`, to half a step of `largest / 127`.
pub(super) struct Activations {
    q: Vec<Bytes>,
    scales: Vec<f32>,
    /// The sums of the numbers as they were rounded.
    sums: Vec<f32>,
    /// What sums of bytes begin with where 128 is added to each weight.
    start: Vec<i32>,
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

/// One row, by fours of bytes.
#[derive(Clone, Copy)]
pub(super) struct Fours<'a> {
    pub(super) q: &'a [[i32; PART / 4]],
    pub(super) scales: &'a [f32],
    pub(super) start: &'a [i32],
}

impl<const N: usize> Row<'_, N> {
    /// The first blocks. With lengths that the compiler knows, it checks no index below.
    #[inline(always)]
    pub(super) fn first(self, blocks: usize) -> Self {
        Self { q: &self.q[..blocks], scales: &self.scales[..blocks], sums: &self.sums[..blocks] }
    }
}

impl Activations {
    /// Rounds `x [rows, inputs]` to bytes; `inputs` is a multiple of 32. A part with NaN or infinity has the scale NaN.
    pub(super) fn new(x: &[f32], inputs: usize) -> Self {
        let (x, _) = x.as_chunks::<PART>();
        let (q, scales, sums) = (vec![Bytes([0; PART]); x.len()], vec![0.0; x.len()], vec![0.0; x.len()]);
        let mut all = Self { q, scales, sums, start: vec![0; x.len()], parts: inputs / PART };
        let Self { q, scales, sums, start, .. } = &mut all;
        let arch = Arch::new();
        let to = q.par_chunks_mut(PIECE).zip(scales.par_chunks_mut(PIECE));
        let to = to.zip(sums.par_chunks_mut(PIECE)).zip(start.par_chunks_mut(PIECE));
        x.par_chunks(PIECE).zip(to).for_each(|(x, (((q, scales), sums), start))| {
            arch.dispatch(Rounding { x, q, scales, sums, start });
        });
        all
    }

    /// Parts in a row.
    #[inline(always)]
    pub(super) fn parts(&self) -> usize {
        self.parts
    }

    #[inline(always)]
    pub(super) fn fours(&self, row: usize) -> Fours<'_> {
        let parts = row * self.parts..(row + 1) * self.parts;
        let q = pulp::bytemuck::cast_slice(&self.q[parts.clone()]);
        Fours { q, scales: &self.scales[parts.clone()], start: &self.start[parts] }
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

/// Parts that are worth a second thread.
const PIECE: usize = 512;

struct Rounding<'a> {
    x: &'a [[f32; PART]],
    q: &'a mut [Bytes],
    scales: &'a mut [f32],
    sums: &'a mut [f32],
    start: &'a mut [i32],
}

impl WithSimd for Rounding<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { q, scales, sums, start, .. } = self;
        for ((((x, q), scale), sum), start) in self.x.iter().zip(q).zip(scales).zip(sums).zip(start) {
            let total;
            (q.0, *scale, total) = round(x);
            (*sum, *start) = (*scale * total as f32, -128 * total);
        }
    }
}

/// Bytes, their scale, and their sum.
#[inline(always)]
fn round(x: &[f32; PART]) -> ([i8; PART], f32, i32) {
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
    (q, scale, sum)
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
