//! Quantised weights on the CPU: matrices as GGUF files hold them, multiplied as they are.
//!
//! The rows of x are rounded to bytes, 32 of them to a scale, as llama.cpp does; products are exact integers, sums f32.
//!
//! **Invariant**: as in the kernels for f32, a row's numbers do not depend on which other rows are in the batch.

mod activations;
mod blocks;
mod large;
mod machine;
mod panels;
mod product;
mod small;
#[cfg(test)]
mod tests;
mod vnni;

use crate::{pieces::Pieces, room::with_room};
use activations::Activations;
use blocks::Blocks;
pub use blocks::Format;
use large::{IQ4XS, Q2K, Q3K, Q4K, Q5K, Q6K, Q8K};
use panels::Panels;
use product::Product;
use small::{IQ4NL, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0};
use std::marker::PhantomData;
use vnni::Vnni;

/// Outputs in a piece of work.
const OUTPUTS: usize = 16;

/// A weight matrix `[outputs, inputs]`; each row is a row of blocks.
pub struct Quantized {
    data: Data,
    format: Format,
    inputs: usize,
    outputs: usize,
}

enum Data {
    /// As in the file.
    Rows(Vec<u8>),
    /// As some machines read Q8_0 best.
    Panels(Panels),
}

impl Quantized {
    /// Takes the bytes of a file, row by row. `None` if their number is not that of the shape, or if blocks do not fit into
    /// rows.
    #[must_use]
    pub fn new(data: Vec<u8>, format: Format, outputs: usize, inputs: usize) -> Option<Self> {
        let blocks = inputs.checked_div(format.span()).filter(|n| n * format.span() == inputs && *n > 0)?;
        let bytes = blocks.checked_mul(format.bytes())?.checked_mul(outputs)?;
        if data.len() != bytes {
            return None;
        }
        let data = match (format, Vnni::detect()) {
            (Format::Q8_0, Some(machine)) => Data::Panels(Panels::new(machine, &data, outputs, inputs)),
            _ => Data::Rows(data),
        };
        Some(Self { data, format, inputs, outputs })
    }

    /// Columns of a product.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers of a row of weights.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// As [`Packed::append`](crate::Packed::append).
    pub fn append(&mut self, other: &Self) -> bool {
        let fits = self.format == other.format && self.inputs == other.inputs;
        let appended = match (&mut self.data, &other.data) {
            (Data::Rows(own), Data::Rows(more)) if fits => {
                own.extend_from_slice(more);
                true
            }
            (Data::Panels(own), Data::Panels(more)) if fits => own.append(more),
            _ => false,
        };
        if appended {
            self.outputs += other.outputs;
        }
        appended
    }

    /// Bytes of one row.
    fn stride(&self) -> usize {
        self.inputs / self.format.span() * self.format.bytes()
    }

    /// Appends row `row` as f32, exactly.
    pub fn push_row(&self, row: usize, to: &mut Vec<f32>) {
        let data = match &self.data {
            Data::Rows(data) => &data[row * self.stride()..(row + 1) * self.stride()],
            Data::Panels(panels) => return panels.push_row(row, to),
        };
        match self.format {
            Format::Q8_0 => push::<Q8_0, 1>(data, to),
            Format::Q4_0 => push::<Q4_0, 1>(data, to),
            Format::Q4_1 => push::<Q4_1, 1>(data, to),
            Format::Q5_0 => push::<Q5_0, 1>(data, to),
            Format::Q5_1 => push::<Q5_1, 1>(data, to),
            Format::IQ4NL => push::<IQ4NL, 1>(data, to),
            Format::Q2K => push::<Q2K, 8>(data, to),
            Format::Q3K => push::<Q3K, 8>(data, to),
            Format::Q4K => push::<Q4K, 8>(data, to),
            Format::Q5K => push::<Q5K, 8>(data, to),
            Format::Q6K => push::<Q6K, 8>(data, to),
            Format::Q8K => push::<Q8K, 8>(data, to),
            Format::IQ4XS => push::<IQ4XS, 8>(data, to),
        }
    }

