//! Labelled answers with their latents: what a head is trained and measured on.

use super::{
    aim::{Aim, MARKS, place},
    labelled::Labels,
    latents::Latents,
    objective::Targets,
    parts::prompt_of,
    unit::{Labelled, Unit},
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
    /// Whether it is harmful, if its label says so.
    pub(super) harmful: Option<bool>,
    /// What it is fitted to, from 0 to 1: whether it is harmful, or its grade.
    pub(super) label: Option<f64>,
    /// Whether the model gave it itself, to a prompt that asks for nothing harmful.
    pub(super) own: bool,
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
    /// For each unit the indices of its one answer, or of the two answers of a pair, the less harmful or better one first.
    pub(super) units: Vec<Vec<usize>>,
    pub(super) parts: Split,
    pub(super) latents: Latents,
    /// Answers that left no room in the model's context.
    pub(super) skipped: usize,
    labels: Labels,
}

impl Data {
    /// `threshold` is the least harm of a harmful answer, where labels say that.
    pub(super) fn new(units: &[Unit], mut parts: Split, latents: Latents, labels: Labels, threshold: f64) -> Self {
        let (mut answers, mut places, mut groups) = (Vec::new(), Vec::new(), HashMap::new());
        for unit in units {
            let next = groups.len();
            let group = *groups.entry(prompt_of(unit)).or_insert(next);
            let first = answers.len();
            answers.extend(unit.answers().iter().map(|one| answer(one, group, labels, threshold)));
            places.push((first..answers.len()).collect::<Vec<_>>());
        }
        answers.iter_mut().zip(&latents.tokens).for_each(|(answer, tokens)| answer.tokens = *tokens);
        let skipped = answers.iter().filter(|answer| answer.tokens == 0).count();
        places.iter_mut().for_each(|unit| unit.retain(|at| answers[*at].tokens > 0));
        for part in [&mut parts.train, &mut parts.validation, &mut parts.test] {
            part.retain(|unit| !places[*unit].is_empty());
        }
        Self { answers, units: places, parts, latents, skipped, labels }
    }

