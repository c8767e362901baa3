//! Splitting a projection into heads, with or without rotary positions, and merging heads again.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::values;

/// Cosines and sines of the rotary positions, `[positions, dim / 2]` each.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    cos: Arc<Vec<f32>>,
    sin: Arc<Vec<f32>>,
}

impl Rotation {
    /// Angles `position / theta^(2 i / dim)`, the convention of the Llama family.
    pub(crate) fn new(dim: usize, positions: usize, theta: f64) -> Self {
        let half = dim / 2;
        let angle = |at: usize| {
            let (position, i) = (at / half, at % half);
            position as f64 / theta.powf(2.0 * i as f64 / dim as f64)
        };
        let angles = (0..positions * half).map(angle);
        Self {
            cos: Arc::new(angles.clone().map(|a| a.cos() as f32).collect()),
            sin: Arc::new(angles.map(|a| a.sin() as f32).collect()),
        }
    }
}

/// `[B, T, H, D]` to `[B, H, T, D]` (or back), turning each vector by its position.
#[derive(Clone)]
struct Heads {
    /// First position of `T`, or no rotation.
    rotation: Option<(Rotation, usize)>,
    /// +1 turns forward, -1 back (the gradient).
    sign: f32,
    /// True for `[B, H, T, D]` to `[B, T, H, D]`.
    merge: bool,
}

/// `[B, T, H, D]` to `[B, H, T, D]`; with a rotation, vectors are turned by position `from + t`
/// (first half against second half, as in Hugging Face's Llama).
pub(crate) fn split_heads(x: &Tensor, rotation: Option<(&Rotation, usize)>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Heads {
        rotation: rotation.map(|(rotation, from)| (rotation.clone(), from)),
        sign: 1.0,
        merge: false,
    })
}

/// `[B, H, T, D]` to `[B, T, H, D]`.
pub(crate) fn merge_heads(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Heads { rotation: None, sign: 1.0, merge: true })
}

impl Heads {
    fn turn(&self, from: &[f32], to: &mut [f32], at: usize) {
        let Some((rotation, first)) = &self.rotation else {
            to.copy_from_slice(from);
            return;
        };
        let half = from.len() / 2;
        let angles = (first + at) * half..(first + at + 1) * half;
        let (cos, sin) = (&rotation.cos[angles.clone()], &rotation.sin[angles]);
        for i in 0..half {
            let (a, b, s) = (from[i], from[i + half], self.sign * sin[i]);
            to[i] = a * cos[i] - b * s;
            to[i + half] = b * cos[i] + a * s;
        }
    }
}

impl CustomOp1 for Heads {
    fn name(&self) -> &'static str {
        "heads"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let from = values(storage, layout)?;
        let &[batch, second, third, dim] = layout.dims() else {
            bail!("heads need four dimensions, got {:?}", layout.dims());
        };
        let mut out = vec![0f32; from.len()];
        for (row, vector) in from.chunks_exact(dim).enumerate() {
            let (b, i, j) = (row / (second * third), row / third % second, row % third);
            let to = ((b * third + j) * second + i) * dim;
            let position = if self.merge { j } else { i };
            self.turn(vector, &mut out[to..to + dim], position);
        }
        Ok((CpuStorage::F32(out), Shape::from((batch, third, second, dim))))
    }

    fn bwd(&self, _arg: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let back = Heads { sign: -self.sign, merge: !self.merge, ..self.clone() };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&back)?))
    }
}