    /// `x [rows, inputs]` to `[rows, part]` for each part of the outputs. The bias, one number per output, is added.
    #[must_use]
    pub fn forward(&self, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        let data = match &self.data {
            Data::Rows(data) => data,
            Data::Panels(panels) => return panels.forward(x, parts, bias),
        };
        match self.format {
            Format::Q8_0 => self.multiply::<Q8_0, 1>(data, x, parts, bias),
            Format::Q4_0 => self.multiply::<Q4_0, 1>(data, x, parts, bias),
            Format::Q4_1 => self.multiply::<Q4_1, 1>(data, x, parts, bias),
            Format::Q5_0 => self.multiply::<Q5_0, 1>(data, x, parts, bias),
            Format::Q5_1 => self.multiply::<Q5_1, 1>(data, x, parts, bias),
            Format::IQ4NL => self.multiply::<IQ4NL, 1>(data, x, parts, bias),
            Format::Q2K => self.multiply::<Q2K, 8>(data, x, parts, bias),
            Format::Q3K => self.multiply::<Q3K, 8>(data, x, parts, bias),
            Format::Q4K => self.multiply::<Q4K, 8>(data, x, parts, bias),
            Format::Q5K => self.multiply::<Q5K, 8>(data, x, parts, bias),
            Format::Q6K => self.multiply::<Q6K, 8>(data, x, parts, bias),
            Format::Q8K => self.multiply::<Q8K, 8>(data, x, parts, bias),
            Format::IQ4XS => self.multiply::<IQ4XS, 8>(data, x, parts, bias),
        }
    }

    fn multiply<B: Blocks<N> + Sync, const N: usize>(
        &self,
        data: &[u8],
        x: &[f32],
        parts: &[usize],
        bias: Option<&[f32]>,
    ) -> Vec<Vec<f32>> {
        let (rows, stride) = (x.len() / self.inputs, self.stride());
        if rows == 0 {
            return vec![Vec::new(); parts.len()];
        }
        let multiplications = x.len() * self.outputs;
        let x = Activations::new(x, self.inputs);
        with_room(rows * self.outputs, |tiles| {
            Pieces { tiles: (&mut *tiles, rows * OUTPUTS), weights: (data, stride * OUTPUTS) }.multiply(
                multiplications,
                |(tile, data)| {
                    Product::<B> { data, stride, x: &x, tile, rows, blocks: PhantomData }.run();
                },
            );
            let mut first = 0;
            let mut part = |outputs: &usize| {
                let own = first..first + outputs;
                first = own.end;
                transposed(&tiles[own.start * rows..own.end * rows], rows, bias.map(|bias| &bias[own]))
            };
            parts.iter().map(&mut part).collect()
        })
    }
}

fn push<B: Blocks<N>, const N: usize>(data: &[u8], to: &mut Vec<f32>) {
    for block in data.chunks_exact(B::BYTES) {
        let (scales, halves) = (B::scales(block), B::half_mins(block));
        for (p, bytes) in B::bytes(block).into_iter().enumerate() {
            let min = |i: usize| if B::HALF_MINS { halves[p][i / 16] } else { scales.mins[p] };
            let number = |(i, q): (usize, i8)| scales.each[p][i / 16] * f32::from(q) - min(i);
            to.extend(bytes.into_iter().enumerate().map(number));
        }
    }
}

/// Turns `[outputs][rows]` into `[rows][outputs]`, and adds the bias.
fn transposed(tiles: &[f32], rows: usize, bias: Option<&[f32]>) -> Vec<f32> {
    let outputs = tiles.len() / rows;
    let mut y = Vec::with_capacity(tiles.len());
    (0..rows).for_each(|row| y.extend(tiles[row.min(tiles.len())..].iter().step_by(rows)));
    if let Some(bias) = bias {
        y.chunks_exact_mut(outputs).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
    }
    y
}
