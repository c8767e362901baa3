//! How good a reward is, on prompts that took no part in training, choice or calibration.

use super::super::{
    aim::{MARKS, RewardObjective, place},
    fit::{Head, Job},
    measure::bootstrap,
};
use crate::{
    error::Result,
    fit::sigmoid,
    report::metrics::{Bin, Pair, auc, brier, calibration_error, r_squared, reliability, soft_reliability},
};
use serde::Serialize;
use std::fmt;

const BINS: usize = 10;

/// From this grade on an answer counts as a good one, where good and bad ones are kept apart.
const GOOD: f64 = 0.5;

/// One head that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RewardTried {
    /// What it reads.
    pub latent: String,
    /// The least loss on the validation.
    pub loss: f64,
    /// The share of pairs of the validation in which the better answer has the higher reward; `null` without pairs.
    pub accuracy: Option<f64>,
    /// The best epoch, from 1, and how many there were.
    pub epochs: (usize, usize),
}

/// How well the better answer of a pair is found. Equal rewards count as half right.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairQuality {
    /// Pairs.
    pub count: usize,
    /// The share in which the better answer has the higher reward.
    pub accuracy: f64,
    /// Its 95 % interval, by a bootstrap over prompts.
    pub interval: Option<(f64, f64)>,
    /// The same share after an eighth, two eighths, … and all of the tokens of each answer.
    pub along: Vec<f64>,
    /// The share in which the longer answer is the better one: what a preference for length alone would reach.
    pub longer: f64,
    /// The mean squared error of P(the better answer is preferred).
    pub brier: f64,
    /// The expected calibration error of that probability, over 10 bins.
    pub calibration_error: f64,
}

/// How well grades are foreseen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GradeQuality {
    /// Answers with a grade.
    pub count: usize,
    /// The mean of their grades.
    pub mean: f64,
    /// The share of the variance of grades that the predicted grade explains; `null` where they are all the same.
    pub explained: Option<f64>,
    /// The area under the ROC curve for answers with a grade of 0.5 or more; `null` where one kind is missing.
    pub auc: Option<f64>,
    /// Its 95 % interval, by a bootstrap over prompts.
    pub interval: Option<(f64, f64)>,
}

/// The measurements of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RewardReport {
    /// What was learnt.
    pub objective: RewardObjective,
    /// The language model, for people, and its digest.
    pub model: (String, String),
    /// What the written head reads.
    pub latent: String,
    /// Answers for learning, for choice and calibration, and for measuring.
    pub answers: (usize, usize, usize),
    /// Answers that left no room in the model's context.
    pub skipped: usize,
    /// All heads, best first.
    pub tried: Vec<RewardTried>,
    /// Factor and shift that calibrated x.
    pub line: (f64, f64),
    /// On the pairs of the test.
    pub pairs: Option<PairQuality>,
    /// On its graded answers.
    pub grades: Option<GradeQuality>,
    /// The bins of the reliability plot: of pairs, or of grades where there are no pairs.
    pub bins: Vec<Bin>,
}

/// A pair as the head sees it: x of every token of the worse and of the better answer.
type SeenPair = (Vec<f64>, Vec<f64>);

impl Job<'_> {
    fn seen_pairs(&self, head: &Head, pairs: &[(usize, usize)]) -> Result<Vec<SeenPair>> {
        let (worse, better): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
        Ok(self.outputs(head, &worse)?.into_iter().zip(self.outputs(head, &better)?).collect())
    }

    /// The accuracy on the validation.
    pub(super) fn tried_reward(&self, head: &Head) -> Result<RewardTried> {
        let seen = self.seen_pairs(head, &self.data.pairs(&self.data.parts.validation))?;
        let accuracy =
            (!seen.is_empty()).then(|| mean(&seen.iter().map(|pair| right(pair, MARKS)).collect::<Vec<_>>()));
        let epochs = (head.best_epoch + 1, head.history.len());
        Ok(RewardTried { latent: self.places.to_string(), loss: head.validation_loss(), accuracy, epochs })
    }

    /// Measures a head on the test.
    pub(super) fn measure_reward(
        &self,
        head: &Head,
        objective: RewardObjective,
        model: (String, String),
        tried: Vec<RewardTried>,
    ) -> Result<RewardReport> {
        let data = self.data;
        let count = |units: &[usize]| data.of(units).len();
        let answers = (count(&data.parts.train), count(&data.parts.validation), count(&data.parts.test));
        let (pairs, mut bins) = self.pair_quality(head)?;
        let (grades, of_grades) = self.grade_quality(head)?;
        if pairs.is_none() {
            bins = of_grades;
        }
        let (latent, skipped, line) = (self.places.to_string(), data.skipped, head.line);
        Ok(RewardReport { objective, model, latent, answers, skipped, tried, line, pairs, grades, bins })
    }

    fn pair_quality(&self, head: &Head) -> Result<(Option<PairQuality>, Vec<Bin>)> {
        let pairs = self.data.pairs(&self.data.parts.test);
        if pairs.is_empty() {
            return Ok((None, Vec::new()));
        }
        let seen = self.seen_pairs(head, &pairs)?;
        let groups: Vec<usize> = pairs.iter().map(|(worse, _)| self.data.answers[*worse].group).collect();
        let at = |mark: usize| seen.iter().map(|pair| right(pair, mark)).collect::<Vec<f64>>();
        let ends = at(MARKS);
        let probabilities: Vec<f64> = seen.iter().map(|pair| sigmoid(difference(pair, MARKS))).collect();
        let preferred: Vec<Pair> = probabilities.iter().map(|p| (*p, true)).collect();
        let sure: Vec<Pair> = probabilities.iter().map(|p| (p.max(1.0 - p), *p > 0.5)).collect();
        let bins = reliability(&sure, BINS);
        let quality = PairQuality {
            count: seen.len(),
            accuracy: mean(&ends),
            interval: bootstrap(&ends, &groups, |drawn| (!drawn.is_empty()).then(|| mean(drawn))),
            along: (1..=MARKS).map(|mark| mean(&at(mark))).collect(),
            longer: mean(&seen.iter().map(|(worse, better)| half(better.len().cmp(&worse.len()))).collect::<Vec<_>>()),
            brier: brier(&preferred),
            calibration_error: calibration_error(&bins),
        };
        Ok((Some(quality), bins))
    }

    fn grade_quality(&self, head: &Head) -> Result<(Option<GradeQuality>, Vec<Bin>)> {
        let graded = self.data.fitted(&self.data.of(&self.data.parts.test));
        if graded.is_empty() {
            return Ok((None, Vec::new()));
        }
        let answers: Vec<usize> = graded.iter().map(|(at, _)| *at).collect();
        let groups: Vec<usize> = answers.iter().map(|at| self.data.answers[*at].group).collect();
        let found = self.ends(head, &answers)?.into_iter().map(sigmoid);
        let found: Vec<(f64, f64)> = found.zip(graded.iter().map(|(_, grade)| *grade)).collect();
        let good: Vec<Pair> = found.iter().map(|(p, grade)| (*p, *grade >= GOOD)).collect();
        let quality = GradeQuality {
            count: found.len(),
            mean: mean(&found.iter().map(|(_, grade)| *grade).collect::<Vec<_>>()),
            explained: r_squared(&found),
            auc: auc(&good),
            interval: bootstrap(&good, &groups, auc),
        };
        Ok((Some(quality), soft_reliability(&found, BINS)))
    }
}

