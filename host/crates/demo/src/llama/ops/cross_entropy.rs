//! Weighted cross-entropy of logits against token ids.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{owned, values};

struct CrossEntropy {
    targets: Vec<u32>,
    /// Factor of every row.
    weight: f32,
}

/// `weight * sum_i -log softmax(logits_i)[target_i]`, a scalar; `logits` is `[N, V]`.
pub(crate) fn cross_entropy(logits: &Tensor, targets: Vec<u32>, weight: f32) -> Result<Tensor> {
    logits.contiguous()?.apply_op1(CrossEntropy { targets, weight })
}

/// Maximum and sum of exponentials above it.
fn partition(row: &[f32]) -> (f32, f32) {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (top, row.iter().map(|v| (v - top).exp()).sum())
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let logits = values(storage, layout)?;
        let size = layout.dims().last().copied().unwrap_or(1);
        let rows = logits.chunks_exact(size).zip(&self.targets);
        let losses = rows.map(|(row, target)| {
            let (top, sum) = partition(row);
            f64::from(top + sum.ln() - row[*target as usize])
        });
        let loss = losses.sum::<f64>() as f32 * self.weight;
        Ok((CpuStorage::F32(vec![loss]), Shape::from(())))
    }

    fn bwd(&self, arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let factor = self.weight * grad.to_scalar::<f32>()?;
        let mut logits = owned(arg)?;
        let size = arg.dims().last().copied().unwrap_or(1);
        for (row, target) in logits.chunks_exact_mut(size).zip(&self.targets) {
            let (top, sum) = partition(row);
            row.iter_mut().for_each(|v| *v = factor * (*v - top).exp() / sum);
            row[*target as usize] -= factor;
        }
        Ok(Some(Tensor::from_vec(logits, arg.shape(), arg.device())?))
    }
}
