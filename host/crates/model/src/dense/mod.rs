//! Networks of costs, critics and steering: [`Dense`] loads them onto the back end's device, [`Network`] runs them.
//!
//! Numbers cross as f32 on the host. [`CpuDense`] is the reference; another implementation gives the same numbers up to
//! rounding.

mod cpu;
mod layer;

pub use cpu::CpuDense;
pub use layer::{Layer, LayerActivation, check_layers};

use std::{collections::BTreeMap, sync::Arc};

/// Loaded networks, by the name that components open.
pub type Networks = BTreeMap<String, Arc<dyn Network>>;

/// A device that runs networks.
pub trait Dense: Send + Sync {
    /// Loads the layers of a network onto the device. `name` is the network's name, for messages.
    ///
    /// # Errors
    /// [`DenseError::Layer`] for layers that do not fit each other, [`DenseError::Device`] when the device fails.
    fn load(&self, name: &str, layers: &Arc<[Layer]>) -> Result<Arc<dyn Network>, DenseError>;

    /// What its rounding can do to a sum of costs that open networks: the part of `1 + budget` by which two sums may differ
    /// when the same rows run in another batch, in [0, 1). 0 is right only where a row's numbers do not depend on the batch.
    fn rounding(&self) -> f64;
}

/// A stack of layers on a device.
pub trait Network: Send + Sync {
    /// Width of one input row.
    fn inputs(&self) -> usize;
    /// Width of one output row.
    fn outputs(&self) -> usize;
    /// Multiply-adds of [`Network::forward`] for one row; a gradient takes as many again. They count against a
    /// component's fuel.
    fn multiply_adds(&self) -> u64;
    /// `[rows, inputs]` to `[rows, outputs]`, both row-major. The input's length is a multiple of [`Network::inputs`].
    ///
    /// # Errors
    /// A message when the device fails.
    fn forward(&self, input: &[f32]) -> Result<Vec<f32>, String>;
    /// The outputs, and the gradient of their sum by the input: `[rows, outputs]` and `[rows, inputs]`.
    ///
    /// # Errors
    /// A message when the device fails.
    fn value_and_gradient(&self, input: &[f32]) -> Result<(Vec<f32>, Vec<f32>), String>;
}

/// Why a network cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DenseError {
    /// A layer is empty, or does not fit the one before it.
    #[error("network `{network}`, layer {layer}: found {found}; expected {expected}")]
    Layer {
        /// The network.
        network: String,
        /// The layer, from 0.
        layer: usize,
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The device did not take it.
    #[error("network `{network}` cannot be loaded: {message}; free memory of the device, or use a smaller network")]
    Device {
        /// The network.
        network: String,
        /// What the device reports.
        message: String,
    },
}
