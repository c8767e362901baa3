//! Linear maps, one by one or several of the same x as one.

use crate::direct::with_numbers;
use candle_core::{
    Device, Result, Tensor,
    quantized::{GgmlDType, QTensor},
};
use inferenceguard_kernels::{Bf16, Format, Packed, Quantized};
use std::sync::Arc;

/// `x W^T + b`.
pub(crate) struct Linear {
    weight: Weight,
    bias: Option<Tensor>,
}

enum Weight {
    /// As our own kernel reads it.
    Packed(Packed),
    /// As stored, `[out, in]`.
    Stored(Tensor),
    /// In fewer bits; our own kernels read it.
    Compact(Compact),
}

/// A matrix `[outputs, inputs]` of fewer than 32 bits a number, for our own kernels. A tied model's head shares that of its
/// embedding.
#[derive(Clone)]
pub(crate) enum Compact {
    /// As in a GGUF file.
    Quantized(Arc<Quantized>),
    Bf16(Arc<Bf16>),
}

impl Compact {
    pub(crate) fn inputs(&self) -> usize {
        match self {
            Self::Quantized(weight) => weight.inputs(),
            Self::Bf16(weight) => weight.inputs(),
        }
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Quantized(weight) => weight.outputs(),
            Self::Bf16(weight) => weight.outputs(),
        }
    }

    /// Appends row `row` as f32, exactly.
    pub(crate) fn push_row(&self, row: usize, to: &mut Vec<f32>) {
        match self {
            Self::Quantized(weight) => weight.push_row(row, to),
            Self::Bf16(weight) => weight.push_row(row, to),
        }
    }

    fn forward(&self, x: &[f32], parts: &[usize], bias: Option<&[f32]>) -> Vec<Vec<f32>> {
        match self {
            Self::Quantized(weight) => weight.forward(x, parts, bias),
            Self::Bf16(weight) => weight.forward(x, parts, bias),
        }
    }

    /// Takes over the outputs of another; false, and nothing done, if they do not fit together, or if it is shared.
    fn append(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Quantized(own), Self::Quantized(more)) => Arc::get_mut(own).is_some_and(|own| own.append(more)),
            (Self::Bf16(own), Self::Bf16(more)) => Arc::get_mut(own).is_some_and(|own| own.append(more)),
            _ => false,
        }
    }
}

/// A matrix `[outputs, inputs]` rounded to Q8_0; `None` if rows are not whole blocks.
pub(crate) fn quantize(values: Vec<f32>, outputs: usize, inputs: usize) -> Result<Option<Quantized>> {
    if !inputs.is_multiple_of(Format::Q8_0.span()) {
        return Ok(None);
    }
    let matrix = Tensor::from_vec(values, (outputs, inputs), &Device::Cpu)?;
    let rounded = QTensor::quantize(&matrix, GgmlDType::Q8_0)?.data()?.into_owned();
    Ok(Quantized::new(rounded, Format::Q8_0, outputs, inputs))
}

impl Linear {
    /// A map whose matrix is held in fewer bits.
    pub(crate) fn of_compact(weight: Compact, bias: Option<Tensor>) -> Self {
        Self { weight: Weight::Compact(weight), bias }
    }

    /// A map with the matrix `[out, in]`; `direct` packs it for our own kernel, which reads f32 on the CPU.
    pub(crate) fn new(weight: Tensor, bias: Option<Tensor>, direct: bool) -> Result<Self> {
        let (outputs, inputs) = weight.dims2()?;
        let weight = match direct {
            true => Weight::Packed(with_numbers(&weight, |w| Packed::new(w, outputs, inputs))?),
            false => Weight::Stored(weight),
        };
        Ok(Self { weight, bias })
    }

    /// `[n, in]` to `[n, out]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let Weight::Stored(weight) = &self.weight else {
            return Ok(self.in_parts(x, &[self.outputs()?])?.remove(0));
        };
        let y = x.matmul(&weight.t()?)?;
        self.bias.as_ref().map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
    }

    /// `[n, in]` to `[n, part]` for each part of the outputs, by a kernel of our own.
    fn in_parts(&self, x: &Tensor, parts: &[usize]) -> Result<Vec<Tensor>> {
        let x = x.contiguous()?;
        let kernel = |x: &[f32], bias: Option<&[f32]>| match &self.weight {
            Weight::Packed(packed) => packed.forward(x, parts, bias),
            Weight::Compact(weight) => weight.forward(x, parts, bias),
            Weight::Stored(_) => Vec::new(),
        };
        let product = |bias: Option<&[f32]>| with_numbers(&x, |x| kernel(x, bias));
        let all = match &self.bias {
            Some(bias) => with_numbers(bias, |bias| product(Some(bias)))??,
            None => product(None)?,
        };
        let rows = x.dim(0)?;
        all.into_iter().zip(parts).map(|(y, part)| Tensor::from_vec(y, (rows, *part), x.device())).collect()
    }

    /// Takes over the outputs of another; false, and nothing done, if they do not fit together.
    fn append(&mut self, other: &Self) -> Result<bool> {
        if self.bias.is_some() != other.bias.is_some() {
            return Ok(false);
        }
        let appended = match (&mut self.weight, &other.weight) {
            (Weight::Packed(own), Weight::Packed(more)) => own.append(more),
            (Weight::Compact(own), Weight::Compact(more)) => own.append(more),
            _ => false,
        };
        if let (true, Some(own), Some(more)) = (appended, &self.bias, &other.bias) {
            self.bias = Some(Tensor::cat(&[own, more], 0)?);
        }
        Ok(appended)
    }

    fn outputs(&self) -> Result<usize> {
        match &self.weight {
            Weight::Packed(packed) => Ok(packed.outputs()),
            Weight::Compact(weight) => Ok(weight.outputs()),
            Weight::Stored(weight) => weight.dim(0),
        }
    }
}

/// Linear maps of the same x.
pub(crate) struct Maps {
    /// One for all of them where our own kernels compute and they fit together; else one for each.
    linear: Vec<Linear>,
    parts: Vec<usize>,
}

impl Maps {
    pub(crate) fn new(maps: Vec<Linear>) -> Result<Self> {
        let parts = maps.iter().map(Linear::outputs).collect::<Result<_>>()?;
        let mut linear: Vec<Linear> = Vec::new();
        for map in maps {
            // Matrices that do not fit to the one before stand alone, and so do all after them.
            let joined = match linear.as_mut_slice() {
                [one] => one.append(&map)?,
                _ => false,
            };
            if !joined {
                linear.push(map);
            }
        }
        Ok(Self { linear, parts })
    }

    /// `[n, in]` to `[n, out]` of each, in order.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut parts = self.parts.as_slice();
        let mut all = Vec::with_capacity(parts.len());
        for linear in &self.linear {
            let (mut own, outputs) = (0, linear.outputs()?);
            let taken = parts.iter().take_while(|part| {
                own += **part;
                own <= outputs
            });
            let (now, later) = parts.split_at(taken.count());
            parts = later;
            match now {
                [_] => all.push(linear.forward(x)?),
                _ => all.append(&mut linear.in_parts(x, now)?),
            }
        }
        Ok(all)
    }
}
