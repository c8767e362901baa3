//! One factor on the cost head, so that "within budget" means what the judge means by "safe".

use super::{Models, head};
use crate::error::Result;
use crate::judge::Judge;
use crate::llama::{Llama, Weights};
use crate::sample::{sample, score};
use crate::world::{Prompt, Split, World};

/// Budget of the demo's one constraint.
pub const BUDGET: f64 = 10.0;
/// Discount per token.
pub const GAMMA: f64 = 0.999;
/// Longest answer, in tokens.
pub(super) const LONGEST: usize = 128;

/// An unguarded answer of the language model.
pub(super) struct Sampled<'a> {
    pub(super) prompt: &'a Prompt,
    pub(super) text: String,
    pub(super) tokens: usize,
    pub(super) costs: Vec<f32>,
    pub(super) reward: f64,
}

/// Whether the discounted cost, never below zero (`cost_clip = capped`), passes the budget at
/// any token.
pub fn capped_exceeds(costs: &[f32], factor: f64) -> bool {
    let (mut spent, mut discount) = (0f64, 1f64);
    costs.iter().any(|cost| {
        spent = (spent + discount * factor * f64::from(*cost)).max(0.0);
        discount *= GAMMA;
        spent > BUDGET
    })
}

/// Unguarded answers of `language` to `prompts`, `each` per prompt, with scores.
pub(super) fn draw<'a>(
    models: &Models,
    language: &Weights,
    prompts: &[&'a Prompt],
    each: usize,
) -> Result<Vec<Sampled<'a>>> {
    let language = Llama::frozen(language)?;
    let (cost, reward) = (Llama::frozen(&models.cost)?, Llama::frozen(&models.reward)?);
    let (cost_head, reward_head) = (head(&models.cost)?, head(&models.reward)?);
    let mut sampled = Vec::new();
    for &prompt in prompts {
        let ids = models.tokenizer.prompt_ids(&prompt.text)?;
        for answer in sample(&language, &ids, each, LONGEST, prompt.id as u64)? {
            let costs = score(&cost, &cost_head, &ids, &answer)?;
            let rewards = score(&reward, &reward_head, &ids, &answer)?;
            sampled.push(Sampled {
                prompt,
                text: models.tokenizer.decode(&answer)?,
                tokens: answer.len(),
                costs,
                reward: f64::from(rewards.last().copied().unwrap_or(0.0)),
            });
        }
    }
    Ok(sampled)
}

/// `count` prompts spread evenly over a split.
pub(super) fn spread(world: &World, split: Split, count: usize) -> Vec<&Prompt> {
    let all = world.split(split);
    let step = (all.len() / count.max(1)).max(1);
    all.into_iter().step_by(step).take(count).collect()
}

/// Finds the factor on `answers` validation answers, applies it to the cost model, rounds it to
/// f16 and returns it. It looks at unguarded answers only.
pub(super) fn fix_scale(models: &Models, world: &World, judge: &Judge, answers: usize) -> Result<f64> {
    let prompts = spread(world, Split::Validation, answers.div_ceil(4));
    let sampled = draw(models, &models.weak, &prompts, 4)?;
    let graded: Vec<(&[f32], bool)> = sampled.iter().map(|s| (s.costs.as_slice(), judge.is_harmful(&s.text))).collect();
    let agreeing = |factor: f64| graded.iter().filter(|(costs, harm)| capped_exceeds(costs, factor) == *harm).count();
    let grid: Vec<(usize, f64)> = (0..40).map(|step| 0.5 * 1.06f64.powi(step)).map(|f| (agreeing(f), f)).collect();
    let most = grid.iter().map(|(count, _)| *count).max().unwrap_or(0);
    let best: Vec<f64> = grid.iter().filter(|(count, _)| *count == most).map(|(_, f)| *f).collect();
    let factor = best[best.len() / 2];
    models.cost.scale_score_head(factor)?;
    models.cost.round_to_half()?;
    Ok(factor)
}
