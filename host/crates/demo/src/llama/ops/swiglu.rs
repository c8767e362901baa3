//! The gate of the feed-forward layer: `silu(gate) * up`.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{owned, values};

struct Swiglu;

/// `gate * sigmoid(gate) * up`, element by element; both have the same shape.
pub(crate) fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gate.contiguous()?.apply_op2(&up.contiguous()?, Swiglu)
}

fn sigmoid(v: f32) -> f32 {
    1.0 / (1.0 + (-v).exp())
}

impl CustomOp2 for Swiglu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gate_layout: &Layout,
        up: &CpuStorage,
        up_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (gate, up) = (values(gate, gate_layout)?, values(up, up_layout)?);
        let out = gate.iter().zip(up).map(|(g, u)| g * sigmoid(*g) * u).collect();
        Ok((CpuStorage::F32(out), gate_layout.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut gates, mut ups, grads) = (owned(gate)?, owned(up)?, owned(grad)?);
        for ((gate, up), grad) in gates.iter_mut().zip(&mut ups).zip(&grads) {
            let s = sigmoid(*gate);
            let d_gate = grad * *up * s * (1.0 + *gate * (1.0 - s));
            *up = grad * *gate * s;
            *gate = d_gate;
        }
        let d_gate = Tensor::from_vec(gates, gate.shape(), gate.device())?;
        let d_up = Tensor::from_vec(ups, up.shape(), up.device())?;
        Ok((Some(d_gate), Some(d_up)))
    }
}
