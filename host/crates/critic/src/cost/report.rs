//! How good a head is, on prompts that took no part in training, choice or calibration.

use super::{
    conformal::{Threshold, thresholds},
    data::Data,
    fit::{Head, Job},
    objective::{CostObjective, Form},
};
use crate::{
    error::Result,
    report::metrics::{Bin, Pair, auc, base_rate, brier, calibration_error, reliability},
};
use inferenceguard_dice::Dice;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

const BINS: usize = 10;
/// Draws of prompts for an interval, and their seed.
const DRAWS: usize = 1000;
const SEED: u64 = 1;
/// Shares of harmless answers that a budget may refuse, in the table of budgets.
const SHARES: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];

/// How well harmful answers are kept apart from harmless ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Answers.
    pub count: usize,
    /// The share of harmful ones.
    pub harmful: f64,
    /// The area under the ROC curve; `null` where one class is missing.
    pub auc: Option<f64>,
    /// Its 95 % interval, by a bootstrap over prompts.
    pub interval: Option<(f64, f64)>,
    /// The mean squared error of P(harmful).
    pub brier: f64,
    /// The expected calibration error, over 10 bins.
    pub calibration_error: f64,
}

/// One head that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tried {
    /// What it reads.
    pub latent: String,
    /// The least loss on the validation.
    pub loss: f64,
    /// The AUC on the validation.
    pub auc: Option<f64>,
    /// The best epoch, from 1, and how many there were.
    pub epochs: (usize, usize),
}

/// What a budget does to answers as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Budget {
    /// The budget; chosen on harmless answers of the validation.
    pub budget: f64,
    /// The modelled probability of harm that it allows; `null` where costs are no hazards.
    pub probability: Option<f64>,
    /// The share of harmless answers of the test beyond it.
    pub harmless: f64,
    /// The share of harmful answers of the test beyond it.
    pub harmful: f64,
}

/// The measurements of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CostReport {
    /// What was learnt.
    pub objective: CostObjective,
    /// The language model, for people, and its digest.
    pub model: (String, String),
    /// What the written head reads, token by token.
    pub latent: String,
    /// Answers for learning, for choice and calibration, and for measuring.
    pub answers: (usize, usize, usize),
    /// Answers that left no room in the model's context.
    pub skipped: usize,
    /// All heads, best first.
    pub tried: Vec<Tried>,
    /// Factor and shift that calibrated x.
    pub line: (f64, f64),
    /// On all labelled answers of the test.
    pub test: Option<Quality>,
    /// On those that do not begin as refusals do.
    pub without_refusals: Option<Quality>,
    /// By category, where the data names any.
    pub categories: BTreeMap<String, Quality>,
    /// Pairs of the test, and the share in which the more harmful answer costs more.
    pub pairs: Option<(usize, f64)>,
    /// What budgets do.
    pub budgets: Vec<Budget>,
    /// Thresholds of policies that intervene where harm becomes likely, found on the harmless answers of the validation.
    pub thresholds: Vec<Threshold>,
    /// The bins of the reliability plot.
    pub bins: Vec<Bin>,
}

/// A labelled answer as the head sees it.
struct Seen {
    answer: usize,
    xs: Vec<f64>,
    harmful: bool,
}

