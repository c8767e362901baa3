//! Plain sampling from a demo language model, to measure what it does without any guard.

use candle_core::Device;
use candle_core::Tensor;

use crate::error::Result;
use crate::llama::{Cache, Llama, scores};
use crate::tokenizer::EOS;
use inferenceguard_dice::Dice;

/// Draws `count` answers to one prompt at temperature 1; each ends before the end token or after
/// `longest` tokens. Row `i` depends on `seed` and `i` alone.
///
/// # Errors
/// When a tensor operation fails.
pub fn sample(model: &Llama, prompt: &[u32], count: usize, longest: usize, seed: u64) -> Result<Vec<Vec<u32>>> {
    let mut cache = Cache::default();
    let latents = model.latents(prompt, 1, Some(&mut cache))?;
    let last = latents.narrow(0, prompt.len() - 1, 1)?;
    let mut logits = model.logits(&last)?.repeat((count, 1))?;
    let mut cache = cache.repeat(count)?;
    let mut dice: Vec<Dice> = (0..count as u64).map(|row| Dice::new(seed, &[40, row])).collect();
    let mut answers = vec![Vec::new(); count];
    let mut open = vec![true; count];
    for step in 0..longest {
        let rows: Vec<Vec<f32>> = logits.to_vec2()?;
        let mut next = Vec::with_capacity(count);
        for (row, logits) in rows.iter().enumerate() {
            let token = draw(logits, &mut dice[row]);
            open[row] &= token != EOS;
            if open[row] {
                answers[row].push(token);
            }
            next.push(token);
        }
        if step + 1 == longest || !open.contains(&true) {
            break;
        }
        logits = model.logits(&model.latents(&next, count, Some(&mut cache))?)?;
    }
    Ok(answers)
}

fn draw(logits: &[f32], dice: &mut Dice) -> u32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|l| f64::from(l - top).exp()).collect();
    let mut left = dice.unit() * weights.iter().sum::<f64>();
    for (token, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return token as u32;
        }
    }
    EOS
}

/// Scores of every answer position under a score model.
///
/// # Errors
/// When a tensor operation fails.
pub fn score(model: &Llama, head: &Tensor, prompt: &[u32], answer: &[u32]) -> Result<Vec<f32>> {
    let ids: Vec<u32> = prompt.iter().chain(answer).copied().collect();
    let latents = model.latents(&ids, 1, None)?;
    let places: Vec<u32> = (prompt.len() as u32..ids.len() as u32).collect();
    let count = places.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let places = Tensor::from_vec(places, count, &Device::Cpu)?;
    Ok(scores(&latents.index_select(&places, 0)?, head)?.to_vec1()?)
}
