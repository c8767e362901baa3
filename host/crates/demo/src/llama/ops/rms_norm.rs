//! Root-mean-square normalisation over the last dimension.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{owned, values};

struct RmsNorm {
    eps: f32,
}

/// `x / sqrt(mean(x^2) + eps) * weight`; `x` is `[.., H]`, `weight` is `[H]`.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32) -> Result<Tensor> {
    x.contiguous()?.apply_op2(weight, RmsNorm { eps })
}

impl RmsNorm {
    fn inverse(&self, row: &[f32]) -> f32 {
        let square: f32 = row.iter().map(|v| v * v).sum();
        1.0 / (square / row.len() as f32 + self.eps).sqrt()
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (values(x, x_layout)?, values(weight, weight_layout)?);
        let mut out = Vec::with_capacity(x.len());
        for row in x.chunks_exact(weight.len()) {
            let inverse = self.inverse(row);
            out.extend(row.iter().zip(weight).map(|(v, w)| v * inverse * w));
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (xs, ws, gs) = (owned(x)?, owned(weight)?, owned(grad)?);
        let size = ws.len();
        let mut dx = Vec::with_capacity(xs.len());
        let mut dw = vec![0f32; size];
        for (row, grad) in xs.chunks_exact(size).zip(gs.chunks_exact(size)) {
            let inverse = self.inverse(row);
            let mut dot = 0f32;
            for (place, (v, g)) in row.iter().zip(grad).enumerate() {
                dw[place] += g * v * inverse;
                dot += g * ws[place] * v;
            }
            let pull = dot * inverse * inverse * inverse / size as f32;
            let each = row.iter().zip(grad).zip(&ws);
            dx.extend(each.map(|((v, g), w)| g * w * inverse - v * pull));
        }
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        let dw = Tensor::from_vec(dw, weight.shape(), weight.device())?;
        Ok((Some(dx), Some(dw)))
    }
}