    /// A digest of labels, weights and pairs, and of which answers are the model's own: those are split apart, so that the same
    /// answers as data of somebody else lie in other parts.
    pub(super) fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for answer in &self.answers {
            digest.update([answer.harmful.map_or(2, u8::from)]);
            if let (None, Some(grade)) = (answer.harmful, answer.label) {
                digest.update(grade.to_le_bytes());
            }
            if answer.own {
                digest.update(b"own");
            }
            digest.update(answer.weight.to_le_bytes());
        }
        self.units.iter().for_each(|unit| digest.update([u8::try_from(unit.len()).unwrap_or(u8::MAX)]));
        hex(digest)
    }

    /// The answers of these units.
    pub(super) fn of(&self, units: &[usize]) -> Vec<usize> {
        units.iter().flat_map(|unit| self.units[*unit].iter().copied()).collect()
    }

    /// The pairs among these units, the answer with the lower score first: the less harmful one, or the worse one.
    pub(super) fn pairs(&self, units: &[usize]) -> Vec<(usize, usize)> {
        let pair = |unit: &usize| match (self.units[*unit].as_slice(), self.labels) {
            ([better, worse], Labels::Harm) => Some((*better, *worse)),
            ([better, worse], Labels::Grade) => Some((*worse, *better)),
            _ => None,
        };
        units.iter().filter_map(pair).collect()
    }

    /// Answers with labels: their indices, and what they are fitted to.
    pub(super) fn fitted(&self, answers: &[usize]) -> Vec<(usize, f64)> {
        answers.iter().filter_map(|at| Some((*at, self.answers[*at].label?))).collect()
    }

    /// Answers of which a label says whether they are harmful: their indices and labels.
    pub(super) fn labelled(&self, answers: &[usize]) -> Vec<(usize, bool)> {
        answers.iter().filter_map(|at| Some((*at, self.answers[*at].harmful?))).collect()
    }

    /// Whether each part has what is learnt from.
    pub(super) fn check(&self, aim: Aim) -> Result<()> {
        let parts = [
            ("to learn from", &self.parts.train),
            ("to validate on", &self.parts.validation),
            ("to measure on", &self.parts.test),
        ];
        for (part, units) in parts {
            let (answers, pairs) = (self.of(units), self.pairs(units));
            let labels = self.fitted(&answers);
            if !pairs.is_empty() && (!aim.uses_labels() || labels.is_empty()) {
                continue;
            }
            if !aim.uses_labels() || labels.is_empty() {
                let what = if aim.uses_labels() { "labelled answers or pairs" } else { "pairs" };
                return Err(CriticError::Part { what, part, found: 0 });
            }
            match aim {
                Aim::Cost(_) => one_class(part, &self.labelled(&answers))?,
                Aim::Reward(_) => one_grade(part, &labels, pairs.len())?,
            }
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

/// Refuses grades that are all the same, where no pairs are beside them.
fn one_grade(part: &'static str, labels: &[(usize, f64)], pairs: usize) -> Result<()> {
    let first = labels.first().map_or(0.0, |(_, grade)| *grade);
    let vary = labels.iter().any(|(_, grade)| *grade != first);
    if vary || pairs > 0 { Ok(()) } else { Err(CriticError::OneGrade { found: labels.len(), part, grade: first }) }
}

fn answer(one: &Labelled, group: usize, labels: Labels, threshold: f64) -> Answer {
    let harmful = one.harm.filter(|_| labels == Labels::Harm).map(|harm| harm >= threshold);
    Answer {
        harmful,
        label: if labels == Labels::Grade { one.grade } else { harmful.map(|harmful| f64::from(u8::from(harmful))) },
        own: one.own,
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
            data.latents.write(*at, places, &mut rows)?;
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
        aim: Aim,
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
            if let (Some(label), true) = (answer.label, aim.uses_labels()) {
                harmful[n] = label as f32;
                weights[n] = (answer.weight * balance[usize::from(answer.harmful == Some(true))]) as f32;
            }
        }
        let row = |answer: usize| self.answers.iter().position(|one| *one == answer).unwrap_or_default() as u32;
        let (lower, higher): (Vec<u32>, Vec<u32>) = pairs.iter().map(|(a, b)| (row(*a), row(*b))).unzip();
        let counts: Vec<f32> = pairs.iter().map(|(_, higher)| data.answers[*higher].weight as f32).collect();
        let total = weights.iter().chain(&counts).map(|weight| f64::from(*weight)).sum::<f64>().max(1e-9);
        let table = |values: Vec<f32>| Tensor::from_vec(values, (count, self.tokens), device);
        let list = |values: Vec<f32>| Tensor::from_vec(values, count, device);
        let pairs = match pairs.len() {
            0 => None,
            many => Some((
                Tensor::from_vec(lower, many, device)?,
                Tensor::from_vec(higher, many, device)?,
                Tensor::from_vec(counts, many, device)?,
            )),
        };
        Ok(Targets {
            there: table(there)?,
            last: table(last)?,
            marks: matches!(aim, Aim::Reward(_)).then(|| self.marks(data, device)).transpose()?,
            harmful: list(harmful)?,
            weights: list(weights)?,
            pairs,
            total,
        })
    }

    /// 1 at the marks of each answer.
    fn marks(&self, data: &Data, device: &Device) -> Result<Tensor> {
        let mut marks = vec![0f32; self.answers.len() * MARKS * self.tokens];
        for (n, at) in self.answers.iter().enumerate() {
            let tokens = data.answers[*at].tokens;
            (1..=MARKS).for_each(|mark| marks[(n * MARKS + mark - 1) * self.tokens + place(tokens, mark)] = 1.0);
        }
        Ok(Tensor::from_vec(marks, (self.answers.len(), MARKS, self.tokens), device)?)
    }
}
