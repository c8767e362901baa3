//! The processor's own kernels: matrix products and attention, f32.
//!
//! The tensor library's CPU products cost tens of microseconds to start, more than a small model's whole layer, and
//! re-pack weights every time. These are plain loops that the compiler vectorizes for the machine at hand.
//!
//! **Invariant**: every number of a row is computed in the same order whatever other rows there are. So, on the CPU,
//! a beam's latents do not depend on the batch, to the last bit.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Outputs computed side by side.
const LANES: usize = 16;

/// Rows multiplied at once.
const BLOCK: usize = 192;

/// Panels read at once where there is one row.
const STREAMS: usize = 4;

/// Below this many multiplications a product is not worth a second thread.
const SERIAL: usize = 1 << 18;

/// A weight matrix as panels of 16 outputs: `[panels][inputs][16]`, the last one padded with zeros.
pub(crate) struct Packed {
    panels: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Packed {
    /// From `[outputs, inputs]`, row by row.
    pub(crate) fn new(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        let mut panels = vec![0.0; outputs.div_ceil(LANES) * inputs * LANES];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / LANES * inputs * LANES..];
            for (input, value) in row.iter().enumerate() {
                panel[input * LANES + output % LANES] = *value;
            }
        }
        Self { panels, inputs, outputs }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// `x [rows, inputs]` to `[rows, outputs]`.
    pub(crate) fn forward(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let rows = x.len() / self.inputs;
        match rows {
            1 => return self.forward_one(x, bias),
            0..=BLOCK => {}
            // Together they would not stay in the cache, and be read from memory again for each panel.
            _ => return x.chunks(BLOCK * self.inputs).flat_map(|block| self.forward(block, bias)).collect(),
        }
        let mut tiles = vec![0.0; self.panels.len() / self.inputs * rows];
        let arch = Arch::new();
        let size = (rows * LANES).max(1);
        let one = |(tile, panel)| arch.dispatch(Product { x, inputs: self.inputs, panel, tile });
        if rows * self.inputs * self.outputs < SERIAL {
            tiles.chunks_exact_mut(size).zip(self.panels.chunks_exact(self.inputs * LANES)).for_each(one);
        } else {
            let panels = self.panels.par_chunks_exact(self.inputs * LANES);
            let least = panels.len().div_ceil(4 * rayon::current_num_threads());
            tiles.par_chunks_exact_mut(size).zip(panels).with_min_len(least).for_each(one);
        }
        self.unpack(&tiles, rows, bias)
    }

    /// One row: memory is the limit, so several panels are read at once, each a stream of its own.
    fn forward_one(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let panel = self.inputs * LANES;
        let mut y = vec![0.0; self.panels.len() / self.inputs];
        let arch = Arch::new();
        let one = |(out, panels)| arch.dispatch(Row { x, panels, out });
        if self.inputs * self.outputs < SERIAL {
            y.chunks_mut(STREAMS * LANES).zip(self.panels.chunks(STREAMS * panel)).for_each(one);
        } else {
            let groups = self.panels.par_chunks(STREAMS * panel);
            let least = groups.len().div_ceil(4 * rayon::current_num_threads());
            y.par_chunks_mut(STREAMS * LANES).zip(groups).with_min_len(least).for_each(one);
        }
        y.truncate(self.outputs);
        if let Some(bias) = bias {
            y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
        y
    }

    /// From tiles `[panels][rows][16]` to rows.
    fn unpack(&self, tiles: &[f32], rows: usize, bias: Option<&[f32]>) -> Vec<f32> {
        let mut y = Vec::with_capacity(rows * self.outputs);
        for row in 0..rows {
            let start = y.len();
            for tile in tiles.chunks_exact(rows * LANES) {
                let left = self.outputs - (y.len() - start);
                y.extend_from_slice(&tile[row * LANES..row * LANES + left.min(LANES)]);
            }
            if let Some(bias) = bias {
                y[start..].iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        }
        y
    }
}

/// One panel for all rows: `x [rows][inputs]` to `tile [rows][16]`.
struct Product<'a> {
    x: &'a [f32],
    inputs: usize,
    panel: &'a [f32],
    tile: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (panel, _) = self.panel.as_chunks::<LANES>();
        let (mut tile, _) = self.tile.as_chunks_mut::<LANES>();
        let mut x = self.x;
        for block in [6, 4, 2, 1] {
            while tile.len() >= block {
                let (now, later) = tile.split_at_mut(block);
                match block {
                    6 => rows::<S, 6>(x, self.inputs, panel, now),
                    4 => rows::<S, 4>(x, self.inputs, panel, now),
                    2 => rows::<S, 2>(x, self.inputs, panel, now),
                    _ => rows::<S, 1>(x, self.inputs, panel, now),
                }
                (tile, x) = (later, &x[block * self.inputs..]);
            }
        }
    }
}

