//! How a network is trained.

use crate::error::{CriticError, Result};
use inferenceguard_bundle::network::LayerActivation;

/// How the learning rate changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    /// Not at all.
    Constant,
    /// Down a cosine, to a fiftieth at the last epoch.
    Cosine,
}

/// How a network is trained: AdamW, whose moments start from zero in every epoch, so that a run continued from a checkpoint
/// ends as an uninterrupted one.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Hidden layers.
    pub depth: usize,
    /// What follows each of them.
    pub activation: LayerActivation,
    /// The learning rate.
    pub rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// The weight decay.
    pub weight_decay: f64,
    /// The most passes over all answers.
    pub epochs: usize,
    /// Stop after this many epochs without a better validation loss; 0 = never. The best weights are kept either way.
    pub patience: usize,
    /// Answers per step; the network learns from every kept position of each.
    pub batch: usize,
    /// The seed of weights, orders and budgets.
    pub seed: u64,
}

impl Default for Recipe {
    /// Minutes on one core for a model of the demonstration's size.
    fn default() -> Self {
        Self {
            hidden: 128,
            depth: 1,
            activation: LayerActivation::Silu,
            rate: 1e-3,
            schedule: Schedule::Cosine,
            weight_decay: 0.01,
            epochs: 40,
            patience: 8,
            batch: 32,
            seed: 0,
        }
    }
}

impl Recipe {
    /// The paper's table 3: hidden dimension 4096, learning rate 1e-5, 50 epochs, batch 8. Values that the table
    /// does not have are reconstructed: one hidden layer with ReLU (as the closest relative, RE-Control's value network), AdamW
    /// without decay, a constant rate.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            hidden: 4096,
            depth: 1,
            activation: LayerActivation::Relu,
            rate: 1e-5,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            epochs: 50,
            patience: 0,
            batch: 8,
            seed: 0,
        }
    }

    /// The value network of RE-Control as its code has it: 4096 -> 4096 -> 4096 -> 1 with ReLU, learning rate 1e-4, 100
    /// epochs, batch 512. What it learns here is the reward of the finished answer at every position; the code learns
    /// differences of neighbouring values, and the reward at the last position only.
    #[must_use]
    pub fn re_control() -> Self {
        Self { depth: 2, rate: 1e-4, epochs: 100, batch: 512, ..Self::paper() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let counts = [("epochs", self.epochs), ("batch", self.batch), ("hidden", self.hidden)];
        if let Some((name, count)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(CriticError::option(name, count, "at least 1"));
        }
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(CriticError::option("rate", self.rate, "a number above 0"));
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return Err(CriticError::option("weight-decay", self.weight_decay, "a number, 0 or above"));
        }
        Ok(())
    }

    /// The learning rate of an epoch, from 0.
    pub(crate) fn rate(&self, epoch: usize) -> f64 {
        match self.schedule {
            Schedule::Constant => self.rate,
            Schedule::Cosine => {
                let done = epoch as f64 / (self.epochs - 1).max(1) as f64;
                self.rate * (0.02 + 0.98 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()))
            }
        }
    }
}
