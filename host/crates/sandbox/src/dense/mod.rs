//! Linear algebra for costs, critics and steering: tensors and networks held by the host.
//!
//! [`Dense`] names networks, [`Network`] runs them. [`CpuDense`] is the plain implementation; a back end may bring its
//! own, as long as it takes and gives f32 on the host.

mod cpu;

pub use cpu::{Activation as LayerActivation, CpuDense, Layer, LayerError};

use std::sync::Arc;
use wasmtime::component::ResourceTable;

/// The networks of a deployment, by name.
pub trait Dense: Send + Sync {
    /// The network of this name.
    fn open(&self, name: &str) -> Option<Arc<dyn Network>>;
}

/// A stack of layers.
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

/// No networks at all.
pub(crate) struct NoNetworks;

impl Dense for NoNetworks {
    fn open(&self, _name: &str) -> Option<Arc<dyn Network>> {
        None
    }
}

/// The contract's `tensor`: row-major numbers and their shape.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside this crate")]
pub struct Tensor {
    pub(crate) shape: Vec<u32>,
    pub(crate) data: Vec<f32>,
}

/// The contract's `network`: an open handle.
#[expect(unreachable_pub, reason = "the generated bindings re-export it inside this crate")]
pub struct OpenNetwork(pub(crate) Arc<dyn Network>);

/// What one instance holds.
pub(crate) struct DenseState {
    pub(crate) networks: Arc<dyn Dense>,
    pub(crate) table: ResourceTable,
    /// Bytes of all handles.
    pub(crate) used: u64,
    /// Fuel that the call's arithmetic came to.
    pub(crate) work: u64,
}

impl DenseState {
    pub(crate) fn new(networks: Arc<dyn Dense>) -> Self {
        Self { networks, table: ResourceTable::new(), used: 0, work: 0 }
    }
}
