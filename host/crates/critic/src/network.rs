//! The network: linear layers with activations between them. The scaling of inputs and outputs is folded into the first and the
//! last layer when the network is written.

use super::error::Result;
use candle_core::{Device, Tensor, Var};
use inferenceguard_bundle::network::{Layer, LayerActivation};
use inferenceguard_dice::Dice;

/// How large a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Numbers per input row.
    pub(super) inputs: usize,
    /// Width of the hidden layers.
    pub(super) hidden: usize,
    /// How many hidden layers; 0 for a linear map.
    pub(super) depth: usize,
    /// What follows each hidden layer.
    pub(super) activation: LayerActivation,
    /// Logits of a critic, before its one value.
    pub(super) logits: usize,
}

impl Shape {
    /// Inputs and outputs of every layer.
    fn layers(&self) -> Vec<(usize, usize)> {
        let widths: Vec<usize> =
            [self.inputs].into_iter().chain(vec![self.hidden; self.depth]).chain([self.logits + 1]).collect();
        widths.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

/// The scaling: from each number its mean is subtracted, and the result is divided by its standard deviation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scaling {
    /// Mean and standard deviation of every input.
    pub(super) inputs: Vec<(f64, f64)>,
    /// Mean and standard deviation of the value.
    pub(super) value: (f64, f64),
}

/// Factor and shift that calibrate a logit: Platt's scaling.
pub(super) type Line = (f64, f64);

/// A trainable network. It works on scaled numbers.
pub(super) struct Mlp {
    shape: Shape,
    layers: Vec<(Var, Var)>,
}

impl Mlp {
    /// Random weights from a seed. The logits start at `prior`, the value at its mean.
    pub(super) fn random(shape: Shape, prior: &[f64], seed: u64, device: &Device) -> Result<Self> {
        let mut dice = Dice::new(seed, &[61]);
        let (mut layers, last) = (Vec::new(), shape.depth);
        for (n, (inputs, outputs)) in shape.layers().into_iter().enumerate() {
            // Small weights in the last layer, so that training starts at the base rates.
            let size = if n == last { 0.1 } else { 2f64.sqrt() } / (inputs as f64).sqrt();
            let weights: Vec<f32> = (0..inputs * outputs).map(|_| (size * dice.normal()) as f32).collect();
            let mut bias = vec![0.0; outputs];
            if n == last {
                bias.iter_mut().zip(prior).for_each(|(bias, prior)| *bias = *prior as f32);
            }
            layers.push((variable(weights, &[outputs, inputs], device)?, variable(bias, &[outputs], device)?));
        }
        Ok(Self { shape, layers })
    }

    /// `[rows, inputs]`, scaled, to `[rows, logits + 1]`.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let mut rows = rows.clone();
        for (n, (weight, bias)) in self.layers.iter().enumerate() {
            rows = rows.matmul(&weight.t()?)?.broadcast_add(bias)?;
            if n < self.shape.depth {
                rows = activate(self.shape.activation, &rows)?;
            }
        }
        Ok(rows)
    }

    /// All weights, for the optimiser.
    pub(super) fn variables(&self) -> Vec<Var> {
        self.layers.iter().flat_map(|(weight, bias)| [weight.clone(), bias.clone()]).collect()
    }

    /// A copy of all weights, layer by layer: weight, bias.
    pub(super) fn weights(&self) -> Result<Vec<Vec<f32>>> {
        self.variables().iter().map(|one| Ok(one.as_tensor().flatten_all()?.to_vec1()?)).collect()
    }

    /// Sets the weights, which have the same shape.
    pub(super) fn set(&self, weights: &[Vec<f32>]) -> Result<()> {
        for (variable, values) in self.variables().iter().zip(weights) {
            variable.set(&Tensor::from_slice(values, variable.dims(), variable.device())?)?;
        }
        Ok(())
    }

    /// The sizes of [`Mlp::weights`].
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.variables().iter().map(|one| one.elem_count()).collect()
    }

    /// The layers for unscaled numbers, with calibrated logits.
    pub(super) fn folded(&self, scaling: &Scaling, lines: &[Line]) -> Result<Vec<Layer>> {
        let weights = self.weights()?;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (n, pair) in weights.chunks_exact(2).enumerate() {
            let mut layer = Wide::new(&pair[0], &pair[1]);
            if n == 0 {
                layer.scale_inputs(&scaling.inputs);
            }
            let last = n == self.shape.depth;
            if last {
                layer.put_on_lines(lines.iter().copied().chain([(scaling.value.1, scaling.value.0)]));
            }
            layers.push(layer.narrow(if last { LayerActivation::Identity } else { self.shape.activation }));
        }
        Ok(layers)
    }
}

