//! Labelled answers with their latents: what a head is trained and measured on.

use super::{
    labelled::{Labelled, Unit},
    latents::Latents,
    objective::{CostObjective, Targets},
    parts::prompt_of,
};
use crate::{
    error::{CriticError, Result},
    files::hex,
    split::Split,
};
use candle_core::{Device, Tensor};
use inferenceguard_eval::begins_like_a_refusal;
use inferenceguard_model::LatentSelector;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// One answer.
pub(super) struct Answer {
    /// The label, if it has one.
    pub(super) harmful: Option<bool>,
    pub(super) weight: f64,
    pub(super) category: Option<String>,
    /// The place of its prompt among all prompts.
    pub(super) group: usize,
    /// Whether it begins as refusals do.
    pub(super) refusal: bool,
    pub(super) tokens: usize,
}

/// All answers, and which belong together.
pub(super) struct Data {
    pub(super) answers: Vec<Answer>,
    /// Places of one answer, or of the less and the more harmful answer of a pair.
    pub(super) units: Vec<Vec<usize>>,
    pub(super) parts: Split,
    pub(super) latents: Latents,
    /// Answers that left no room in the model's context.
    pub(super) skipped: usize,
}

impl Data {
    /// `threshold` is the least harm of a harmful answer.
    pub(super) fn new(units: &[Unit], mut parts: Split, latents: Latents, threshold: f64) -> Self {
        let (mut answers, mut places, mut groups) = (Vec::new(), Vec::new(), HashMap::new());
        for unit in units {
            let next = groups.len();
            let group = *groups.entry(prompt_of(unit)).or_insert(next);
            let first = answers.len();
            answers.extend(unit.answers().iter().map(|one| answer(one, group, threshold)));
            places.push((first..answers.len()).collect::<Vec<_>>());
        }
        answers.iter_mut().zip(&latents.tokens).for_each(|(answer, tokens)| answer.tokens = *tokens);
        let skipped = answers.iter().filter(|answer| answer.tokens == 0).count();
        places.iter_mut().for_each(|unit| unit.retain(|at| answers[*at].tokens > 0));
        for part in [&mut parts.train, &mut parts.validation, &mut parts.test] {
            part.retain(|unit| !places[*unit].is_empty());
        }
        Self { answers, units: places, parts, latents, skipped }
    }

    /// A digest of labels, weights and pairs.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for answer in &self.answers {
            digest.update([answer.harmful.map_or(2, u8::from)]);
            digest.update(answer.weight.to_le_bytes());
        }
        self.units.iter().for_each(|unit| digest.update([u8::try_from(unit.len()).unwrap_or(u8::MAX)]));
        hex(digest)
    }

    /// The answers of these units.
    pub(super) fn of(&self, units: &[usize]) -> Vec<usize> {
        units.iter().flat_map(|unit| self.units[*unit].iter().copied()).collect()
    }

    /// The pairs among these units: the less harmful answer, the more harmful one.
    pub(super) fn pairs(&self, units: &[usize]) -> Vec<(usize, usize)> {
        let pair = |unit: &usize| match self.units[*unit].as_slice() {
            [better, worse] => Some((*better, *worse)),
            _ => None,
        };
        units.iter().filter_map(pair).collect()
    }

    /// Labelled answers: places and labels.
    pub(super) fn labelled(&self, answers: &[usize]) -> Vec<(usize, bool)> {
        answers.iter().filter_map(|at| Some((*at, self.answers[*at].harmful?))).collect()
    }

    /// Whether each part has what the objective learns from.
    pub(super) fn check(&self, objective: CostObjective) -> Result<()> {
        let parts = [
            ("to learn from", &self.parts.train),
            ("to validate on", &self.parts.validation),
            ("to measure on", &self.parts.test),
        ];
        for (part, units) in parts {
            let (labels, pairs) = (self.labelled(&self.of(units)), self.pairs(units));
            if !pairs.is_empty() && (objective == CostObjective::Pairwise || labels.is_empty()) {
                continue;
            }
            if objective == CostObjective::Pairwise || labels.is_empty() {
                let what = if objective == CostObjective::Pairwise { "pairs" } else { "labelled answers or pairs" };
                return Err(CriticError::Part { what, part, found: 0 });
            }
            one_class(part, &labels)?;
        }
        Ok(())
    }

    /// Factors for harmful and harmless answers, such that both count as much in sum.
    pub(super) fn balance(&self) -> [f64; 2] {
        let mut sums = [0.0; 2];
        for (at, harmful) in self.labelled(&self.of(&self.parts.train)) {
            sums[usize::from(harmful)] += self.answers[at].weight;
        }
        let half = (sums[0] + sums[1]) / 2.0;
        sums.map(|sum| if sum > 0.0 { half / sum } else { 1.0 })
    }
}

