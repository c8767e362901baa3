//! Networks on the CPU: linear layers with an activation each, forward and backward, row by row.

use super::{Dense, Network};
use std::{collections::BTreeMap, sync::Arc};

/// What follows a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// max(0, x).
    Relu,
    /// tanh x.
    Tanh,
    /// x · sigmoid(x).
    Silu,
    /// 1 / (1 + e^-x).
    Sigmoid,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Identity, Self::Relu, Self::Tanh, Self::Silu, Self::Sigmoid];

    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Relu => "relu",
            Self::Tanh => "tanh",
            Self::Silu => "silu",
            Self::Sigmoid => "sigmoid",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|activation| activation.name() == name)
    }

    fn value(self, x: f32) -> f32 {
        match self {
            Self::Identity => x,
            // `max` would turn NaN into zero.
            Self::Relu => {
                if x < 0.0 {
                    0.0
                } else {
                    x
                }
            }
            Self::Tanh => x.tanh(),
            Self::Silu => x * sigmoid(x),
            Self::Sigmoid => sigmoid(x),
        }
    }

    fn slope(self, x: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => f32::from(x > 0.0),
            Self::Tanh => 1.0 - x.tanh() * x.tanh(),
            Self::Silu => sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x))),
            Self::Sigmoid => sigmoid(x) * (1.0 - sigmoid(x)),
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Eight sums side by side, so that a processor can take several products at once; always in the same order.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (left, right) in left.iter().zip(right) {
        sums.iter_mut().zip(left.iter().zip(right)).for_each(|(sum, (l, r))| *sum += l * r);
    }
    sums.iter().sum::<f32>() + left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum::<f32>()
}

/// Why a network was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("network `{network}`, layer {layer}: found {found}; expected {expected}")]
pub struct LayerError {
    /// The network.
    pub network: String,
    /// The layer, from 0.
    pub layer: usize,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

/// y = activation(W x + b).
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// W, `[outputs, inputs]`, row-major.
    pub weights: Vec<f32>,
    /// b, `[outputs]`.
    pub bias: Vec<f32>,
    /// What follows.
    pub activation: Activation,
}

impl Layer {
    fn outputs(&self) -> usize {
        self.bias.len()
    }

    fn inputs(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }

    /// W x + b.
    fn linear(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs());
        rows.zip(&self.bias).map(|(w, b)| b + dot(w, x)).collect()
    }

    /// Wᵀ (g · slope(z)).
    fn backward(&self, z: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut by_input = vec![0.0; self.inputs()];
        for ((w, z), g) in self.weights.chunks_exact(self.inputs()).zip(z).zip(gradient) {
            let factor = g * self.activation.slope(*z);
            by_input.iter_mut().zip(w).for_each(|(sum, w)| *sum += factor * w);
        }
        by_input
    }
}

/// Named stacks of layers.
#[derive(Default, Clone)]
pub struct CpuDense {
    networks: BTreeMap<String, Arc<Stack>>,
}

impl CpuDense {
    /// Adds a network.
    ///
    /// # Errors
    /// When it has no layer, a layer is empty, or the widths of neighbours do not fit.
    pub fn with_network(mut self, name: &str, layers: impl Into<Arc<[Layer]>>) -> Result<Self, LayerError> {
        let layers = layers.into();
        check(name, &layers)?;
        self.networks.insert(name.to_owned(), Arc::new(Stack(layers)));
        Ok(self)
    }
}

impl Dense for CpuDense {
    fn open(&self, name: &str) -> Option<Arc<dyn Network>> {
        self.networks.get(name).map(|stack| Arc::clone(stack) as Arc<dyn Network>)
    }
}

fn check(network: &str, layers: &[Layer]) -> Result<(), LayerError> {
    let error = |layer, found: String, expected: String| {
        Err(LayerError { network: network.to_owned(), layer, found, expected })
    };
    if layers.is_empty() {
        return error(0, "no layer".to_owned(), "at least one".to_owned());
    }
    let mut width = None;
    for (n, layer) in layers.iter().enumerate() {
        let (weights, outputs) = (layer.weights.len(), layer.bias.len());
        if weights == 0 || outputs == 0 || !weights.is_multiple_of(outputs) {
            return error(n, format!("{weights} weights for {outputs} outputs"), "inputs x outputs weights".to_owned());
        }
        if let Some(width) = width.filter(|width| *width != layer.inputs()) {
            return error(n, format!("{} inputs", layer.inputs()), format!("{width}, as the layer before gives"));
        }
        width = Some(outputs);
    }
    Ok(())
}

/// At least one layer, widths that fit.
struct Stack(Arc<[Layer]>);

impl Stack {
    fn forward_row(&self, x: &[f32]) -> Vec<f32> {
        self.0
            .iter()
            .fold(x.to_vec(), |x, layer| layer.linear(&x).into_iter().map(|z| layer.activation.value(z)).collect())
    }

    fn gradient_row(&self, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut before = Vec::with_capacity(self.0.len());
        let mut x = x.to_vec();
        for layer in self.0.iter() {
            let z = layer.linear(&x);
            x = z.iter().map(|z| layer.activation.value(*z)).collect();
            before.push(z);
        }
        let ones = vec![1.0; x.len()];
        let gradient = self.0.iter().zip(&before).rev().fold(ones, |gradient, (layer, z)| layer.backward(z, &gradient));
        (x, gradient)
    }
}

impl Network for Stack {
    fn inputs(&self) -> usize {
        self.0.first().map_or(0, Layer::inputs)
    }

    fn outputs(&self) -> usize {
        self.0.last().map_or(0, Layer::outputs)
    }

    fn multiply_adds(&self) -> u64 {
        self.0.iter().map(|layer| (layer.weights.len() + layer.outputs()) as u64).sum()
    }

    fn forward(&self, input: &[f32]) -> Result<Vec<f32>, String> {
        Ok(input.chunks_exact(self.inputs()).flat_map(|row| self.forward_row(row)).collect())
    }

    fn value_and_gradient(&self, input: &[f32]) -> Result<(Vec<f32>, Vec<f32>), String> {
        let (mut values, mut gradients) = (Vec::new(), Vec::with_capacity(input.len()));
        for row in input.chunks_exact(self.inputs()) {
            let (value, gradient) = self.gradient_row(row);
            values.extend(value);
            gradients.extend(gradient);
        }
        Ok((values, gradients))
    }
}
