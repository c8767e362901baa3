//! An unsafe spot: products of bf16 by AMX, whose registers are tiles of 16 rows of 64 bytes.
//!
//! One piece of assembly sets the tiles up, computes, and gives them back: no other code sees them. Each instruction adds the
//! products of 32 inputs to each number of a tile, in an order that is the same whatever other rows the tile has; so a single row
//! goes through tiles too.

use super::layout::Task;

/// Proof that the machine has the instructions, and that the system lets this process use them.
#[derive(Clone, Copy)]
pub(super) struct Amx(());

impl Amx {
    /// `Some` if the machine has them, and the system lets this process use them; it is asked to.
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    pub(super) fn detect() -> Option<Self> {
        (x86::reported() && x86::allowed()).then_some(Self(()))
    }

    /// Other machines have none of them, and how to ask another system is not written.
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    pub(super) fn detect() -> Option<Self> {
        None
    }
}

/// Multiplies by tiles.
pub(super) fn multiply(_: Amx, task: Task<'_>) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    x86::multiply(task);
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    unreachable!("there is no `Amx` here, for {} sums", task.sums.len());
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod x86 {
    use super::Task;
    use crate::{
        bf16::layout::{BLOCK, Line, Tile},
        product::LANES,
    };
    use std::{
        arch::{asm, x86_64::__cpuid_count},
        ops::Range,
    };

    /// True if the processor reports tiles, products of bf16 with them, and eight tiles of 16 rows of 64 bytes.
    pub(super) fn reported() -> bool {
        const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
        if __cpuid_count(0, 0).eax < 0x1d || __cpuid_count(7, 0).edx & BF16_AND_TILES != BF16_AND_TILES {
            return false;
        }
        let palette = __cpuid_count(0x1d, 1);
        (palette.ebx, palette.ecx & 0xffff) == (8 << 16 | 64, BLOCK as u32)
    }

    /// Asks Linux (5.16 and later) to let the threads of this process use tiles; true if they may.
    #[expect(unsafe_code, reason = "a call of the system that the standard library does not have")]
    pub(super) fn allowed() -> bool {
        const ARCH_PRCTL: isize = 158;
        const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
        const TILE_DATA: usize = 18;
        let result: isize;
        // SAFETY: the call takes two numbers, and reads and writes no memory of this process. The registers that it changes are
        // named.
        unsafe {
            asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    /// What LDTILECFG reads.
    #[repr(C, align(64))]
    struct Layout {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_of_a_row: [u16; 16],
        rows: [u8; 16],
    }

    impl Layout {
        /// Eight tiles with these rows, from 1 to 16, of 64 bytes each.
        fn new(tiles: [usize; 8]) -> Self {
            let (mut bytes_of_a_row, mut rows) = ([0; 16], [0; 16]);
            bytes_of_a_row[..8].fill(64);
            rows.iter_mut().zip(tiles).for_each(|(to, rows)| *to = rows as u8);
            Self { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_a_row, rows }
        }
    }

    pub(super) fn multiply(task: Task<'_>) {
        let Task { x, tiles, panels, sums } = task;
        let (rows, depth, next) = (x.rows(), x.tiles(), size_of_val(panels));
        for row in (0..rows).step_by(2 * BLOCK) {
            let lines = x.lines(row, (rows - row).min(2 * BLOCK));
            let side = if lines.len() > BLOCK * depth { 2 } else { 4 };
            // Once is enough: it takes time from the products.
            let ahead = if row == 0 { next } else { 0 };
            for (panels, sums) in panels.chunks(side * depth).zip(sums.chunks_mut(side * rows)) {
                // Panels that are left over go one by one, each in the place of all.
                let (step, apart) = if panels.len() == side * depth { (side, (depth, rows)) } else { (1, (0, 0)) };
                for (panels, sums) in panels.chunks(step * depth).zip(sums.chunks_mut(step * rows)) {
                    let tiles = tiles.clone();
                    let work = Work { lines, panels, depth, tiles, sums: &mut sums[row..], apart, ahead };
                    if side == 2 { work.two_by_two() } else { work.one_by_four() }
                }
            }
        }
    }

    /// Two panels for 17 to 32 rows, or four panels for 1 to 16 rows.
    struct Work<'a> {
        /// `[blocks][depth][rows of the block]`.
        lines: &'a [Line],
        /// `[panels][depth]`.
        panels: &'a [Tile],
        depth: usize,
        /// Which tiles of the depth.
        tiles: Range<usize>,
        /// The first sum is that of the first row and panel.
        sums: &'a mut [[f32; LANES]],
        /// Tiles from a panel to the next, and sums from those of a panel to those of the next; 0 where one panel stands for all.
        apart: (usize, usize),
        /// Bytes from weights to those that are fetched for the next piece of work; 0 where they have been.
        ahead: usize,
    }

    impl Work<'_> {
        /// The number of rows.
        ///
        /// # Panics
        /// If there are no rows, or `panels` panels of these tiles, or the lines or sums of the rows, are not there.
        fn checked(&self, panels: usize) -> usize {
            let Self { depth, tiles, apart, .. } = self;
            let rows = self.lines.len() / depth;
            let known = self.lines.len() == rows * depth && tiles.start < tiles.end && tiles.end <= *depth;
            let weights = self.panels.len() >= (panels - 1) * apart.0 + depth;
            let sums = self.sums.len() >= (panels - 1) * apart.1 + rows;
            assert!(rows > 0 && known && weights && sums, "tiles {tiles:?} of {depth}, {rows} rows, {panels} panels");
            rows
        }

        /// The first tile of a panel.
        fn panel(&self, panel: usize) -> *const Tile {
            self.panels[panel * self.apart.0 + self.tiles.start..].as_ptr()
        }

        /// Sums are in tiles 0 to 3, rows in 4, weights in the others.
        #[expect(unsafe_code, reason = "the compiler has no functions for these instructions")]
        fn one_by_four(self) {
            let rows = self.checked(4);
            assert!(rows <= BLOCK, "{rows} rows in one tile");
            let layout = Layout::new([rows, rows, rows, rows, rows, BLOCK, BLOCK, BLOCK]);
            // SAFETY: this machine has the instructions and its system allows them, or there were no `Amx`. `checked` has found
            // that all lines, tiles and sums that are read and written are inside the slices whose pointers are given; a line, a
            // row of a tile of weights and a sum are 64 bytes each. What is fetched ahead is neither read nor written, and may lie
            // anywhere. Tiles are given back at the end; the other registers are named.
            unsafe {
                asm!(
                    "ldtilecfg [{at}]",
                    "mov {at}, {sums}",
                    "tileloadd tmm0, [{at} + {line}]",
                    "add {at}, {apart}",
                    "tileloadd tmm1, [{at} + {line}]",
                    "add {at}, {apart}",
                    "tileloadd tmm2, [{at} + {line}]",
                    "add {at}, {apart}",
                    "tileloadd tmm3, [{at} + {line}]",
                    "2:",
                    "tileloadd tmm4, [{x} + {line}]",
                    "tileloadd tmm5, [{w0} + {line}]",
                    "tdpbf16ps tmm0, tmm4, tmm5",
                    "tileloadd tmm6, [{w1} + {line}]",
                    "tdpbf16ps tmm1, tmm4, tmm6",
                    "tileloadd tmm7, [{w2} + {line}]",
                    "tdpbf16ps tmm2, tmm4, tmm7",
                    "tileloadd tmm5, [{w3} + {line}]",
                    "tdpbf16ps tmm3, tmm4, tmm5",
                    // Each cache line of these tiles in the next piece of work.
                    "test {ahead}, {ahead}",
                    "jz 3f",
                    ".irp at, 0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960",
                    "prefetcht0 [{w0} + {ahead} + \\at]",
                    "prefetcht0 [{w1} + {ahead} + \\at]",
                    "prefetcht0 [{w2} + {ahead} + \\at]",
                    "prefetcht0 [{w3} + {ahead} + \\at]",
                    ".endr",
                    "3:",
                    "add {x}, {step}",
                    "add {w0}, 1024",
                    "add {w1}, 1024",
                    "add {w2}, 1024",
                    "add {w3}, 1024",
                    "dec {left}",
                    "jnz 2b",
                    "tilestored [{sums} + {line}], tmm0",
                    "add {sums}, {apart}",
                    "tilestored [{sums} + {line}], tmm1",
                    "add {sums}, {apart}",
                    "tilestored [{sums} + {line}], tmm2",
                    "add {sums}, {apart}",
                    "tilestored [{sums} + {line}], tmm3",
                    "tilerelease",
                    at = inout(reg) &raw const layout => _,
                    x = inout(reg) self.lines[self.tiles.start * rows..].as_ptr() => _,
                    w0 = inout(reg) self.panel(0) => _,
                    w1 = inout(reg) self.panel(1) => _,
                    w2 = inout(reg) self.panel(2) => _,
                    w3 = inout(reg) self.panel(3) => _,
                    sums = inout(reg) self.sums.as_mut_ptr() => _,
                    ahead = in(reg) self.ahead,
                    line = in(reg) size_of::<Line>(),
                    step = in(reg) rows * size_of::<Line>(),
                    apart = in(reg) self.apart.1 * size_of::<[f32; LANES]>(),
                    left = inout(reg) self.tiles.len() => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }

        /// Sums are in tiles 0 to 3, rows in 4 and 5, weights in 6 and 7.
        #[expect(unsafe_code, reason = "the compiler has no functions for these instructions")]
        fn two_by_two(self) {
            let rows = self.checked(2);
            assert!(rows > BLOCK && rows <= 2 * BLOCK, "{rows} rows in two tiles");
            let more = rows - BLOCK;
            let layout = Layout::new([BLOCK, BLOCK, more, more, BLOCK, more, BLOCK, BLOCK]);
            // SAFETY: as in `one_by_four`. The lines of the second block of rows begin behind all those of the first, 16 for each
            // tile of the depth, and its sums 16 sums, 1024 bytes, behind those of the first.
            unsafe {
                asm!(
                    "ldtilecfg [{at}]",
                    "mov {at}, {sums}",
                    "tileloadd tmm0, [{at} + {line}]",
                    "tileloadd tmm2, [{at} + {line} + 1024]",
                    "add {at}, {apart}",
                    "tileloadd tmm1, [{at} + {line}]",
                    "tileloadd tmm3, [{at} + {line} + 1024]",
                    "2:",
                    "tileloadd tmm6, [{w0} + {line}]",
                    "tileloadd tmm4, [{x0} + {line}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{w1} + {line}]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{x1} + {line}]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    // Each cache line of these tiles in the next piece of work.
                    "test {ahead}, {ahead}",
                    "jz 3f",
                    ".irp at, 0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960",
                    "prefetcht0 [{w0} + {ahead} + \\at]",
                    "prefetcht0 [{w1} + {ahead} + \\at]",
                    ".endr",
                    "3:",
                    "add {x0}, 1024",
                    "add {x1}, {step}",
                    "add {w0}, 1024",
                    "add {w1}, 1024",
                    "dec {left}",
                    "jnz 2b",
                    "tilestored [{sums} + {line}], tmm0",
                    "tilestored [{sums} + {line} + 1024], tmm2",
                    "add {sums}, {apart}",
                    "tilestored [{sums} + {line}], tmm1",
                    "tilestored [{sums} + {line} + 1024], tmm3",
                    "tilerelease",
                    at = inout(reg) &raw const layout => _,
                    x0 = inout(reg) self.lines[self.tiles.start * BLOCK..].as_ptr() => _,
                    x1 = inout(reg) self.lines[self.depth * BLOCK + self.tiles.start * more..].as_ptr() => _,
                    w0 = inout(reg) self.panel(0) => _,
                    w1 = inout(reg) self.panel(1) => _,
                    sums = inout(reg) self.sums.as_mut_ptr() => _,
                    ahead = in(reg) self.ahead,
                    line = in(reg) size_of::<Line>(),
                    step = in(reg) more * size_of::<Line>(),
                    apart = in(reg) self.apart.1 * size_of::<[f32; LANES]>(),
                    left = inout(reg) self.tiles.len() => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    }
}
