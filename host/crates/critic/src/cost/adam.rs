//! AdamW whose state can be written and read again, so that a training that was stopped ends as an uninterrupted one.

use crate::error::Result;
use candle_core::{Tensor, Var, backprop::GradStore};

const FIRST: f64 = 0.9;
const SECOND: f64 = 0.999;
const LEAST: f64 = 1e-8;

/// Moments of every variable, and the steps so far.
pub(super) struct Adam {
    variables: Vec<Var>,
    moments: Vec<[Tensor; 2]>,
    steps: i32,
}

impl Adam {
    /// The state before the first step.
    pub(super) fn new(variables: Vec<Var>) -> Result<Self> {
        let zeros = |variable: &Var| Ok([variable.zeros_like()?, variable.zeros_like()?]);
        let moments = variables.iter().map(zeros).collect::<Result<Vec<_>>>()?;
        Ok(Self { variables, moments, steps: 0 })
    }

    /// One step down the gradient.
    pub(super) fn step(&mut self, gradients: &GradStore, rate: f64, decay: f64) -> Result<()> {
        self.steps += 1;
        let (unbiased, unbiased_squares) = (1.0 - FIRST.powi(self.steps), 1.0 - SECOND.powi(self.steps));
        for (variable, [first, second]) in self.variables.iter().zip(&mut self.moments) {
            let Some(gradient) = gradients.get(variable.as_tensor()) else { continue };
            *first = ((&*first * FIRST)? + (gradient * (1.0 - FIRST))?)?;
            *second = ((&*second * SECOND)? + (gradient.sqr()? * (1.0 - SECOND))?)?;
            let size = ((&*second / unbiased_squares)?.sqrt()? + LEAST)?;
            let step = ((&*first / unbiased)? / size)?;
            let kept = (variable.as_tensor() * (1.0 - rate * decay))?;
            variable.set(&(kept - (step * rate)?)?)?;
        }
        Ok(())
    }

    /// First and second moments, variable by variable.
    pub(super) fn state(&self) -> Result<[Vec<Vec<f32>>; 2]> {
        let part = |at: usize| -> Result<Vec<Vec<f32>>> {
            self.moments.iter().map(|one| Ok(one[at].flatten_all()?.to_vec1()?)).collect()
        };
        Ok([part(0)?, part(1)?])
    }

    /// Goes on from a state.
    pub(super) fn restore(&mut self, state: &[Vec<Vec<f32>>; 2], steps: usize) -> Result<()> {
        self.steps = i32::try_from(steps).unwrap_or(i32::MAX);
        for (at, part) in state.iter().enumerate() {
            for ((variable, moments), values) in self.variables.iter().zip(&mut self.moments).zip(part) {
                moments[at] = Tensor::from_slice(values, variable.dims(), variable.device())?;
            }
        }
        Ok(())
    }
}