fn one_class(part: &'static str, labels: &[(usize, bool)]) -> Result<()> {
    let harmful = labels.iter().filter(|(_, harmful)| *harmful).count();
    let kind = match harmful {
        0 => "harmless",
        all if all == labels.len() => "harmful",
        _ => return Ok(()),
    };
    Err(CriticError::OneClass { found: labels.len(), part, kind })
}

fn answer(one: &Labelled, group: usize, threshold: f64) -> Answer {
    Answer {
        harmful: one.harm.map(|harm| harm >= threshold),
        weight: one.weight,
        category: one.category.clone(),
        group,
        refusal: begins_like_a_refusal(&one.answer),
        tokens: 0,
    }
}

/// Units side by side: scaled rows `[answers x tokens, width]`, padded to the longest, and what they are fitted to.
pub(super) struct Batch {
    pub(super) answers: Vec<usize>,
    pub(super) tokens: usize,
    pub(super) rows: Tensor,
}

impl Batch {
    /// The rows of these answers; `scaling` has mean and deviation of every input.
    pub(super) fn new(
        data: &Data,
        answers: Vec<usize>,
        places: &[LatentSelector],
        scaling: &[(f64, f64)],
        device: &Device,
    ) -> Result<Self> {
        let (tokens, width) = (answers.iter().map(|at| data.answers[*at].tokens).max().unwrap_or(0), scaling.len());
        let mut rows = Vec::with_capacity(answers.len() * tokens * width);
        for (n, at) in answers.iter().enumerate() {
            data.latents.write(*at, places, &mut rows);
            for row in rows[n * tokens * width..].chunks_exact_mut(width) {
                let scaled = row.iter_mut().zip(scaling);
                scaled
                    .for_each(|(number, (mean, deviation))| *number = ((f64::from(*number) - mean) / deviation) as f32);
            }
            rows.resize((n + 1) * tokens * width, 0.0);
        }
        let rows = Tensor::from_vec(rows, (answers.len() * tokens, width), device)?;
        Ok(Self { answers, tokens, rows })
    }

    /// What these answers and pairs are fitted to.
    pub(super) fn targets(
        &self,
        data: &Data,
        objective: CostObjective,
        pairs: &[(usize, usize)],
        balance: [f64; 2],
        device: &Device,
    ) -> Result<Targets> {
        let count = self.answers.len();
        let (mut there, mut last) = (vec![0f32; count * self.tokens], vec![0f32; count * self.tokens]);
        let (mut harmful, mut weights) = (vec![0f32; count], vec![0f32; count]);
        for (n, at) in self.answers.iter().enumerate() {
            let answer = &data.answers[*at];
            there[n * self.tokens..][..answer.tokens].fill(1.0);
            last[n * self.tokens + answer.tokens - 1] = 1.0;
            if let (Some(label), true) = (answer.harmful, objective != CostObjective::Pairwise) {
                harmful[n] = f32::from(u8::from(label));
                weights[n] = (answer.weight * balance[usize::from(label)]) as f32;
            }
        }
        let place = |answer: usize| self.answers.iter().position(|one| *one == answer).unwrap_or_default() as u32;
        let (better, worse): (Vec<u32>, Vec<u32>) = pairs.iter().map(|(a, b)| (place(*a), place(*b))).unzip();
        let counts: Vec<f32> = pairs.iter().map(|(_, worse)| data.answers[*worse].weight as f32).collect();
        let total = weights.iter().chain(&counts).map(|weight| f64::from(*weight)).sum::<f64>().max(1e-9);
        let table = |values: Vec<f32>| Tensor::from_vec(values, (count, self.tokens), device);
        let list = |values: Vec<f32>| Tensor::from_vec(values, count, device);
        let pairs = match pairs.len() {
            0 => None,
            many => Some((
                Tensor::from_vec(better, many, device)?,
                Tensor::from_vec(worse, many, device)?,
                Tensor::from_vec(counts, many, device)?,
            )),
        };
        Ok(Targets {
            there: table(there)?,
            last: table(last)?,
            harmful: list(harmful)?,
            weights: list(weights)?,
            pairs,
            total,
        })
    }
}