impl Job<'_> {
    fn seen(&self, head: &Head, units: &[usize]) -> Result<Vec<Seen>> {
        let labelled = self.data.labelled(&self.data.of(units));
        let answers: Vec<usize> = labelled.iter().map(|(at, _)| *at).collect();
        let xs = self.outputs(head, &answers)?.into_iter();
        Ok(xs.zip(labelled).map(|(xs, (answer, harmful))| Seen { answer, xs, harmful }).collect())
    }

    /// The AUC on the validation.
    pub(super) fn validate(&self, head: &Head) -> Result<Tried> {
        let seen = self.seen(head, &self.data.parts.validation)?;
        let auc = auc(&pairs(self.objective, &seen.iter().collect::<Vec<_>>()));
        let epochs = (head.best_epoch + 1, head.history.len());
        Ok(Tried { latent: self.places.to_string(), loss: head.validation_loss(), auc, epochs })
    }

    /// Measures a head on the test.
    pub(super) fn measure(&self, head: &Head, model: (String, String), tried: Vec<Tried>) -> Result<CostReport> {
        let (data, objective) = (self.data, self.objective);
        let seen = self.seen(head, &data.parts.test)?;
        let all: Vec<&Seen> = seen.iter().collect();
        let plain = all.iter().copied().filter(|one| !data.answers[one.answer].refusal).collect::<Vec<_>>();
        let mut by_category: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
        for one in &all {
            let category = data.answers[one.answer].category.clone();
            category.into_iter().for_each(|name| by_category.entry(name).or_default().push(one));
        }
        let quality = |part: &[&Seen]| (!part.is_empty()).then(|| quality(data, objective, part));
        let validation = self.seen(head, &data.parts.validation)?;
        Ok(CostReport {
            objective,
            model,
            latent: self.places.to_string(),
            answers: (
                data.of(&data.parts.train).len(),
                data.of(&data.parts.validation).len(),
                data.of(&data.parts.test).len(),
            ),
            skipped: data.skipped,
            tried,
            line: head.line,
            test: quality(&all),
            without_refusals: quality(&plain),
            categories: by_category.iter().filter_map(|(name, part)| Some((name.clone(), quality(part)?))).collect(),
            pairs: self.in_order(head)?,
            budgets: self.budgets(&validation, &seen),
            thresholds: self.thresholds(&validation, &seen)?,
            bins: reliability(&pairs(objective, &all), BINS),
        })
    }

    fn in_order(&self, head: &Head) -> Result<Option<(usize, f64)>> {
        let pairs = self.data.pairs(&self.data.parts.test);
        if pairs.is_empty() {
            return Ok(None);
        }
        let (better, worse): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
        let (better, worse) = (self.outputs(head, &better)?, self.outputs(head, &worse)?);
        let right =
            better.iter().zip(&worse).filter(|(a, b)| self.objective.score(a) < self.objective.score(b)).count();
        Ok(Some((pairs.len(), right as f64 / pairs.len() as f64)))
    }

    fn thresholds(&self, validation: &[Seen], test: &[Seen]) -> Result<Vec<Threshold>> {
        let reached = |seen: &[Seen], harmful: bool| -> Vec<f64> {
            seen.iter().filter(|one| one.harmful == harmful).map(|one| self.objective.reached(&one.xs)).collect()
        };
        thresholds(&reached(validation, false), &reached(test, false), &reached(test, true))
    }

    /// Budgets beyond which at most these shares of the validation's harmless answers lie.
    fn budgets(&self, validation: &[Seen], test: &[Seen]) -> Vec<Budget> {
        let spent = |seen: &[Seen], harmful: bool| -> Vec<f64> {
            seen.iter().filter(|one| one.harmful == harmful).map(|one| self.objective.spent(&one.xs)).collect()
        };
        let (harmless, harmful) = (spent(validation, false), spent(validation, true));
        let (good, bad) = (spent(test, false), spent(test, true));
        let beyond = |spent: &[f64], budget: f64| {
            spent.iter().filter(|one| **one >= budget).count() as f64 / spent.len().max(1) as f64
        };
        let budget = |share: &f64| {
            let budget = allowing(&harmless, &harmful, *share).filter(|budget| *budget > 0.0)?;
            let hazard = self.objective.form() == Form::Hazard;
            let probability = hazard.then(|| self.objective.probability(budget));
            Some(Budget { budget, probability, harmless: beyond(&good, budget), harmful: beyond(&bad, budget) })
        };
        let mut budgets: Vec<Budget> = SHARES.iter().filter_map(budget).collect();
        budgets.dedup();
        budgets
    }
}

/// A budget that at most this share of harmless answers breaks: half way between what the dearest of the others costs and the next
/// dearer answer.
fn allowing(harmless: &[f64], harmful: &[f64], share: f64) -> Option<f64> {
    let mut sorted = harmless.to_vec();
    sorted.sort_by(f64::total_cmp);
    let kept = ((1.0 - share) * sorted.len() as f64).ceil() as usize;
    let dearest = *sorted.get(kept.checked_sub(1)?)?;
    let dearer = harmless.iter().chain(harmful).copied().filter(|one| *one > dearest).fold(f64::INFINITY, f64::min);
    Some(if dearer.is_finite() { (dearest + dearer) / 2.0 } else { dearest * 1.01 })
}

fn pairs(objective: CostObjective, seen: &[&Seen]) -> Vec<Pair> {
    seen.iter().map(|one| (objective.probability(objective.score(&one.xs)), one.harmful)).collect()
}

fn quality(data: &Data, objective: CostObjective, seen: &[&Seen]) -> Quality {
    let pairs = pairs(objective, seen);
    let groups: Vec<usize> = seen.iter().map(|one| data.answers[one.answer].group).collect();
    Quality {
        count: pairs.len(),
        harmful: base_rate(&pairs),
        auc: auc(&pairs),
        interval: interval(&pairs, &groups),
        brier: brier(&pairs),
        calibration_error: calibration_error(&reliability(&pairs, BINS)),
    }
}

/// The middle 95 % of the AUC over draws of prompts; answers to one prompt are drawn together.
fn interval(pairs: &[Pair], groups: &[usize]) -> Option<(f64, f64)> {
    let mut members: BTreeMap<usize, Vec<Pair>> = BTreeMap::new();
    for (pair, group) in pairs.iter().zip(groups) {
        members.entry(*group).or_default().push(*pair);
    }
    let members: Vec<Vec<Pair>> = members.into_values().collect();
    let draw = |n: usize| {
        let mut dice = Dice::new(SEED, &[67, n as u64]);
        let drawn: Vec<Pair> = members.iter().flat_map(|_| members[dice.below(members.len())].clone()).collect();
        auc(&drawn)
    };
    let mut found: Vec<f64> = (0..DRAWS).filter_map(draw).collect();
    found.sort_by(f64::total_cmp);
    let at = |share: f64| found.get((share * (found.len().checked_sub(1)?) as f64).round() as usize).copied();
    Some((at(0.025)?, at(0.975)?))
}

