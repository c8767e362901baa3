//! Networks of a bundle: layers in a safetensors file, with what they were made for.
//!
//! | tensor | shape | format |
//! |---|---|---|
//! | `layers.N.weight`, N from 0 | `[outputs, inputs]`, inputs as wide as the outputs of layer N - 1 | f32, f16 or bf16 |
//! | `layers.N.bias` | `[outputs]` | f32, f16 or bf16 |
//!
//! Layer N gives activation(weight · x + bias). The header's `__metadata__` holds texts:
//!
//! | key | meaning |
//! |---|---|
//! | `activations` | required: one name per layer, with commas between: `identity`, `relu`, `tanh`, `silu`, `sigmoid` |
//! | `model` | the language model it was made for: its fingerprint, or its name |
//! | `hidden` | how wide that model's latents are |
//! | `latent` | which latent it reads: `final-norm`, or `layer:N` |
//! | `constraints`, `gamma`, `clip`, `mode` | for critics: names, discounts and settings of the constraints, one each, with commas between, written as in the manifest and in its order |
//! | `budgets` | for critics: the range of budgets of each constraint it was trained for, such as `2..40`, with commas between |
//! | others | for people |
//!
//! A bundle only reads these; an engine compares them with its model and constraints when it is built.

mod read;
mod write;

pub use inferenceguard_model::dense::{Layer, LayerActivation};
pub use read::NetworkError;
pub use write::WriteError;

use std::{collections::BTreeMap, sync::Arc};

/// The metadata key that names the activations.
const ACTIVATIONS: &str = "activations";

/// A stack of layers and what it was made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// The layers, first to last; at least one, each as wide as the one before it, all numbers finite.
    pub layers: Arc<[Layer]>,
    /// The metadata, without the activations.
    pub metadata: BTreeMap<String, String>,
}

impl Network {
    /// How many numbers go into the first layer.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.weights.len() / layer.bias.len().max(1))
    }
}
