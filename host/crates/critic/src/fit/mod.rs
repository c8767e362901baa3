//! Trains one network: batches of answers, early stopping, checkpoints, and the calibration of its probabilities.

mod arithmetic;
pub(super) mod checkpoint;
mod recipe;

pub(super) use arithmetic::{entropy, line, sigmoid, soft_line, softplus};
pub use checkpoint::Progress;
pub use recipe::{Recipe, Schedule};

use super::{
    collect::Trajectories,
    error::{CriticError, Result},
    files::Setting,
    network::{Line, Mlp, Scaling, Shape},
    objective::{Example, Inputs, Objective, Positions},
    reading::Reading,
    split::{Shares, Split},
};
use candle_core::{Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use checkpoint::Checkpoint;
use indicatif::ProgressBar;
use inferenceguard_bundle::network::Layer;
use inferenceguard_dice::Dice;
use std::path::Path;

/// The tensors of a checkpoint: the weights after the last epoch, and after the best one.
const PARTS: [&str; 2] = ["now", "best"];

/// Examples per forward pass without gradients.
const ROWS: usize = 4096;

/// A network to train, and its data.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) data: &'a Trajectories,
    pub(super) split: &'a Split,
    pub(super) shares: &'a Shares,
    pub(super) reading: Reading,
    pub(super) objective: &'a Objective,
    pub(super) recipe: &'a Recipe,
    /// The most answer tokens.
    pub(super) longest: usize,
    pub(super) device: &'a Device,
    /// The folder of the checkpoint.
    pub(super) folder: &'a Path,
}

/// What a draw of budgets is for; draws for different purposes are independent.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// One epoch of the training.
    Train(usize),
    /// The validation loss and the calibration.
    Validate,
    /// The report.
    Test,
}

/// A trained network.
pub(super) struct Fitted {
    network: Mlp,
    pub(super) scaling: Scaling,
    /// Per logit, the line that calibrates it.
    pub(super) lines: Vec<Line>,
    /// Training and validation loss of every epoch.
    pub(super) history: Vec<(f64, f64)>,
    /// The epoch whose weights were kept, from 0.
    pub(super) best_epoch: usize,
    device: Device,
}

/// A network's prediction for one example.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prediction {
    /// Per constraint.
    pub(super) logits: Vec<f64>,
    /// The task cost, or the value.
    pub(super) value: f64,
}

