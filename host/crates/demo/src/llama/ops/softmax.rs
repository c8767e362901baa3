//! Scaled softmax under the causal mask.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{owned, values};

struct CausalSoftmax {
    scale: f32,
    queries: usize,
}

/// Softmax of `scale * scores` over the last dimension. `scores` is `[.., R, S]`, where the rows
/// repeat the same `queries` newest of `S` positions; later positions get weight zero.
pub(crate) fn causal_softmax(scores: &Tensor, scale: f32, queries: usize) -> Result<Tensor> {
    scores.contiguous()?.apply_op1(CausalSoftmax { scale, queries })
}

impl CustomOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal-softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let scores = values(storage, layout)?;
        let keys = layout.dims().last().copied().unwrap_or(1);
        let mut out = vec![0f32; scores.len()];
        let rows = scores.chunks_exact(keys).zip(out.chunks_exact_mut(keys));
        for (row, (scores, out)) in rows.enumerate() {
            let seen = keys - self.queries + row % self.queries + 1;
            let top = scores[..seen].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0f32;
            for (out, score) in out.iter_mut().zip(&scores[..seen]) {
                *out = (self.scale * (score - top)).exp();
                sum += *out;
            }
            out[..seen].iter_mut().for_each(|v| *v /= sum);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, arg: &Tensor, res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (probs, mut grads) = (owned(res)?, owned(grad)?);
        let keys = arg.dims().last().copied().unwrap_or(1);
        for (probs, grads) in probs.chunks_exact(keys).zip(grads.chunks_exact_mut(keys)) {
            let dot: f32 = probs.iter().zip(grads.iter()).map(|(p, g)| p * g).sum();
            for (grad, prob) in grads.iter_mut().zip(probs) {
                *grad = self.scale * prob * (*grad - dot);
            }
        }
        Ok(Some(Tensor::from_vec(grads, arg.shape(), arg.device())?))
    }
}
