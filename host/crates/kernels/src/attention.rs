//! Attention of tokens to keys and values where they are.

use super::{exp, fused};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Keys and values that a token sees, `[seen, dim]` each, one head.
pub type Seen<'a> = (&'a [f32], &'a [f32]);

/// Attention of one head: `query [dim]`, already scaled, over what it sees, in order.
struct Head<'a, 'b> {
    query: &'a [f32],
    seen: [Seen<'b>; 2],
    /// Scratch.
    scores: &'a mut Vec<f32>,
    out: &'a mut [f32],
}

impl WithSimd for Head<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { query, seen, scores, out } = self;
        scores.clear();
        for (keys, _) in seen {
            for key in keys.chunks_exact(query.len()) {
                scores.push(dot(simd, query, key));
            }
        }
        let scale = 1.0 / exponentials::<S>(scores);
        let mut at = 0;
        for width in [64, 32, 8, 1] {
            while at + width <= out.len() {
                let part = &mut out[at..at + width];
                match width {
                    64 => weigh::<S, 64>(scores, &seen, query.len(), at, scale, part),
                    32 => weigh::<S, 32>(scores, &seen, query.len(), at, scale, part),
                    8 => weigh::<S, 8>(scores, &seen, query.len(), at, scale, part),
                    _ => weigh::<S, 1>(scores, &seen, query.len(), at, scale, part),
                }
                at += width;
            }
        }
    }
}

/// `W` numbers of the weighted values, from `at` on.
#[inline(always)]
fn weigh<S: Simd, const W: usize>(
    weights: &[f32],
    seen: &[Seen<'_>; 2],
    dim: usize,
    at: usize,
    scale: f32,
    out: &mut [f32],
) {
    let mut sums = [0.0f32; W];
    let mut weights = weights.iter();
    for (_, values) in seen {
        for value in values.chunks_exact(dim) {
            let Some(weight) = weights.next() else { return };
            let value = &value[at..at + W];
            for lane in 0..W {
                sums[lane] = fused::<S>(*weight, value[lane], sums[lane]);
            }
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = sum * scale;
    }
}

/// Scores to exponentials above the largest; returns their sum.
#[inline(always)]
fn exponentials<S: Simd>(scores: &mut [f32]) -> f32 {
    let max = fold(scores, f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    for score in scores.iter_mut() {
        *score = exp::<S>(*score - max);
    }
    fold(scores, 0.0, |a, b| a + b)
}

/// A fold in eight lanes by index.
#[inline(always)]
fn fold(values: &[f32], start: f32, f: impl Fn(f32, f32) -> f32 + Copy) -> f32 {
    let mut lanes = [start; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for lane in 0..8 {
            lanes[lane] = f(lanes[lane], chunk[lane]);
        }
    }
    let mut all = start;
    for value in lanes.iter().chain(rest) {
        all = f(all, *value);
    }
    all
}

#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut sums = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        sums = simd.mul_add_f32s(*a, *b, sums);
    }
    let mut sum = simd.reduce_sum_f32s(sums);
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum += a * b;
    }
    sum
}

/// Attention of many tokens: `queries`, already scaled, and the answer are `[tokens][heads][dim]`. `see(token, key head)`
/// gives the keys and values that the token sees, in at most two pieces. `heads` is a multiple of `kv_heads`.
pub fn attend<'a>(
    queries: &[f32],
    heads: usize,
    kv_heads: usize,
    dim: usize,
    see: impl Fn(usize, usize) -> [Seen<'a>; 2] + Sync,
) -> Vec<f32> {
    let mut out = vec![0.0; queries.len()];
    let arch = Arch::new();
    let rep = heads / kv_heads;
    let tokens = out.par_chunks_mut(heads * dim).zip(queries.par_chunks(heads * dim)).enumerate();
    tokens.with_min_len(4).for_each_init(Vec::new, |scores, (token, (out, queries))| {
        for (h, (out, query)) in out.chunks_exact_mut(dim).zip(queries.chunks_exact(dim)).enumerate() {
            arch.dispatch(Head { query, seen: see(token, h / rep), scores, out });
        }
    });
    out
}