impl Job<'_> {
    fn setting(&self) -> Setting {
        Setting::new([
            ("format", "inferenceguard checkpoint 1".to_owned()),
            ("trajectories", self.data.setting.digest()),
            ("reading", self.reading.to_string()),
            ("objective", format!("{:?}", self.objective)),
            ("recipe", format!("{:?}", self.recipe)),
            ("shares", format!("{:?}", self.shares)),
        ])
    }

    pub(super) fn inputs(&self) -> Inputs<'_> {
        Inputs::new(self.data, self.reading, self.objective, self.longest)
    }

    /// The examples of these answers, with budgets drawn for the purpose.
    pub(super) fn examples(&self, answers: &[usize], purpose: Purpose, which: Positions) -> Vec<Example> {
        let one = |answer: &usize| {
            let lineage = match purpose {
                Purpose::Train(epoch) => [62, epoch as u64, *answer as u64],
                Purpose::Validate => [63, 0, *answer as u64],
                Purpose::Test => [64, 0, *answer as u64],
            };
            let budgets = self.objective.draw(&mut Dice::new(self.recipe.seed, &lineage));
            self.objective.examples(self.data, *answer, &budgets, which)
        };
        answers.iter().flat_map(one).collect()
    }

    /// Trains, from the checkpoint on if there is one.
    pub(super) fn fit(&self, progress: &ProgressBar) -> Result<Fitted> {
        self.recipe.check()?;
        let (first, validation) = self.first_look()?;
        let inputs = self.inputs();
        let scaling = arithmetic::measure(&first, &inputs)?;
        let shape = self.shape(&inputs);
        let network = Mlp::random(shape, &priors(&first, shape.logits), self.recipe.seed, self.device)?;
        let checkpoint = Checkpoint::new(self.folder, self.setting(), PARTS);
        let mut at = checkpoint.read(&network.sizes())?.unwrap_or_default();
        if !at.history.is_empty() {
            network.set(&at.parts[0])?;
        }
        progress.set_length(self.recipe.epochs as u64);
        progress.set_position(at.history.len() as u64);
        let mut fitted = Fitted {
            network,
            scaling,
            lines: vec![(1.0, 0.0); shape.logits],
            history: Vec::new(),
            best_epoch: 0,
            device: self.device.clone(),
        };
        while !self.is_done(&at) {
            self.next_epoch(&fitted, &mut at, &validation)?;
            checkpoint.write(&at)?;
            progress.set_position(at.history.len() as u64);
            progress.set_message(format!("{}, validation loss {:.4}", self.reading, last(&at.history)));
        }
        fitted.network.set(&at.parts[1])?;
        fitted.best_epoch = at.best_epoch();
        fitted.history = at.history;
        fitted.lines = fitted.lines_for(&validation, &inputs)?;
        Ok(fitted)
    }

    /// The training examples of the first draw, and those of the validation.
    fn first_look(&self) -> Result<(Vec<Example>, Vec<Example>)> {
        let first = self.examples(&self.split.train, Purpose::Train(0), Positions::All);
        let validation = self.examples(&self.split.validation, Purpose::Validate, Positions::Asked);
        for (what, found) in [("positions to learn from", first.len()), ("positions to validate on", validation.len())]
        {
            if found == 0 {
                return Err(CriticError::TooFew { what, found, expected: 1 });
            }
        }
        Ok((first, validation))
    }

    fn shape(&self, inputs: &Inputs<'_>) -> Shape {
        let Recipe { hidden, depth, activation, .. } = *self.recipe;
        Shape { inputs: inputs.width(), hidden, depth, activation, logits: self.objective.logits() }
    }

    fn is_done(&self, at: &Progress<2>) -> bool {
        let (epochs, patience) = (at.history.len(), self.recipe.patience);
        epochs >= self.recipe.epochs || (patience > 0 && epochs > 0 && epochs - 1 - at.best_epoch() >= patience)
    }

    fn next_epoch(&self, fitted: &Fitted, at: &mut Progress<2>, validation: &[Example]) -> Result<()> {
        let epoch = at.history.len();
        let train = self.train(fitted, epoch)?;
        let loss = self.validation_loss(fitted, validation)?;
        for loss in [train, loss] {
            if !loss.is_finite() {
                let name = format!("{} from {}", self.objective.name(), self.reading);
                return Err(CriticError::Diverged { name, epoch: epoch + 1, loss });
            }
        }
        at.history.push((train, loss));
        at.parts[0] = fitted.network.weights()?;
        if at.best_epoch() == epoch {
            at.parts[1] = at.parts[0].clone();
        }
        Ok(())
    }

    /// One pass over the answers in a new order; returns the mean loss.
    fn train(&self, fitted: &Fitted, epoch: usize) -> Result<f64> {
        let settings = ParamsAdamW {
            lr: self.recipe.rate(epoch),
            weight_decay: self.recipe.weight_decay,
            ..ParamsAdamW::default()
        };
        let mut optimizer = AdamW::new(fitted.network.variables(), settings)?;
        let mut order = self.split.train.clone();
        Dice::new(self.recipe.seed, &[65, epoch as u64]).shuffle(&mut order);
        let (mut sum, mut count) = (0.0, 0.0);
        for answers in order.chunks(self.recipe.batch) {
            let examples = self.examples(answers, Purpose::Train(epoch), Positions::All);
            if examples.is_empty() {
                continue;
            }
            let (safe, values) = self.targets(fitted, &examples)?;
            let outputs = fitted.network.forward(&fitted.rows(&examples, &self.inputs())?)?;
            let loss = arithmetic::loss(&outputs, safe.as_ref(), &values)?;
            optimizer.backward_step(&loss)?;
            sum += f64::from(loss.to_scalar::<f32>()?) * examples.len() as f64;
            count += examples.len() as f64;
        }
        Ok(sum / count)
    }

    /// `safe [rows, logits]`, if there are logits, and scaled values `[rows, 1]`.
    fn targets(&self, fitted: &Fitted, examples: &[Example]) -> Result<(Option<Tensor>, Tensor)> {
        let (mean, deviation) = fitted.scaling.value;
        let values: Vec<f32> = examples.iter().map(|one| ((one.value - mean) / deviation) as f32).collect();
        let values = Tensor::from_vec(values, (examples.len(), 1), self.device)?;
        let logits = self.objective.logits();
        if logits == 0 {
            return Ok((None, values));
        }
        let safe: Vec<f32> = examples.iter().flat_map(|one| one.safe.iter().copied()).collect();
        Ok((Some(Tensor::from_vec(safe, (examples.len(), logits), self.device)?), values))
    }

    /// The same loss as the training's, computed on the host.
    fn validation_loss(&self, fitted: &Fitted, examples: &[Example]) -> Result<f64> {
        let deviation = fitted.scaling.value.1;
        let one = |(example, found): (&Example, Prediction)| {
            let squares = ((found.value - example.value) / deviation).powi(2);
            let pairs = found.logits.iter().zip(&example.safe);
            squares + pairs.map(|(logit, safe)| entropy(*logit, f64::from(*safe))).sum::<f64>()
        };
        let found = fitted.predict(examples, &self.inputs())?;
        Ok(examples.iter().zip(found).map(one).sum::<f64>() / examples.len() as f64)
    }
}

