//! Reads tensors for one device and number format.

use crate::{
    CandleError, DecoderConfig,
    device::Rounded,
    linear::{Compact, Linear, quantize},
    weights::Weights,
};
use candle_core::{DType, Device, Tensor};
use inferenceguard_kernels::Bf16;
use std::sync::Arc;

/// How numbers are held and multiplied.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// Of what is not quantised.
    pub(crate) dtype: DType,
    /// Whether our own kernels compute, instead of the tensor library.
    pub(crate) direct: bool,
    /// What matrices become as they are loaded, unless a file has them quantised; only where our own kernels compute.
    pub(crate) rounded: Rounded,
}

impl Format {
    /// What rounding can do to a sum of costs when the same tokens run in another batch, in parts of `1 + budget`. Our own
    /// kernels compute a row in the same order whatever the batch. The tensor library does not; for it these are
    /// allowances of some ten times the unit of the format, not bounds that were proved.
    pub(crate) fn rounding(self) -> f64 {
        match self.dtype {
            _ if self.direct => 0.0,
            DType::BF16 => 3e-2,
            DType::F16 => 5e-3,
            _ => 1e-4,
        }
    }
}

/// Reads tensors for one device and number format.
pub(crate) struct Loader<'a> {
    pub(crate) weights: &'a Weights,
    pub(crate) device: &'a Device,
    pub(crate) format: Format,
}

impl Loader<'_> {
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> std::result::Result<Tensor, CandleError> {
        self.weights.tensor(name, shape, self.format.dtype, self.device)
    }

    pub(crate) fn linear(
        &self,
        name: &str,
        input: usize,
        output: usize,
        bias: bool,
    ) -> std::result::Result<Linear, CandleError> {
        let weight = format!("{name}.weight");
        let bias = if bias { Some(self.tensor(&format!("{name}.bias"), &[output])?) } else { None };
        if let Some(weight) = self.read_compact(&weight, output, input)? {
            return Ok(Linear::of_compact(weight, bias));
        }
        let weight = self.tensor(&weight, &[output, input])?;
        Ok(Linear::new(weight, bias, self.format.direct)?)
    }

    /// A matrix that stays quantised, or is rounded: if our own kernels compute. The tensor library gets f32.
    pub(crate) fn read_compact(
        &self,
        name: &str,
        output: usize,
        input: usize,
    ) -> std::result::Result<Option<Compact>, CandleError> {
        if !self.format.direct {
            return Ok(None);
        }
        let quantized = |matrix| Compact::Quantized(Arc::new(matrix));
        if let Some(found) = self.weights.read_quantized(name, [output, input])? {
            return Ok(Some(quantized(found)));
        }
        let values = || self.weights.values(name, &[output, input]);
        match self.format.rounded {
            Rounded::No => Ok(None),
            Rounded::Q8_0 => Ok(quantize(values()?, output, input)?.map(quantized)),
            Rounded::BF16 => Ok(Some(Compact::Bf16(Arc::new(Bf16::new(&values()?, output, input))))),
        }
    }

    /// `[size]`: of a Gemma in a Hugging Face folder, one more than the stored number. The sum is made in f32, before the number
    /// format of the model.
    pub(crate) fn norm_weight(
        &self,
        name: &str,
        size: usize,
        config: &DecoderConfig,
    ) -> std::result::Result<Tensor, CandleError> {
        if config.gemma.is_none() || self.weights.gguf().is_some() {
            return self.tensor(name, &[size]);
        }
        let used: Vec<f32> = self.weights.values(name, &[size])?.into_iter().map(|stored| stored + 1.0).collect();
        let host = Tensor::from_vec(used, size, &Device::Cpu)?.to_dtype(self.format.dtype)?;
        Ok(host.to_device(self.device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_the_margin_that_the_guarantee_names() {
        for (dtype, margin) in [(DType::F32, 1e-4), (DType::F16, 5e-3), (DType::BF16, 3e-2)] {
            let format = |direct| Format { dtype, direct, rounded: Rounded::No };
            assert_eq!((format(false).rounding(), format(true).rounding()), (margin, 0.0), "{dtype:?}");
        }
    }
}
