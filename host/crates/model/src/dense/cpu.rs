//! Networks on the processor, row by row: the reference for every other implementation, and what back ends without a
//! device use.

use super::{Dense, DenseError, Layer, Network, check_layers};
use std::sync::Arc;

/// The processor. The result of a row depends on that row alone, so the same rows give the same bits in any batch and on
/// any machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuDense;

impl Dense for CpuDense {
    fn load(&self, name: &str, layers: &Arc<[Layer]>) -> Result<Arc<dyn Network>, DenseError> {
        check_layers(name, layers)?;
        Ok(Arc::new(Stack(Arc::clone(layers))))
    }

    fn rounding(&self) -> f64 {
        0.0
    }
}

/// Eight sums side by side, so that a processor can take several products at once; always in the same order.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left, left_rest) = left.as_chunks::<8>();
    let (right, right_rest) = right.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for (left, right) in left.iter().zip(right) {
        sums.iter_mut().zip(left.iter().zip(right)).for_each(|(sum, (l, r))| *sum += l * r);
    }
    sums.iter().sum::<f32>() + left_rest.iter().zip(right_rest).map(|(l, r)| l * r).sum::<f32>()
}

impl Layer {
    /// W x + b.
    fn linear(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs());
        rows.zip(&self.bias).map(|(w, b)| b + dot(w, x)).collect()
    }

    /// Wᵀ (g · slope(z)).
    fn backward(&self, z: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut by_input = vec![0.0; self.inputs()];
        for ((w, z), g) in self.weights.chunks_exact(self.inputs()).zip(z).zip(gradient) {
            let factor = g * self.activation.slope(*z);
            by_input.iter_mut().zip(w).for_each(|(sum, w)| *sum += factor * w);
        }
        by_input
    }
}

/// At least one layer, widths that fit.
struct Stack(Arc<[Layer]>);

impl Stack {
    fn forward_row(&self, x: &[f32]) -> Vec<f32> {
        self.0
            .iter()
            .fold(x.to_vec(), |x, layer| layer.linear(&x).into_iter().map(|z| layer.activation.value(z)).collect())
    }

    fn gradient_row(&self, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut before = Vec::with_capacity(self.0.len());
        let mut x = x.to_vec();
        for layer in self.0.iter() {
            let z = layer.linear(&x);
            x = z.iter().map(|z| layer.activation.value(*z)).collect();
            before.push(z);
        }
        let ones = vec![1.0; x.len()];
        let gradient = self.0.iter().zip(&before).rev().fold(ones, |gradient, (layer, z)| layer.backward(z, &gradient));
        (x, gradient)
    }
}

impl Network for Stack {
    fn inputs(&self) -> usize {
        self.0.first().map_or(0, Layer::inputs)
    }

    fn outputs(&self) -> usize {
        self.0.last().map_or(0, Layer::outputs)
    }

    fn multiply_adds(&self) -> u64 {
        self.0.iter().map(|layer| (layer.weights.len() + layer.outputs()) as u64).sum()
    }

    fn forward(&self, input: &[f32]) -> Result<Vec<f32>, String> {
        Ok(input.chunks_exact(self.inputs()).flat_map(|row| self.forward_row(row)).collect())
    }

    fn value_and_gradient(&self, input: &[f32]) -> Result<(Vec<f32>, Vec<f32>), String> {
        let (mut values, mut gradients) = (Vec::new(), Vec::with_capacity(input.len()));
        for row in input.chunks_exact(self.inputs()) {
            let (value, gradient) = self.gradient_row(row);
            values.extend(value);
            gradients.extend(gradient);
        }
        Ok((values, gradients))
    }
}