fn last(history: &[(f64, f64)]) -> f64 {
    history.last().map_or(f64::NAN, |(_, validation)| *validation)
}

/// The logit of each base rate, kept away from certainty.
fn priors(examples: &[Example], logits: usize) -> Vec<f64> {
    let rate = |at: usize| examples.iter().map(|one| f64::from(one.safe[at])).sum::<f64>() / examples.len() as f64;
    let logit = |rate: f64| (rate / (1.0 - rate)).ln().clamp(-4.0, 4.0);
    (0..logits).map(|at| logit(rate(at))).collect()
}

impl Fitted {
    /// Scaled rows, `[examples, inputs]`.
    fn rows(&self, examples: &[Example], inputs: &Inputs<'_>) -> Result<Tensor> {
        let mut rows = Vec::with_capacity(examples.len() * inputs.width());
        examples.iter().try_for_each(|example| inputs.write(example, &mut rows))?;
        for row in rows.chunks_exact_mut(inputs.width()) {
            for (number, (mean, deviation)) in row.iter_mut().zip(&self.scaling.inputs) {
                *number = ((f64::from(*number) - mean) / deviation) as f32;
            }
        }
        Ok(Tensor::from_vec(rows, (examples.len(), inputs.width()), &self.device)?)
    }

    /// The calibrated predictions.
    pub(super) fn predict(&self, examples: &[Example], inputs: &Inputs<'_>) -> Result<Vec<Prediction>> {
        let mut found = Vec::with_capacity(examples.len());
        for part in examples.chunks(ROWS) {
            let outputs: Vec<Vec<f32>> = self.network.forward(&self.rows(part, inputs)?)?.to_vec2()?;
            found.extend(outputs.iter().map(|outputs| self.prediction(outputs)));
        }
        Ok(found)
    }

    fn prediction(&self, outputs: &[f32]) -> Prediction {
        let (mean, deviation) = self.scaling.value;
        let lines = self.lines.iter().zip(outputs);
        let logits = lines.map(|((factor, shift), logit)| factor * f64::from(*logit) + shift).collect();
        let value = outputs.last().map_or(f64::NAN, |value| f64::from(*value) * deviation + mean);
        Prediction { logits, value }
    }

    fn lines_for(&self, validation: &[Example], inputs: &Inputs<'_>) -> Result<Vec<Line>> {
        let found = self.predict(validation, inputs)?;
        let line = |at: usize| {
            let pairs =
                validation.iter().zip(&found).map(|(example, one)| (one.logits[at], f64::from(example.safe[at])));
            arithmetic::line(&pairs.collect::<Vec<_>>())
        };
        Ok((0..self.lines.len()).map(line).collect())
    }

    /// The layers for a bundle's network, which reads unscaled numbers.
    pub(super) fn layers(&self) -> Result<Vec<Layer>> {
        self.network.folded(&self.scaling, &self.lines)
    }
}