/// One row times a few panels: `x [inputs]` to `out [panels][16]`, each number added up as in [`rows`].
struct Row<'a> {
    x: &'a [f32],
    panels: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let size = self.x.len() * LANES;
        let (outs, _) = self.out.as_chunks_mut::<LANES>();
        let mut panels = self.panels.chunks_exact(size).map(|panel| panel.as_chunks::<LANES>().0);
        if let [a, b, c, d] = outs {
            let mut next = || panels.next().unwrap_or_default();
            return streams::<S>(self.x, [next(), next(), next(), next()], [a, b, c, d]);
        }
        for (out, panel) in outs.iter_mut().zip(panels) {
            rows::<S, 1>(self.x, self.x.len(), panel, std::slice::from_mut(out));
        }
    }
}

#[inline(always)]
fn streams<S: Simd>(x: &[f32], panels: [&[[f32; LANES]]; STREAMS], outs: [&mut [f32; LANES]; STREAMS]) {
    let mut sums = [[0.0f32; LANES]; STREAMS];
    let [a, b, c, d] = panels;
    for ((((x, a), b), c), d) in x.iter().zip(a).zip(b).zip(c).zip(d) {
        for (sum, weights) in sums.iter_mut().zip([a, b, c, d]) {
            for lane in 0..LANES {
                sum[lane] = fused::<S>(*x, weights[lane], sum[lane]);
            }
        }
    }
    for (out, sum) in outs.into_iter().zip(sums) {
        *out = sum;
    }
}

/// `a * b + c`, fused wherever the machine fuses it; elsewhere a fused one would be a library call.
#[inline(always)]
fn fused<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::IS_SCALAR { a * b + c } else { a.mul_add(b, c) }
}

/// `R` rows at once, so that each weight is read once for all of them.
#[inline(always)]
fn rows<S: Simd, const R: usize>(x: &[f32], inputs: usize, panel: &[[f32; LANES]], tile: &mut [[f32; LANES]]) {
    let mut sums = [[0.0f32; LANES]; R];
    let mut x: [&[f32]; R] = [x; R];
    for (r, row) in x.iter_mut().enumerate() {
        *row = &row[r * inputs..r * inputs + panel.len()];
    }
    for (k, weights) in panel.iter().enumerate() {
        for r in 0..R {
            let x = x[r][k];
            for lane in 0..LANES {
                sums[r][lane] = fused::<S>(x, weights[lane], sums[r][lane]);
            }
        }
    }
    tile.copy_from_slice(&sums);
}

/// Keys and values that a token sees, `[seen, dim]` each, one head.
pub(crate) type Seen<'a> = (&'a [f32], &'a [f32]);

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
        for width in [32, 8, 1] {
            while at + width <= out.len() {
                let part = &mut out[at..at + width];
                match width {
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

/// The gate of a feed-forward layer: `silu(gate) * up`.
pub(crate) fn gate(gate: &[f32], up: &[f32]) -> Vec<f32> {
    let mut out = gate.to_vec();
    Arch::new().dispatch(Gate { gate: &mut out, up });
    out
}

struct Gate<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl WithSimd for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            *gate = *gate / (1.0 + exp::<S>(-*gate)) * up;
        }
    }
}

/// e^x for |x| up to 87, beyond that the value there, to about two units in the last place: 2^n times a polynomial on the remainder.
#[inline(always)]
fn exp<S: Simd>(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = fused::<S>(n, -0.693_359_4, x);
    let r = fused::<S>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4f32;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = fused::<S>(p, r, c);
    }
    let p = fused::<S>(r * r, p, r) + 1.0;
    p * f32::from_bits(((n as i32 + 127) << 23) as u32)
}

/// Attention of many tokens: `queries` and the answer are `[tokens][heads][dim]`; `see` gives what the key head of a
/// token sees, in at most two pieces.
pub(crate) fn attend<'a>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close() {
        for i in -100_000..100_000 {
            let x = i as f32 * 8.7e-4;
            let expected = f64::from(x).exp();
            assert!((f64::from(exp::<pulp::Scalar>(x)) / expected - 1.0).abs() < 3e-7, "at {x}");
        }
        assert_eq!(exp::<pulp::Scalar>(0.0), 1.0);
    }

    #[test]
    fn products_match_the_definition_and_ignore_the_batch() {
        let number = |i: usize| ((i * 7919) % 1013) as f32 / 506.0 - 1.0;
        for (rows, inputs, outputs) in
            [(1, 5, 3), (7, 32, 16), (13, 33, 50), (40, 96, 130), (400, 24, 70), (2, 600, 500)]
        {
            let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
            let bias: Vec<f32> = (0..outputs).map(number).collect();
            let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
            let packed = Packed::new(&weight, outputs, inputs);
            let y = packed.forward(&x, Some(&bias));
            for (r, row) in x.chunks(inputs).enumerate() {
                let alone = packed.forward(row, Some(&bias));
                assert_eq!(y[r * outputs..(r + 1) * outputs], alone, "a row depends on others");
                for (o, found) in alone.iter().enumerate() {
                    let terms = row.iter().zip(&weight[o * inputs..]).map(|(a, b)| f64::from(*a) * f64::from(*b));
                    let (sum, size) = terms.fold((0.0, 1.0), |(sum, size), term| (sum + term, size + term.abs()));
                    let expected = sum + f64::from(bias[o]);
                    assert!((f64::from(*found) - expected).abs() < 4e-6 * size, "{found} and {expected}");
                }
            }
        }
    }
}
