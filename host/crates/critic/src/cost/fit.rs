//! Trains one head: batches of answers and pairs, early stopping, checkpoints, calibration.

use super::{
    adam::Adam,
    aim::Aim,
    data::{Batch, Data},
    options::HeadInputs,
};
use crate::{
    error::{CriticError, Result},
    files::Setting,
    fit::{
        Recipe,
        checkpoint::{Checkpoint, Progress},
    },
    network::{Line, Mlp, Scaling, Shape},
    split::Shares,
};
use candle_core::Device;
use indicatif::ProgressBar;
use inferenceguard_bundle::network::Layer;
use inferenceguard_dice::Dice;
use std::{collections::HashMap, path::Path};

/// The tensors of a checkpoint: weights, best weights, first and second moments.
const PARTS: [&str; 4] = ["now", "best", "first", "second"];

/// Answers per forward pass without gradients.
const ROWS: usize = 64;

/// A head to train, and its data.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) data: &'a Data,
    pub(super) places: &'a HeadInputs,
    pub(super) aim: Aim,
    pub(super) balanced: bool,
    pub(super) threshold: f64,
    pub(super) shares: &'a Shares,
    pub(super) recipe: &'a Recipe,
    pub(super) device: &'a Device,
    /// The folder of checkpoints.
    pub(super) folder: &'a Path,
}

/// A trained head.
pub(super) struct Head {
    network: Mlp,
    scaling: Vec<(f64, f64)>,
    /// What calibrates x.
    pub(super) line: Line,
    /// Training and validation loss of every epoch.
    pub(super) history: Vec<(f64, f64)>,
    /// The epoch whose weights were kept, from 0.
    pub(super) best_epoch: usize,
}

impl Head {
    /// The loss of the kept weights on the validation.
    pub(super) fn validation_loss(&self) -> f64 {
        self.history.get(self.best_epoch).map_or(f64::NAN, |(_, loss)| *loss)
    }

    /// The layers for a bundle's network, which reads unscaled latents and gives the calibrated x.
    pub(super) fn layers(&self) -> Result<Vec<Layer>> {
        let (factor, shift) = self.line;
        self.network.folded(&Scaling { inputs: self.scaling.clone(), value: (shift, factor) }, &[])
    }
}

