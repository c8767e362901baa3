//! Matrix products.

use super::{
    fused,
    pieces::{Pieces, in_blocks},
    room::with_room,
};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Outputs computed side by side.
pub(crate) const LANES: usize = 16;

/// Rows multiplied at once.
const BLOCK: usize = 192;

/// Panels multiplied side by side.
const SIDE: usize = 4;

/// A weight matrix as panels of 16 outputs: `[panels][inputs][16]`, the last one padded with zeros.
pub struct Packed {
    panels: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl Packed {
    /// Packs `weight [outputs, inputs]`, row by row.
    #[must_use]
    pub fn new(weight: &[f32], outputs: usize, inputs: usize) -> Self {
        let mut panels = vec![0.0; outputs.div_ceil(LANES) * inputs * LANES];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / LANES * inputs * LANES..];
            for (input, value) in row.iter().enumerate() {
                panel[input * LANES + output % LANES] = *value;
            }
        }
        Self { panels, inputs, outputs }
    }

    /// Columns of a product.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Appends the outputs of another matrix. Returns false, and changes nothing, if the two do not fit together.
    pub fn append(&mut self, other: &Self) -> bool {
        let fits = self.inputs == other.inputs && self.outputs.is_multiple_of(LANES);
        if fits {
            self.panels.extend_from_slice(&other.panels);
            self.outputs += other.outputs;
        }
        fits
    }

    /// `x [rows, inputs]` to `[rows, part]` for each part of the outputs; all but the last are multiples of 16. The bias,
    /// one number per output, is added.
    #[must_use]
    pub fn forward(&self, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        in_blocks(x, (BLOCK, self.inputs), parts, |x| self.forward_block(x, parts, bias))
    }

    fn forward_block(&self, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        let rows = x.len() / self.inputs;
        let panels = self.panels.len() / (self.inputs * LANES).max(1);
        // Several panels side by side, unless threads would be left without any.
        let group = if panels >= SIDE * rayon::current_num_threads() { SIDE } else { 1 };
        let weights = (self.panels.as_slice(), group * self.inputs * LANES);
        let (arch, inputs) = (Arch::new(), self.inputs);
        with_room(panels * rows * LANES, |tiles| {
            Pieces { tiles: (&mut *tiles, group * rows * LANES), weights }.multiply(
                x.len() * self.outputs,
                |(tiles, panels)| {
                    arch.dispatch(Product { x, inputs, rows, panels, tiles });
                },
            );
            unpack(tiles, rows, parts, bias)
        })
    }
}

/// Turns tiles `[panels][rows][16]` into `[rows, part]` for each part of the outputs, and adds the bias. All parts but the last
/// are multiples of 16.
pub(crate) fn unpack(tiles: &[f32], rows: usize, parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
    let (mut tiles, mut bias) = (tiles, bias);
    let mut part = |outputs: &usize| {
        let (own, rest) = tiles.split_at((outputs.div_ceil(LANES) * rows * LANES).min(tiles.len()));
        tiles = rest;
        let own_bias = bias.map(|bias| &bias[..*outputs]);
        bias = bias.map(|bias| &bias[*outputs..]);
        unpack_part(own, rows, *outputs, own_bias)
    };
    parts.iter().map(&mut part).collect()
}

fn unpack_part(tiles: &[f32], rows: usize, outputs: usize, bias: Option<&[f32]>) -> Vec<f32> {
    /// Numbers that are worth a second thread.
    const LARGE: usize = 1 << 16;
    if rows * outputs >= LARGE && outputs.is_multiple_of(LANES) {
        return unpack_large(tiles, rows, bias);
    }
    let mut y = Vec::with_capacity(rows * outputs);
    for row in 0..rows {
        let start = y.len();
        for tile in tiles.chunks_exact(rows * LANES) {
            let left = outputs - (y.len() - start);
            y.extend_from_slice(&tile[row * LANES..row * LANES + left.min(LANES)]);
        }
        if let Some(bias) = bias {
            y[start..].iter_mut().zip(bias).for_each(|(y, b)| *y += b);
        }
    }
    y
}

/// As [`unpack_part`], on several threads; outputs are a multiple of 16.
fn unpack_large(tiles: &[f32], rows: usize, bias: Option<&[f32]>) -> Vec<f32> {
    /// Of 16 numbers each: what a thread takes at once.
    const LEAST: usize = 1 << 10;
    let (panels, tiles) = (tiles.len() / (rows * LANES), tiles.as_chunks::<LANES>().0);
    let bias = bias.map(|bias| bias.as_chunks::<LANES>().0);
    let one = |i: usize| {
        let (row, panel) = (i / panels, i % panels);
        let mut y = tiles[panel * rows + row];
        if let Some(bias) = bias {
            y.iter_mut().zip(&bias[panel]).for_each(|(y, b)| *y += b);
        }
        y
    };
    (0..rows * panels).into_par_iter().with_min_len(LEAST).map(one).collect::<Vec<_>>().into_flattened()
}