/// How much more x the better answer has at this mark.
fn difference((worse, better): &SeenPair, mark: usize) -> f64 {
    let at = |xs: &[f64]| xs.get(place(xs.len(), mark)).copied().unwrap_or(f64::NAN);
    at(better) - at(worse)
}

/// 1 if the better answer has the higher reward at this mark, a half if both have the same.
fn right(pair: &SeenPair, mark: usize) -> f64 {
    difference(pair, mark).partial_cmp(&0.0).map_or(0.0, half)
}

fn half(order: std::cmp::Ordering) -> f64 {
    match order {
        std::cmp::Ordering::Less => 0.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 1.0,
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

impl fmt::Display for RewardReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (train, validation, test) = self.answers;
        let name = self.objective.name();
        writeln!(
            f,
            "{name} reward: learnt from {train} answers, chosen and calibrated on {validation}, measured on {test}"
        )?;
        if self.skipped > 0 {
            writeln!(f, "{} answers left no room in the model's context", self.skipped)?;
        }
        writeln!(f, "\n{:<32} {:>8} {:>9}   {:>9}", "reads", "loss", "in order", "epochs")?;
        for RewardTried { latent, loss, accuracy, epochs: (best, all) } in &self.tried {
            writeln!(f, "{latent:<32} {loss:>8.4} {:>9}   {best:>3} of {all}", percent(*accuracy))?;
        }
        writeln!(f, "\n{} on other prompts:", self.latent)?;
        if let Some(pairs) = &self.pairs {
            let PairQuality { count, accuracy, interval, along, longer, brier, calibration_error } = pairs;
            let (accuracy, longer) = (percent(Some(*accuracy)), percent(Some(*longer)));
            writeln!(
                f,
                "pairs: {count}, {accuracy} in order {}; Brier {brier:.3}, ECE {calibration_error:.3}",
                between(*interval, 100.0)
            )?;
            writeln!(f, "the longer answer is the better one: {longer}")?;
            let along: Vec<String> = along.iter().map(|share| percent(Some(*share))).collect();
            writeln!(f, "in order after each eighth of the tokens: {}", along.join(", "))?;
        }
        if let Some(GradeQuality { count, mean, explained, auc, interval }) = &self.grades {
            let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
            let (explained, auc) = (number(*explained), number(*auc));
            writeln!(
                f,
                "grades: {count}, mean {mean:.3}; explained variance {explained}, AUC {auc} {}",
                between(*interval, 1.0)
            )?;
        }
        write!(f, "\nECE: calibration error; in brackets: 95 %, by a bootstrap over prompts")
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn between(interval: Option<(f64, f64)>, factor: f64) -> String {
    let digits = if factor > 1.0 { 1 } else { 3 };
    let text = |(low, high): (f64, f64)| format!("[{:.digits$}, {:.digits$}]", factor * low, factor * high);
    interval.map_or_else(|| "[-, -]".to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_right_where_the_better_answer_has_more_at_the_mark() {
        let pair = (vec![1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0], vec![2.0, 2.0]);
        assert_eq!(
            (1..=MARKS).map(|mark| right(&pair, mark)).collect::<Vec<_>>(),
            [1.0, 0.5, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
        );
        assert_eq!(right(&(vec![f64::NAN], vec![1.0]), MARKS), 0.0);
        assert_eq!(right(&(vec![], vec![1.0]), MARKS), 0.0, "nothing to compare with is not right");
    }
}
