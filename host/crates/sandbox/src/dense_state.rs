//! What one instance holds of the contract's `dense`: tensors and open networks.

use inferenceguard_model::dense::{Network, Networks};
use std::sync::Arc;
use wasmtime::component::ResourceTable;

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
    pub(crate) networks: Arc<Networks>,
    pub(crate) table: ResourceTable,
    /// Bytes of all handles.
    pub(crate) used: u64,
    /// Fuel that the call's arithmetic came to.
    pub(crate) work: u64,
}

impl DenseState {
    pub(crate) fn new(networks: Arc<Networks>) -> Self {
        Self { networks, table: ResourceTable::new(), used: 0, work: 0 }
    }
}