/// A few panels for all rows: `x [rows][inputs]` to `tiles [panels][rows][16]`.
struct Product<'a> {
    x: &'a [f32],
    inputs: usize,
    rows: usize,
    panels: &'a [f32],
    tiles: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, inputs, rows, panels, tiles } = self;
        let (size, (tiles, _)) = (inputs * LANES, tiles.as_chunks_mut::<LANES>());
        let side_by_side = panels.len() == SIDE * size;
        let panel = |i: usize| panels[i * size..(i + 1) * size].as_chunks::<LANES>().0;
        if side_by_side && rows == 1 {
            return sums::<S, 1, SIDE>(x, std::array::from_fn(panel), tiles);
        }
        if side_by_side && S::F32_LANES == LANES {
            return wide(simd, x, rows, std::array::from_fn(panel), tiles);
        }
        for (i, tiles) in tiles.chunks_exact_mut(rows).enumerate() {
            narrow::<S>(x, panel(i), tiles);
        }
    }
}

/// One panel for all rows.
#[inline(always)]
fn narrow<S: Simd>(mut x: &[f32], panel: &[[f32; LANES]], mut tiles: &mut [[f32; LANES]]) {
    for block in [6, 4, 2, 1] {
        while tiles.len() >= block {
            let (now, later) = tiles.split_at_mut(block);
            match block {
                6 => sums::<S, 6, 1>(x, [panel], now),
                4 => sums::<S, 4, 1>(x, [panel], now),
                2 => sums::<S, 2, 1>(x, [panel], now),
                _ => sums::<S, 1, 1>(x, [panel], now),
            }
            (tiles, x) = (later, &x[block * panel.len()..]);
        }
    }
}

/// Several panels for all rows, where there are registers for it.
#[inline(always)]
fn wide<S: Simd>(simd: S, x: &[f32], rows: usize, panels: [&[[f32; LANES]]; SIDE], tiles: &mut [[f32; LANES]]) {
    let mut row = 0;
    for block in [6, 4, 2, 1] {
        while row + block <= rows {
            match block {
                6 => wide_sums::<S, 6>(simd, x, row, panels, tiles),
                4 => wide_sums::<S, 4>(simd, x, row, panels, tiles),
                2 => wide_sums::<S, 2>(simd, x, row, panels, tiles),
                _ => wide_sums::<S, 1>(simd, x, row, panels, tiles),
            }
            row += block;
        }
    }
}

/// `R` rows and `P` panels at once, one of both being one: a weight is read once for all rows, and several streams of weights
/// come from memory side by side. `x [R][inputs]` to `tiles [P][R][16]`.
#[inline(always)]
fn sums<S: Simd, const R: usize, const P: usize>(x: &[f32], panels: [&[[f32; LANES]]; P], tiles: &mut [[f32; LANES]]) {
    let inputs = panels[0].len();
    let x: [&[f32]; R] = std::array::from_fn(|r| &x[r * inputs..(r + 1) * inputs]);
    let panels = panels.map(|panel| &panel[..inputs]);
    let mut sums = [[[0.0f32; LANES]; R]; P];
    for k in 0..inputs {
        for p in 0..P {
            for r in 0..R {
                for lane in 0..LANES {
                    sums[p][r][lane] = fused::<S>(x[r][k], panels[p][k][lane], sums[p][r][lane]);
                }
            }
        }
    }
    tiles.copy_from_slice(sums.as_flattened());
}

/// `R` rows from `row` on and all these panels at once, a panel's 16 numbers being one vector. Each number is added up as in
/// [`sums`].
#[inline(always)]
fn wide_sums<S: Simd, const R: usize>(
    simd: S,
    x: &[f32],
    row: usize,
    panels: [&[[f32; LANES]]; SIDE],
    tiles: &mut [[f32; LANES]],
) {
    let (inputs, rows) = (panels[0].len(), tiles.len() / SIDE);
    let x: [&[f32]; R] = std::array::from_fn(|r| &x[(row + r) * inputs..(row + r + 1) * inputs]);
    let panels = panels.map(|panel| &S::as_simd_f32s(panel.as_flattened()).0[..inputs]);
    let mut sums = [[simd.splat_f32s(0.0); SIDE]; R];
    for k in 0..inputs {
        let weights: [S::f32s; SIDE] = std::array::from_fn(|p| panels[p][k]);
        for r in 0..R {
            let x = simd.splat_f32s(x[r][k]);
            for p in 0..SIDE {
                sums[r][p] = simd.mul_add_f32s(x, weights[p], sums[r][p]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (p, sum) in sums.iter().enumerate() {
            S::as_mut_simd_f32s(&mut tiles[p * rows + row + r]).0[0] = *sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_match_the_definition_and_ignore_the_batch() {
        let number = |i: usize| ((i * 7919) % 1013) as f32 / 506.0 - 1.0;
        for (rows, inputs, outputs) in
            [(1, 5, 3), (7, 32, 16), (13, 33, 50), (40, 96, 130), (400, 24, 70), (2, 600, 500), (250, 24, 352)]
        {
            let weight: Vec<f32> = (0..outputs * inputs).map(number).collect();
            let bias: Vec<f32> = (0..outputs).map(number).collect();
            let x: Vec<f32> = (0..rows * inputs).map(|i| number(i + 3)).collect();
            let packed = Packed::new(&weight, outputs, inputs);
            let y = packed.forward(&x, &[outputs], Some(&bias)).remove(0);
            for (r, row) in x.chunks(inputs).enumerate() {
                let alone = packed.forward(row, &[outputs], Some(&bias)).remove(0);
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
