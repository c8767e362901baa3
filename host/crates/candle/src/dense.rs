//! Networks of costs, critics and steering on the model's device: one product of matrices for all rows of a layer.

use candle_core::{Device, Result, Tensor};
use inferenceguard_model::dense::{CpuDense, Dense, DenseError, Layer, LayerActivation, Network, check_layers};
use std::sync::Arc;

/// Networks on a device, in f32.
///
/// For each value and each gradient `x` of networks whose weights and inputs are of size 1 it agrees with
/// [`CpuDense`] within [`DeviceDense::TOLERANCE`] times `1 + |x|`.
#[derive(Debug, Clone)]
pub struct DeviceDense {
    device: Device,
}

impl DeviceDense {
    /// How far its numbers may be from those of the reference, as a share of `1 + |x|`.
    pub const TOLERANCE: f64 = 1e-4;

    pub(crate) fn new(device: Device) -> Self {
        Self { device }
    }

    /// On the processor, by the same products of matrices: what tests compare with the reference. A model on the processor
    /// uses [`CpuDense`] itself, whose rows do not depend on the batch.
    #[must_use]
    pub fn on_cpu() -> Self {
        Self::new(Device::Cpu)
    }
}

/// The networks' home for a model on this device.
pub(crate) fn dense(device: &Device) -> Arc<dyn Dense> {
    match device {
        Device::Cpu => Arc::new(CpuDense),
        other => Arc::new(DeviceDense::new(other.clone())),
    }
}

impl Dense for DeviceDense {
    fn load(&self, name: &str, layers: &Arc<[Layer]>) -> std::result::Result<Arc<dyn Network>, DenseError> {
        check_layers(name, layers)?;
        let failed =
            |error: candle_core::Error| DenseError::Device { network: name.to_owned(), message: error.to_string() };
        let layers = layers.iter().map(|layer| DeviceLayer::load(layer, &self.device));
        let layers = layers.collect::<Result<Vec<_>>>().map_err(failed)?;
        Ok(Arc::new(DeviceNetwork { layers, device: self.device.clone() }))
    }

    fn rounding(&self) -> f64 {
        Self::TOLERANCE
    }
}

struct DeviceLayer {
    /// `[outputs, inputs]`.
    weights: Tensor,
    /// `[1, outputs]`.
    bias: Tensor,
    activation: LayerActivation,
}

impl DeviceLayer {
    fn load(layer: &Layer, device: &Device) -> Result<Self> {
        let (outputs, inputs) = (layer.outputs(), layer.inputs());
        let weights = Tensor::from_slice(&layer.weights, (outputs, inputs), device)?;
        let bias = Tensor::from_slice(&layer.bias, (1, outputs), device)?;
        Ok(Self { weights, bias, activation: layer.activation })
    }

    fn widths(&self) -> (usize, usize) {
        (self.weights.dims().last().copied().unwrap_or(0), self.bias.elem_count())
    }

    /// x Wᵀ + b: `[rows, inputs]` to `[rows, outputs]`.
    fn linear(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weights.t()?)?.broadcast_add(&self.bias)
    }

    /// (g · slope(z)) W: the gradient by the input, from that by the output.
    fn backward(&self, z: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        (gradient * slope(self.activation, z)?)?.matmul(&self.weights)
    }
}

struct DeviceNetwork {
    /// At least one; widths that fit.
    layers: Vec<DeviceLayer>,
    device: Device,
}

impl DeviceNetwork {
    /// These rows on the device.
    fn rows(&self, input: &[f32]) -> Result<Tensor> {
        let width = self.inputs();
        Tensor::from_slice(input, (input.len() / width.max(1), width), &self.device)
    }

    fn values(&self, input: &[f32]) -> Result<Vec<f32>> {
        let mut x = self.rows(input)?;
        for layer in &self.layers {
            x = value(layer.activation, &layer.linear(&x)?)?;
        }
        to_host(&x)
    }

    fn gradients(&self, input: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let (mut x, mut before) = (self.rows(input)?, Vec::with_capacity(self.layers.len()));
        for layer in &self.layers {
            let z = layer.linear(&x)?;
            x = value(layer.activation, &z)?;
            before.push(z);
        }
        let mut gradient = x.ones_like()?;
        for (layer, z) in self.layers.iter().zip(&before).rev() {
            gradient = layer.backward(z, &gradient)?;
        }
        Ok((to_host(&x)?, to_host(&gradient)?))
    }
}

impl Network for DeviceNetwork {
    fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.widths().0)
    }

    fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.widths().1)
    }

    fn multiply_adds(&self) -> u64 {
        self.layers.iter().map(|layer| (layer.weights.elem_count() + layer.bias.elem_count()) as u64).sum()
    }

    fn forward(&self, input: &[f32]) -> std::result::Result<Vec<f32>, String> {
        if input.is_empty() {
            return Ok(Vec::new());
        }
        self.values(input).map_err(|error| error.to_string())
    }

    fn value_and_gradient(&self, input: &[f32]) -> std::result::Result<(Vec<f32>, Vec<f32>), String> {
        if input.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        self.gradients(input).map_err(|error| error.to_string())
    }
}

fn to_host(rows: &Tensor) -> Result<Vec<f32>> {
    rows.contiguous()?.flatten_all()?.to_vec1()
}

fn sigmoid(z: &Tensor) -> Result<Tensor> {
    (z.neg()?.exp()? + 1.0)?.recip()
}

fn value(activation: LayerActivation, z: &Tensor) -> Result<Tensor> {
    match activation {
        LayerActivation::Identity => Ok(z.clone()),
        // NaN stays NaN, as in the reference: a maximum would turn it into zero.
        LayerActivation::Relu => z.lt(0.0)?.where_cond(&z.zeros_like()?, z),
        LayerActivation::Tanh => z.tanh(),
        LayerActivation::Silu => z * sigmoid(z)?,
        LayerActivation::Sigmoid => sigmoid(z),
    }
}

fn slope(activation: LayerActivation, z: &Tensor) -> Result<Tensor> {
    match activation {
        LayerActivation::Identity => z.ones_like(),
        LayerActivation::Relu => z.gt(0.0)?.to_dtype(z.dtype()),
        LayerActivation::Tanh => z.tanh()?.sqr()?.affine(-1.0, 1.0),
        LayerActivation::Silu => {
            let s = sigmoid(z)?;
            // s (1 + z (1 - s))
            &s * ((z * s.affine(-1.0, 1.0)?)? + 1.0)?
        }
        LayerActivation::Sigmoid => {
            let s = sigmoid(z)?;
            &s * s.affine(-1.0, 1.0)?
        }
    }
}
