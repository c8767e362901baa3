//! The element-wise parts of the network as single operations with their own gradients: several
//! times faster on a CPU than the same formulas spelt in tensor primitives.

mod cross_entropy;
mod heads;
mod rms_norm;
mod softmax;
mod swiglu;

pub(crate) use cross_entropy::cross_entropy;
pub(crate) use heads::{Rotation, merge_heads, split_heads};
pub(crate) use rms_norm::rms_norm;
pub(crate) use softmax::causal_softmax;
pub(crate) use swiglu::swiglu;

use candle_core::{CpuStorage, Layout, Result, Tensor, bail};

/// The f32 values of a contiguous operand.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("operand must be contiguous");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// The f32 values of any tensor, row-major.
fn owned(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
