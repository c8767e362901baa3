//! An unsafe spot: AVX-512 VNNI instructions, behind a proof that the machine has them.

use super::{activations::Activations, panels::Block};
use crate::product::LANES;

/// Proof that the machine has the instructions.
#[derive(Clone, Copy)]
pub(super) struct Vnni(());

impl Vnni {
    /// `Some` if the machine has them.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
        all.then_some(Self(()))
    }

    /// Other machines have none of them.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn detect() -> Option<Self> {
        None
    }
}

/// `x [rows]` times panels, to `tiles [panels][rows][16]`.
pub(super) fn multiply(_: Vnni, x: &Activations, panels: &[Block], tiles: &mut [[f32; LANES]], rows: usize) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "a `Vnni` exists only where the machine was asked for what this function needs")]
    unsafe {
        x86::multiply(x, panels, tiles, rows);
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("there is no `Vnni` here, for {} panels of {} rows, {}", panels.len(), x.parts(), tiles.len() / rows);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Activations, Block, LANES};
    use pulp::bytemuck::cast;
    use std::arch::x86_64::{
        __m256i, __m512, __m512i, _mm512_cvtepi32_ps, _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
        _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    };

    /// Panels at once for few rows: weights come from memory in more streams.
    const FOUR: usize = 4;
    /// Panels at once for more rows, so that all sums are in registers.
    const PAIR: usize = 2;
    /// The most rows that are few.
    const FEW: usize = 16;

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn multiply(x: &Activations, panels: &[Block], tiles: &mut [[f32; LANES]], rows: usize) {
        let blocks = x.parts();
        if rows <= FEW && panels.len() == FOUR * blocks {
            return all_rows::<FOUR>(x, panels, tiles, rows);
        }
        for (panels, tiles) in panels.chunks(PAIR * blocks).zip(tiles.chunks_mut(PAIR * rows)) {
            match panels.len() / blocks {
                PAIR => all_rows::<PAIR>(x, panels, tiles, rows),
                _ => all_rows::<1>(x, panels, tiles, rows),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    fn all_rows<const P: usize>(x: &Activations, panels: &[Block], tiles: &mut [[f32; LANES]], rows: usize) {
        let mut row = 0;
        for block in [6, 4, 2, 1] {
            while row + block <= rows {
                match block {
                    6 => some_rows::<6, P>(x, row, panels, tiles, rows),
                    4 => some_rows::<4, P>(x, row, panels, tiles, rows),
                    2 => some_rows::<2, P>(x, row, panels, tiles, rows),
                    _ => some_rows::<1, P>(x, row, panels, tiles, rows),
                }
                row += block;
            }
        }
    }

    /// `R` rows from `row` on and `P` panels. Sums of bytes are exact; a row's numbers are added up in the order of blocks.
    #[expect(clippy::needless_range_loop, reason = "several arrays side by side; iterators would not be inlined here")]
    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    fn some_rows<const R: usize, const P: usize>(
        x: &Activations,
        row: usize,
        panels: &[Block],
        tiles: &mut [[f32; LANES]],
        rows: usize,
    ) {
        let blocks = x.parts();
        let mut parts = [x.fours(row); R];
        let mut ps = [&panels[..blocks]; P];
        for (r, part) in parts.iter_mut().enumerate() {
            *part = x.fours(row + r);
        }
        for p in 0..P {
            ps[p] = &panels[p * blocks..(p + 1) * blocks];
        }
        let mut sums = [[_mm512_setzero_ps(); P]; R];
        for b in 0..blocks {
            let mut fours = [[_mm512_set1_epi32(0); P]; R];
            for r in 0..R {
                fours[r] = [_mm512_set1_epi32(parts[r].start[b]); P];
            }
            for j in 0..8 {
                let mut weights = [_mm512_set1_epi32(0); P];
                for p in 0..P {
                    weights[p] = cast::<[u8; 64], __m512i>(ps[p][b].q[j]);
                }
                for r in 0..R {
                    let x = _mm512_set1_epi32(parts[r].q[b][j]);
                    for p in 0..P {
                        fours[r][p] = _mm512_dpbusd_epi32(fours[r][p], weights[p], x);
                    }
                }
            }
            for p in 0..P {
                let scales = _mm512_cvtph_ps(cast::<[u16; LANES], __m256i>(ps[p][b].scales));
                for r in 0..R {
                    let scales = _mm512_mul_ps(scales, _mm512_set1_ps(parts[r].scales[b]));
                    sums[r][p] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(fours[r][p]), scales, sums[r][p]);
                }
            }
        }
        for r in 0..R {
            for p in 0..P {
                tiles[p * rows + row + r] = cast::<__m512, [f32; LANES]>(sums[r][p]);
            }
        }
    }
}
