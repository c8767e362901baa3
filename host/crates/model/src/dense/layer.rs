//! What networks are made of: linear layers with an activation each.

use super::DenseError;

/// What follows a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerActivation {
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

impl LayerActivation {
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
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|activation| activation.name() == name)
    }

    pub(crate) fn value(self, x: f32) -> f32 {
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

    pub(crate) fn slope(self, x: f32) -> f32 {
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

/// y = activation(W x + b).
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// W, `[outputs, inputs]`, row-major.
    pub weights: Vec<f32>,
    /// b, `[outputs]`.
    pub bias: Vec<f32>,
    /// What follows.
    pub activation: LayerActivation,
}

impl Layer {
    /// The numbers that it gives.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The numbers that it takes; 0 for a layer without outputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.weights.len() / self.bias.len().max(1)
    }
}

/// Checks that there is a layer, that none is empty, and that each takes what the one before it gives. Every
/// implementation of [`Dense`](super::Dense) begins with this.
///
/// # Errors
/// [`DenseError::Layer`] for the first layer that does not fit. `network` is the name for messages.
pub fn check_layers(network: &str, layers: &[Layer]) -> Result<(), DenseError> {
    let error = |layer, found: String, expected: String| {
        Err(DenseError::Layer { network: network.to_owned(), layer, found, expected })
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
