//! An unsafe spot: AVX-512 instructions for products of bf16, behind a proof that the machine has them.

use super::layout::Task;

/// Proof that the machine has the instructions.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// `Some` if the machine has them.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
        all.then_some(Self(()))
    }

    /// Other machines have none of them.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn detect() -> Option<Self> {
        None
    }
}

/// Multiplies by vectors of pairs.
pub(super) fn multiply(_: Avx512, task: Task<'_>) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "an `Avx512` exists only where the machine was asked for what this function needs")]
    // SAFETY: the function asks for nothing but its instructions, and the proof says that the machine has them.
    unsafe {
        x86::multiply(task);
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("there is no `Avx512` here, for {} sums", task.sums.len());
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Task;
    use crate::{
        bf16::layout::{BLOCK, Line, PAIRS, Tile},
        product::LANES,
    };
    use pulp::bytemuck::cast;
    use std::{
        arch::x86_64::{__m512, __m512bh, _mm512_dpbf16_ps, _mm512_setzero_ps},
        ops::Range,
    };

    /// Panels at once, so that a row's numbers are loaded for all of them.
    const SIDE: usize = 4;

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn multiply(task: Task<'_>) {
        let Task { x, tiles, panels, sums } = task;
        let (rows, depth) = (x.rows(), x.tiles());
        for (panels, sums) in panels.chunks(SIDE * depth).zip(sums.chunks_mut(SIDE * rows)) {
            for row in (0..rows).step_by(BLOCK) {
                let lines = x.lines(row, (rows - row).min(BLOCK));
                let work = |panels| Work { lines, depth, tiles: tiles.clone(), panels, apart: rows };
                if panels.len() == SIDE * depth {
                    work(panels).block::<SIDE>(&mut sums[row..]);
                    continue;
                }
                for (panel, sums) in panels.chunks_exact(depth).zip(sums.chunks_mut(rows)) {
                    work(panel).block::<1>(&mut sums[row..]);
                }
            }
        }
    }

    /// A block of rows and some panels.
    struct Work<'a> {
        /// `[depth][rows of the block]`.
        lines: &'a [Line],
        depth: usize,
        /// Which tiles of the depth.
        tiles: Range<usize>,
        /// `[panels][depth]`.
        panels: &'a [Tile],
        /// Sums from those of a panel to those of the next.
        apart: usize,
    }

    impl Work<'_> {
        /// `P` panels for all rows.
        #[target_feature(enable = "avx512f,avx512bf16")]
        #[inline]
        fn block<const P: usize>(&self, sums: &mut [[f32; LANES]]) {
            let (rows, mut row) = (self.lines.len() / self.depth, 0);
            for at_once in [6, 4, 2, 1] {
                while row + at_once <= rows {
                    match at_once {
                        6 => self.rows::<6, P>(row, rows, &mut sums[row..]),
                        4 => self.rows::<4, P>(row, rows, &mut sums[row..]),
                        2 => self.rows::<2, P>(row, rows, &mut sums[row..]),
                        _ => self.rows::<1, P>(row, rows, &mut sums[row..]),
                    }
                    row += at_once;
                }
            }
        }

        /// `R` rows of `rows`, from `row` on. Each number is added up pair by pair.
        #[expect(
            clippy::needless_range_loop,
            reason = "several arrays side by side; iterators would not be inlined here"
        )]
        #[target_feature(enable = "avx512f,avx512bf16")]
        #[inline]
        fn rows<const R: usize, const P: usize>(&self, row: usize, rows: usize, to: &mut [[f32; LANES]]) {
            let mut sums = [[_mm512_setzero_ps(); P]; R];
            for r in 0..R {
                for p in 0..P {
                    sums[r][p] = cast::<[f32; LANES], __m512>(to[p * self.apart + r]);
                }
            }
            for tile in self.tiles.clone() {
                let lines = &self.lines[tile * rows + row..][..R];
                for i in 0..PAIRS {
                    let mut weights = [pairs([0; LANES]); P];
                    for p in 0..P {
                        weights[p] = pairs(self.panels[p * self.depth + tile].0[i]);
                    }
                    for r in 0..R {
                        let x = pairs([lines[r].0[i]; LANES]);
                        for p in 0..P {
                            sums[r][p] = _mm512_dpbf16_ps(sums[r][p], x, weights[p]);
                        }
                    }
                }
            }
            for r in 0..R {
                for p in 0..P {
                    to[p * self.apart + r] = cast::<__m512, [f32; LANES]>(sums[r][p]);
                }
            }
        }
    }

    /// Pairs as the instructions take them.
    #[expect(unsafe_code, reason = "the standard library has no function for it")]
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    fn pairs(pairs: [u32; LANES]) -> __m512bh {
        // SAFETY: both are 64 bytes, and any bits are 32 numbers of bf16.
        unsafe { std::mem::transmute::<[u32; LANES], __m512bh>(pairs) }
    }
}