fn variable(values: Vec<f32>, shape: &[usize], device: &Device) -> Result<Var> {
    Ok(Var::from_tensor(&Tensor::from_vec(values, shape, device)?)?)
}

fn activate(activation: LayerActivation, rows: &Tensor) -> candle_core::Result<Tensor> {
    match activation {
        LayerActivation::Identity => Ok(rows.clone()),
        LayerActivation::Relu => rows.relu(),
        LayerActivation::Tanh => rows.tanh(),
        LayerActivation::Silu => candle_nn::ops::silu(rows),
        LayerActivation::Sigmoid => candle_nn::ops::sigmoid(rows),
    }
}

/// A layer in f64, so that folding loses no precision.
struct Wide {
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl Wide {
    fn new(weights: &[f32], bias: &[f32]) -> Self {
        let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect();
        Self { weights: wide(weights), bias: wide(bias) }
    }

    fn rows(&mut self) -> impl Iterator<Item = (&mut [f64], &mut f64)> {
        let inputs = self.weights.len() / self.bias.len();
        self.weights.chunks_exact_mut(inputs).zip(&mut self.bias)
    }

    /// W ((x - mean) / deviation) + b as W' x + b'.
    fn scale_inputs(&mut self, scaling: &[(f64, f64)]) {
        for (row, bias) in self.rows() {
            for (weight, (mean, deviation)) in row.iter_mut().zip(scaling) {
                *weight /= deviation;
                *bias -= *weight * mean;
            }
        }
    }

    /// Each output y becomes factor · y + shift.
    fn put_on_lines(&mut self, lines: impl Iterator<Item = Line>) {
        for ((row, bias), (factor, shift)) in self.rows().zip(lines) {
            row.iter_mut().for_each(|weight| *weight *= factor);
            *bias = *bias * factor + shift;
        }
    }

    fn narrow(self, activation: LayerActivation) -> Layer {
        let narrow = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Layer { weights: narrow(self.weights), bias: narrow(self.bias), activation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(layers: &[Layer], row: &[f64]) -> Vec<f64> {
        layers.iter().fold(row.to_vec(), |row, layer| {
            let line = |(weights, bias): (&[f32], &f32)| {
                let sum = f64::from(*bias) + weights.iter().zip(&row).map(|(w, x)| f64::from(*w) * x).sum::<f64>();
                match layer.activation {
                    LayerActivation::Identity => sum,
                    LayerActivation::Relu => sum.max(0.0),
                    LayerActivation::Tanh => sum.tanh(),
                    LayerActivation::Sigmoid => 1.0 / (1.0 + (-sum).exp()),
                    LayerActivation::Silu => sum / (1.0 + (-sum).exp()),
                }
            };
            layer.weights.chunks_exact(row.len()).zip(&layer.bias).map(line).collect()
        })
    }

    #[test]
    fn folded_layers_on_raw_rows_are_the_network_on_scaled_rows() {
        let mut dice = Dice::new(1, &[2]);
        let scaling = Scaling {
            inputs: (0..9).map(|at| (20.0 * dice.normal(), 0.1 + f64::from(at))).collect(),
            value: (-4.0, 2.5),
        };
        let lines = [(1.5, -0.25), (0.5, 1.0)];
        for (depth, activation) in (0..4).zip([LayerActivation::Relu, LayerActivation::Silu]).chain([
            (2, LayerActivation::Tanh),
            (3, LayerActivation::Sigmoid),
            (1, LayerActivation::Identity),
        ]) {
            let shape = Shape { inputs: 9, hidden: 8, depth, activation, logits: 2 };
            let network = Mlp::random(shape, &[1.0, -2.0], 5, &Device::Cpu).unwrap();
            let folded = network.folded(&scaling, &lines).unwrap();
            assert_eq!(folded.len(), depth + 1);
            for _ in 0..20 {
                let scaled: Vec<f64> = (0..9).map(|_| dice.normal()).collect();
                let raw: Vec<f64> = scaled.iter().zip(&scaling.inputs).map(|(x, (m, d))| x * d + m).collect();
                let rows = scaled.iter().map(|x| *x as f32).collect();
                let rows = Tensor::from_vec(rows, (1, 9), &Device::Cpu).unwrap();
                let out: Vec<f32> = network.forward(&rows).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                let on_line = |at: usize, (factor, shift): Line| f64::from(out[at]) * factor + shift;
                let expected = [on_line(0, lines[0]), on_line(1, lines[1]), on_line(2, (2.5, -4.0))];
                for (found, expected) in plain(&folded, &raw).iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-4, "{depth}, {activation:?}: {found} {expected}");
                }
            }
        }
    }
}