impl fmt::Display for CostReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (train, validation, test) = self.answers;
        let name = self.objective.name();
        writeln!(
            f,
            "{name} cost: learnt from {train} answers, chosen and calibrated on {validation}, measured on {test}"
        )?;
        if self.skipped > 0 {
            writeln!(f, "{} answers left no room in the model's context", self.skipped)?;
        }
        writeln!(f, "\n{:<32} {:>8} {:>8}   {:>9}", "reads", "loss", "AUC", "epochs")?;
        for Tried { latent, loss, auc, epochs: (best, all) } in &self.tried {
            writeln!(f, "{latent:<32} {loss:>8.4} {:>8}   {best:>3} of {all}", number(*auc))?;
        }
        writeln!(f, "\n{} on other prompts:", self.latent)?;
        writeln!(
            f,
            "{:<32} {:>7} {:>8} {:>7} {:>16} {:>7} {:>7}",
            "answers", "count", "harmful", "AUC", "95 %", "Brier", "ECE"
        )?;
        let named = [("all", &self.test), ("not refusals", &self.without_refusals)];
        let named = named.into_iter().filter_map(|(name, one)| Some((name, one.as_ref()?)));
        for (name, one) in named.chain(self.categories.iter().map(|(name, one)| (name.as_str(), one))) {
            line(f, name, one)?;
        }
        if let Some((count, right)) = self.pairs {
            writeln!(f, "pairs: {count}, {:.1} % in order", 100.0 * right)?;
        }
        writeln!(f, "\n{:>8} {:>12} {:>18} {:>18}", "budget", "P(harmful)", "harmless beyond", "harmful beyond")?;
        for Budget { budget, probability, harmless, harmful } in &self.budgets {
            let (harmless, harmful) = (100.0 * harmless, 100.0 * harmful);
            writeln!(f, "{budget:>8.3} {:>12} {harmless:>16.1} % {harmful:>16.1} %", number(*probability))?;
        }
        writeln!(
            f,
            "\n{:>8} {:>12} {:>5} {:>14} {:>18}",
            "alpha", "threshold", "n", "harmless above", "harmful above"
        )?;
        for Threshold { alpha, threshold, count, needed, harmless, harmful } in &self.thresholds {
            let threshold =
                threshold.map_or_else(|| format!("needs n {needed}"), |threshold| format!("{threshold:.6}"));
            let (harmless, harmful) = (percent(*harmless), percent(*harmful));
            writeln!(f, "{alpha:>8} {threshold:>12} {count:>5} {harmless:>14} {harmful:>18}")?;
        }
        writeln!(f, "\nECE: calibration error; beyond: the share of answers that break the budget")?;
        writeln!(f, "alpha: P(any intervention | harmless) that the threshold aims at; no bound, because these n")?;
        writeln!(f, "answers also chose and calibrated the head: compare `harmless above`, on other answers")?;
        write!(f, "above: the share of answers in which it intervenes; n: harmless answers")
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, one: &Quality) -> fmt::Result {
    let between = one.interval.map_or_else(|| "-".to_owned(), |(low, high)| format!("[{low:.3}, {high:.3}]"));
    let Quality { count, harmful, auc, brier, calibration_error, .. } = one;
    let (harmful, auc) = (format!("{:.1} %", 100.0 * harmful), number(*auc));
    writeln!(f, "{name:<32} {count:>7} {harmful:>8} {auc:>7} {between:>16} {brier:>7.3} {calibration_error:>7.3}")
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_lies_between_what_it_allows_and_what_it_refuses() {
        let harmless: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(allowing(&harmless, &[20.0], 0.0), Some(14.5));
        assert_eq!(allowing(&harmless, &[20.0], 0.1), Some(8.5));
        assert_eq!(allowing(&harmless, &[8.2], 0.1), Some(8.1));
        assert_eq!(allowing(&[2.0; 4], &[], 0.5), Some(2.02));
        assert_eq!(allowing(&[], &[1.0], 0.5), None);
    }

    #[test]
    fn an_interval_holds_the_estimate_and_shrinks_with_more_prompts() {
        let pairs = |count: usize| -> (Vec<Pair>, Vec<usize>) {
            let one = |at: usize| ((at * 37 % 101) as f64 / 101.0, !(at * 37 % 101).is_multiple_of(3));
            ((0..count).map(one).collect(), (0..count).map(|at| at / 2).collect())
        };
        let width = |count: usize| {
            let (pairs, groups) = pairs(count);
            let ((low, high), auc) = (interval(&pairs, &groups).unwrap(), auc(&pairs).unwrap());
            assert!(low <= auc && auc <= high, "{low} {auc} {high}");
            high - low
        };
        assert!(width(400) < width(40));
    }
}
