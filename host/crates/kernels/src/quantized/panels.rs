//! Q8_0 on machines that multiply and add bytes by fours, sixteen sums at once (AVX-512 VNNI): several times as fast as f32.
//!
//! Weights lie as those instructions read them: 16 outputs side by side. They take no more room than in a file. The
//! instructions want one side without sign: weights have 128 added, and each row of x takes away what that adds.

use super::{
    activations::Activations,
    blocks::{PART, half},
    small::Q8_0,
    vnni::{self, Vnni},
};
use crate::{
    pieces::{Pieces, in_blocks},
    product::{LANES, unpack},
    room::with_room,
};

/// Bytes of four inputs of 16 outputs.
pub(super) const FOURS: usize = 4 * LANES;

/// 32 inputs of 16 outputs.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Half floats, one for each output.
    pub(super) scales: [u16; LANES],
    /// `[inputs / 4][outputs][4]`, 128 added.
    pub(super) q: [[u8; FOURS]; PART / 4],
}

impl Block {
    /// A block whose weights are 0.
    const ZERO: Self = Self { scales: [0; LANES], q: [[0x80; FOURS]; PART / 4] };
}

/// Panels side by side in a piece of work.
const SIDE: usize = 4;
/// Rows multiplied at once: together they stay in the cache.
const ROWS: usize = 256;

/// A matrix `[outputs, inputs]`.
pub(super) struct Panels {
    machine: Vnni,
    /// `[panels][blocks]`.
    data: Vec<Block>,
    blocks: usize,
    outputs: usize,
}

impl Panels {
    /// Packs the rows of a file.
    pub(super) fn new(machine: Vnni, rows: &[u8], outputs: usize, inputs: usize) -> Self {
        let blocks = inputs / PART;
        let mut data = vec![Block::ZERO; outputs.div_ceil(LANES) * blocks];
        for (output, row) in rows.chunks_exact(blocks * Q8_0::SIZE).enumerate() {
            let (panel, lane) = (&mut data[output / LANES * blocks..], output % LANES);
            for (block, bytes) in panel.iter_mut().zip(row.chunks_exact(Q8_0::SIZE)) {
                block.scales[lane] = u16::from_le_bytes([bytes[0], bytes[1]]);
                for (i, byte) in bytes[2..].iter().enumerate() {
                    block.q[i / 4][lane * 4 + i % 4] = byte ^ 0x80;
                }
            }
        }
        Self { machine, data, blocks, outputs }
    }

    /// Appends row `row` as f32, exactly.
    pub(super) fn push_row(&self, row: usize, to: &mut Vec<f32>) {
        let (panel, lane) = (&self.data[row / LANES * self.blocks..][..self.blocks], row % LANES);
        for block in panel {
            let scale = half(&block.scales[lane].to_le_bytes(), 0);
            to.extend((0..PART).map(|i| scale * f32::from((block.q[i / 4][lane * 4 + i % 4] ^ 0x80) as i8)));
        }
    }

    /// As [`Packed::append`](crate::Packed::append).
    pub(super) fn append(&mut self, other: &Self) -> bool {
        let fits = self.blocks == other.blocks && self.outputs.is_multiple_of(LANES);
        if fits {
            self.data.extend_from_slice(&other.data);
            self.outputs += other.outputs;
        }
        fits
    }

    /// `x [rows, inputs]` to `[rows, part]` for each part of the outputs.
    pub(super) fn forward(&self, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        in_blocks(x, (ROWS, self.blocks * PART), parts, |x| self.forward_block(x, parts, bias))
    }

    fn forward_block(&self, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        let inputs = self.blocks * PART;
        let (rows, multiplications) = (x.len() / inputs, x.len() * self.outputs);
        let x = Activations::new(x, inputs);
        with_room(self.outputs.div_ceil(LANES) * rows * LANES, |tiles| {
            Pieces { tiles: (&mut *tiles, SIDE * rows * LANES), weights: (&self.data, SIDE * self.blocks) }.multiply(
                multiplications,
                |(tiles, panels)| {
                    vnni::multiply(self.machine, &x, panels, tiles.as_chunks_mut().0, rows);
                },
            );
            unpack(tiles, rows, parts, bias)
        })
    }
}