impl Job<'_> {
    fn setting(&self) -> Setting {
        Setting::new([
            ("format", "inferenceguard cost checkpoint 1".to_owned()),
            ("latents of", self.data.latents.setting.digest()),
            ("places", self.places.to_string()),
            ("objective", format!("{}, balanced {}, harmful from {}", self.aim.id(), self.balanced, self.threshold)),
            ("labels", self.data.digest()),
            ("recipe", format!("{:?}", self.recipe)),
            ("shares", format!("{:?}", self.shares)),
        ])
    }

    /// Trains, from the checkpoint on if there is one.
    pub(super) fn fit(&self, progress: &ProgressBar) -> Result<Head> {
        let scaling = self.scaling()?;
        let Recipe { hidden, depth, activation, seed, .. } = *self.recipe;
        let shape = Shape { inputs: scaling.len(), hidden, depth, activation, logits: 0 };
        let network = Mlp::random(shape, &[self.prior()], seed, self.device)?;
        let mut head = Head { network, scaling, line: (1.0, 0.0), history: Vec::new(), best_epoch: 0 };
        let checkpoint = Checkpoint::new(self.folder, self.setting(), PARTS);
        let mut adam = Adam::new(head.network.variables())?;
        let mut at = checkpoint.read(&head.network.sizes())?.unwrap_or_default();
        if !at.history.is_empty() {
            head.network.set(&at.parts[0])?;
            let [_, _, first, second] = at.parts.clone();
            adam.restore(&[first, second], at.history.len() * self.batches())?;
        }
        progress.set_length(self.recipe.epochs as u64);
        while !self.is_done(&at) {
            self.next_epoch(&head, &mut adam, &mut at)?;
            checkpoint.write(&at)?;
            progress.set_position(at.history.len() as u64);
            progress.set_message(format!("{}, validation loss {:.4}", self.places, at.history[at.history.len() - 1].1));
        }
        head.network.set(&at.parts[1])?;
        (head.best_epoch, head.history) = (at.best_epoch(), at.history);
        head.line = self.calibration(&head)?;
        Ok(head)
    }

    fn is_done(&self, at: &Progress<4>) -> bool {
        let (epochs, patience) = (at.history.len(), self.recipe.patience);
        epochs >= self.recipe.epochs || (patience > 0 && epochs > 0 && epochs - 1 - at.best_epoch() >= patience)
    }

    fn next_epoch(&self, head: &Head, adam: &mut Adam, at: &mut Progress<4>) -> Result<()> {
        let epoch = at.history.len();
        let train = self.train(head, adam, epoch)?;
        let loss = self.loss(head, &self.data.parts.validation)?;
        for loss in [train, loss] {
            if !loss.is_finite() {
                let name = format!("{} from {}", self.aim.name(), self.places);
                return Err(CriticError::Diverged { name, epoch: epoch + 1, loss });
            }
        }
        at.history.push((train, loss));
        let [first, second] = adam.state()?;
        at.parts[0] = head.network.weights()?;
        (at.parts[2], at.parts[3]) = (first, second);
        if at.best_epoch() == epoch {
            at.parts[1] = at.parts[0].clone();
        }
        Ok(())
    }

    /// Steps per epoch.
    fn batches(&self) -> usize {
        self.data.parts.train.len().div_ceil(self.recipe.batch)
    }

    /// One pass over the units in a new order; returns the mean loss.
    fn train(&self, head: &Head, adam: &mut Adam, epoch: usize) -> Result<f64> {
        let mut order = self.data.parts.train.clone();
        Dice::new(self.recipe.seed, &[66, epoch as u64]).shuffle(&mut order);
        let (balance, rate) = (self.balance(), self.recipe.rate(epoch));
        let (mut sum, mut count) = (0.0, 0.0);
        for units in order.chunks(self.recipe.batch) {
            let answers = self.data.of(units);
            let batch = Batch::new(self.data, answers, &self.places.0, &head.scaling, self.device)?;
            let pairs = self.data.pairs(units);
            let targets = batch.targets(self.data, self.aim, &pairs, balance, self.device)?;
            let xs = head.network.forward(&batch.rows)?.reshape((batch.answers.len(), batch.tokens))?;
            let loss = self.aim.loss(&xs, &targets)?;
            adam.step(&loss.backward()?, rate, self.recipe.weight_decay)?;
            sum += f64::from(loss.to_scalar::<f32>()?) * targets.total;
            count += targets.total;
        }
        Ok(sum / count)
    }

    fn balance(&self) -> [f64; 2] {
        if self.balanced { self.data.balance() } else { [1.0; 2] }
    }

    /// The loss of the training on these units, computed on the host.
    fn loss(&self, head: &Head, units: &[usize]) -> Result<f64> {
        let (answers, balance) = (self.data.of(units), self.balance());
        let xs = self.outputs(head, &answers)?;
        let places: HashMap<usize, usize> = answers.iter().enumerate().map(|(place, at)| (*at, place)).collect();
        let of = |at: usize| places.get(&at).map_or(&[][..], |place| xs[*place].as_slice());
        let (mut sum, mut count) = (0.0, 0.0);
        if self.aim.uses_labels() {
            for (at, label) in self.data.fitted(&answers) {
                let answer = &self.data.answers[at];
                let weight = answer.weight * balance[usize::from(answer.harmful == Some(true))];
                sum += weight * self.aim.label_loss(of(at), label);
                count += weight;
            }
        }
        for (lower, higher) in self.data.pairs(units) {
            let weight = self.data.answers[higher].weight;
            sum += weight * self.aim.pair_loss(of(lower), of(higher));
            count += weight;
        }
        Ok(sum / count)
    }

    /// The calibrated x of these answers, token by token.
    pub(super) fn outputs(&self, head: &Head, answers: &[usize]) -> Result<Vec<Vec<f64>>> {
        let mut all = Vec::with_capacity(answers.len());
        for part in answers.chunks(ROWS) {
            let batch = Batch::new(self.data, part.to_vec(), &self.places.0, &head.scaling, self.device)?;
            let xs: Vec<f32> = head.network.forward(&batch.rows)?.flatten_all()?.to_vec1()?;
            for (at, row) in part.iter().zip(xs.chunks(batch.tokens.max(1))) {
                let row = &row[..self.data.answers[*at].tokens];
                all.push(row.iter().map(|x| head.line.0 * f64::from(*x) + head.line.1).collect());
            }
        }
        Ok(all)
    }

    /// The x of these answers at their last token.
    pub(super) fn ends(&self, head: &Head, answers: &[usize]) -> Result<Vec<f64>> {
        let last = |xs: Vec<f64>| xs.last().copied().unwrap_or(f64::NAN);
        Ok(self.outputs(head, answers)?.into_iter().map(last).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{
        CostObjective, Unit, cost_recipe,
        labelled::{Labels, parse},
        latents, parts,
    };
    use candle_core::Device;
    use inferenceguard_model::{Native, toy::ToyScript};

    const SCRIPT: &str =
        "vocab: <eos>* a b good bad\nafter : good 1, bad 1\nafter good : good 3, bad 1\nafter bad : bad 3, <eos> 1";

    fn data(folder: &Path, shares: &Shares) -> Data {
        let line = |at: usize, harmful: bool| {
            let prompt = ["a", "b", "a b", "b a", "a a", "b b", "a a b", "b b a"][at];
            let response = if harmful { "good bad" } else { "good good good" };
            let line = serde_json::json!({ "prompt": prompt, "response": response, "harmful": harmful });
            parse(&line.to_string(), 1.0, "", Labels::Harm).unwrap().remove(0)
        };
        let units: Vec<Unit> = (0..8).flat_map(|at| [line(at, false), line(at, true)]).collect();
        let mut model = Native::new(Box::new(ToyScript::parse(SCRIPT).unwrap().model()));
        let answers: Vec<_> = units.iter().flat_map(Unit::answers).collect();
        let places = "final-norm".parse::<HeadInputs>().unwrap();
        let bar = ProgressBar::hidden();
        let how = latents::How { places: &places.0, longest: 4, memory: 100, folder };
        let latents = latents::read(&mut model, &answers, &how, &bar).unwrap();
        Data::new(&units, parts::split(&units, shares).unwrap(), latents, Labels::Harm, 0.5)
    }

    #[test]
    fn a_training_that_was_stopped_ends_as_an_uninterrupted_one() {
        let folder = tempfile::tempdir().unwrap();
        let shares = Shares { validation: 0.25, test: 0.25, seed: 1 };
        let data = data(folder.path(), &shares);
        let places = "final-norm".parse().unwrap();
        let recipe = Recipe { epochs: 9, patience: 0, batch: 3, rate: 0.05, hidden: 4, depth: 1, ..cost_recipe() };
        let job = |folder| Job {
            data: &data,
            places: &places,
            aim: Aim::Cost(CostObjective::Survival),
            balanced: true,
            threshold: 0.5,
            shares: &shares,
            recipe: &recipe,
            device: &Device::Cpu,
            folder,
        };
        let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
        [&whole, &stopped].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
        let bar = ProgressBar::hidden();
        let expected = job(&whole).fit(&bar).unwrap();
        // Four epochs, and the process is gone.
        let job = job(&stopped);
        let scaling = job.scaling().unwrap();
        let shape = Shape { inputs: scaling.len(), hidden: 4, depth: 1, activation: recipe.activation, logits: 0 };
        let network = Mlp::random(shape, &[job.prior()], recipe.seed, &Device::Cpu).unwrap();
        let head = Head { network, scaling, line: (1.0, 0.0), history: Vec::new(), best_epoch: 0 };
        let (mut adam, mut at) = (Adam::new(head.network.variables()).unwrap(), Progress::default());
        for _ in 0..4 {
            job.next_epoch(&head, &mut adam, &mut at).unwrap();
            Checkpoint::new(&stopped, job.setting(), PARTS).write(&at).unwrap();
        }
        let found = job.fit(&bar).unwrap();
        assert_eq!(found.history, expected.history);
        assert_eq!(found.layers().unwrap(), expected.layers().unwrap());
    }

    #[test]
    fn answers_that_become_own_ones_are_another_setting() {
        let folder = tempfile::tempdir().unwrap();
        let shares = Shares { validation: 0.25, test: 0.25, seed: 1 };
        let mut data = data(folder.path(), &shares);
        let before = data.digest();
        data.answers[0].own = true;
        assert_ne!(data.digest(), before, "own answers are split apart, so the parts are others");
    }
}
