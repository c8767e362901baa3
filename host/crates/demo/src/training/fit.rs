//! The training loop.

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use indicatif::ProgressBar;
use rayon::prelude::*;

use super::examples::{Example, Goal, Source};
use crate::error::{Error, Result};
use crate::llama::{Llama, SCORE_HEAD, Weights, cross_entropy, scores};
use crate::tokenizer::PAD;

/// Parts of a batch computed side by side; fixed, so that sums do not depend on the machine.
const SHARDS: usize = 2;
const LARGEST_GRADIENT: f64 = 1.0;

/// How long and how fast a model is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// What is learnt.
    pub goal: Goal,
    /// Steps.
    pub steps: usize,
    /// Sequences per step.
    pub batch: usize,
    /// Highest learning rate.
    pub rate: f64,
}

/// Trains `weights` in place and returns the loss of every step: nats per token for language,
/// mean squared error for scores. `progress` is moved on by one per step.
///
/// # Errors
/// A loss that is not a number, or a failed tensor operation.
pub fn fit(weights: &Weights, recipe: &Recipe, source: Source<'_>, progress: &ProgressBar) -> Result<Vec<f64>> {
    let vars = weights.vars();
    let settings = ParamsAdamW { lr: recipe.rate, beta2: 0.98, weight_decay: 0.01, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vars.clone(), settings)?;
    let model = Llama::trainable(weights)?;
    let mut losses = Vec::with_capacity(recipe.steps);
    for step in 0..recipe.steps {
        let batch = draw(recipe, source, step)?;
        let (loss, grads) = gradients(&model, weights, recipe.goal, &batch, &vars)?;
        if !loss.is_finite() {
            let model = format!("{:?}", recipe.goal);
            return Err(Error::Diverged { model, step, loss });
        }
        optimizer.set_learning_rate(recipe.rate * rate_factor(step, recipe.steps));
        optimizer.step(&grads)?;
        losses.push(loss);
        progress.inc(1);
        progress.set_message(format!("{:?} loss {loss:.3}", recipe.goal));
    }
    Ok(losses)
}

/// Linear warm-up over a twentieth of the steps, then a cosine down to a fiftieth.
fn rate_factor(step: usize, steps: usize) -> f64 {
    let warm = (steps / 20).max(1);
    if step < warm {
        return (step + 1) as f64 / warm as f64;
    }
    let done = (step - warm) as f64 / (steps - warm).max(1) as f64;
    0.02 + 0.98 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

fn draw(recipe: &Recipe, source: Source<'_>, step: usize) -> Result<Vec<Example>> {
    let from = (step * recipe.batch) as u64;
    let places = from..from + recipe.batch as u64;
    let mut batch: Vec<Example> = places.map(|place| source.example(recipe.goal, place)).collect::<Result<_>>()?;
    // Sorted by length, the halves need less padding.
    batch.sort_by_key(|example| example.ids.len());
    Ok(batch)
}

/// Mean loss and its clipped gradient.
fn gradients(
    model: &Llama,
    weights: &Weights,
    goal: Goal,
    batch: &[Example],
    vars: &[Var],
) -> Result<(f64, GradStore)> {
    let count: usize = batch.iter().map(|e| e.ids.len() - e.answer_from).sum();
    let size = batch.len().div_ceil(SHARDS);
    let shards: Vec<(f64, GradStore)> = batch
        .par_chunks(size)
        .map(|shard| {
            let loss = loss(model, weights, goal, shard, 1.0 / count as f32)?;
            Ok((f64::from(loss.to_scalar::<f32>()?), loss.backward()?))
        })
        .collect::<Result<_>>()?;
    let mut shards = shards.into_iter();
    let Some((mut loss, mut grads)) = shards.next() else {
        let found = "0".to_owned();
        return Err(Error::Option { name: "batch", found, expected: "at least 1" });
    };
    for (other_loss, other) in shards {
        loss += other_loss;
        for var in vars {
            if let (Some(one), Some(two)) = (grads.get(var), other.get(var)) {
                let sum = (one + two)?;
                grads.insert(var, sum);
            }
        }
    }
    clip(&mut grads, vars)?;
    Ok((loss, grads))
}

fn clip(grads: &mut GradStore, vars: &[Var]) -> Result<()> {
    let mut square = 0.0;
    for grad in vars.iter().filter_map(|var| grads.get(var)) {
        square += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let factor = LARGEST_GRADIENT / square.sqrt();
    if factor < 1.0 {
        for var in vars {
            if let Some(grad) = grads.get(var) {
                let small = (grad * factor)?;
                grads.insert(var, small);
            }
        }
    }
    Ok(())
}

/// `weight` times the sum of the losses of all answer positions.
fn loss(model: &Llama, weights: &Weights, goal: Goal, shard: &[Example], weight: f32) -> Result<Tensor> {
    let length = shard.iter().map(|e| e.ids.len()).max().unwrap_or(0);
    let mut ids = vec![PAD; shard.len() * length];
    let (mut places, mut targets, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for (row, example) in shard.iter().enumerate() {
        let start = row * length;
        ids[start..start + example.ids.len()].copy_from_slice(&example.ids);
        for at in example.answer_from..example.ids.len() {
            // A token is predicted from the position before it and judged at its own.
            let from = if goal.is_language() { at - 1 } else { at };
            places.push((start + from) as u32);
            targets.push(example.ids[at]);
        }
        wanted.extend_from_slice(&example.scores);
    }
    let latents = model.latents(&ids, shard.len(), None)?;
    let places = Tensor::from_vec(places, targets.len(), &Device::Cpu)?;
    let latents = latents.index_select(&places, 0)?;
    if goal.is_language() {
        return Ok(cross_entropy(&model.logits(&latents)?, targets, weight)?);
    }
    let count = wanted.len();
    let wanted = Tensor::from_vec(wanted, count, &Device::Cpu)?;
    let found = scores(&latents, weights.get(SCORE_HEAD)?.as_tensor())?;
    Ok((found.sub(&wanted)?.sqr()?.sum_all()? * f64::from(weight))?)
}
