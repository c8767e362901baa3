//! Products on any machine: bf16 becomes f32 by a shift, and f32 multiplies and adds.

use super::layout::{BLOCK, Line, Task, Tile, numbers};
use crate::{fused, product::LANES};
use pulp::{Arch, Simd, WithSimd};

/// Panels multiplied side by side where there is one row.
const SIDE: usize = 4;

/// Multiplies by vectors of f32.
pub(super) fn multiply(task: Task<'_>) {
    Arch::new().dispatch(task);
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, tiles, panels, sums } = self;
        let (rows, depth) = (x.rows(), x.tiles());
        let panel = |panel: usize| &panels[panel * depth + tiles.start..panel * depth + tiles.end];
        if rows == 1 && panels.len() == SIDE * depth {
            return together::<S, 1, SIDE>(&x.lines(0, 1)[tiles.clone()], 1, std::array::from_fn(panel), sums);
        }
        for (i, sums) in sums.chunks_exact_mut(rows).enumerate() {
            for (j, sums) in sums.chunks_mut(BLOCK).enumerate() {
                let lines = x.lines(j * BLOCK, sums.len());
                block::<S>(&lines[tiles.start * sums.len()..tiles.end * sums.len()], panel(i), sums);
            }
        }
    }
}

/// One panel for a block of rows.
#[inline(always)]
fn block<S: Simd>(lines: &[Line], panel: &[Tile], sums: &mut [[f32; LANES]]) {
    let (rows, mut row) = (sums.len(), 0);
    for at_once in [6, 4, 2, 1] {
        while row + at_once <= rows {
            let (lines, sums) = (&lines[row..], &mut sums[row..row + at_once]);
            match at_once {
                6 => together::<S, 6, 1>(lines, rows, [panel], sums),
                4 => together::<S, 4, 1>(lines, rows, [panel], sums),
                2 => together::<S, 2, 1>(lines, rows, [panel], sums),
                _ => together::<S, 1, 1>(lines, rows, [panel], sums),
            }
            row += at_once;
        }
    }
}

/// `R` rows and `P` panels, one of both being one. The rows' lines are the first of each `rows` lines; sums are `[P][R][16]`. Each
/// number is added up input by input.
#[inline(always)]
fn together<S: Simd, const R: usize, const P: usize>(
    lines: &[Line],
    rows: usize,
    panels: [&[Tile]; P],
    to: &mut [[f32; LANES]],
) {
    let mut sums: [[[f32; LANES]; R]; P] = std::array::from_fn(|p| std::array::from_fn(|r| to[p * R + r]));
    let panels = panels.map(|panel| &panel[..panels[0].len()]);
    for (tile, lines) in lines.chunks(rows).enumerate() {
        let lines: [&Line; R] = std::array::from_fn(|r| &lines[r]);
        for i in 0..lines[0].0.len() {
            for p in 0..P {
                let (mut first, mut second) = ([0.0; LANES], [0.0; LANES]);
                for lane in 0..LANES {
                    [first[lane], second[lane]] = numbers(panels[p][tile].0[i][lane]);
                }
                for r in 0..R {
                    let [x, y] = numbers(lines[r].0[i]);
                    for lane in 0..LANES {
                        let sum = fused::<S>(x, first[lane], sums[p][r][lane]);
                        sums[p][r][lane] = fused::<S>(y, second[lane], sum);
                    }
                }
            }
        }
    }
    to.copy_from_slice(sums.as_flattened());
}
