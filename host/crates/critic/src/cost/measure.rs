//! How good a head is, on prompts that took no part in training, choice or calibration.

use super::{
    conformal::{Reached, Threshold, conformal_threshold, thresholds},
    data::Data,
    fit::{Head, Job},
    objective::{CostObjective, Form},
    report::{Budget, ConformalBudget, CostReport, Quality, Tried},
};
use crate::{
    error::{CriticError, Result},
    report::metrics::{Pair, auc, base_rate, brier, calibration_error, reliability},
};
use inferenceguard_dice::Dice;
use std::collections::BTreeMap;

const BINS: usize = 10;
/// Draws of prompts for an interval, and their seed.
const DRAWS: usize = 1000;
const SEED: u64 = 1;
/// Shares of harmless answers that a budget may refuse, in the table of budgets.
const SHARES: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];

/// A labelled answer as the head sees it.
struct Seen {
    answer: usize,
    xs: Vec<f64>,
    harmful: bool,
    /// Whether the model gave it itself.
    own: bool,
}

/// Numbers of the answers of one kind.
fn numbers(seen: &[Seen], of: impl Fn(&Seen) -> f64, kind: impl Fn(&Seen) -> bool) -> Vec<f64> {
    seen.iter().filter(|one| kind(one)).map(of).collect()
}

/// Numbers of the harmless answers that stand for later ones: the model's own, where there are any.
fn harmless(seen: &[Seen], of: impl Fn(&Seen) -> f64) -> Vec<f64> {
    let any = seen.iter().any(|one| one.own);
    numbers(seen, of, |one| !one.harmful && one.own == any)
}

/// Numbers of the answers of the test, by kind.
fn reached(seen: &[Seen], of: impl Fn(&Seen) -> f64 + Copy) -> Reached {
    Reached {
        harmless: numbers(seen, of, |one| !one.harmful && !one.own),
        harmful: numbers(seen, of, |one| one.harmful),
        own: numbers(seen, of, |one| one.own),
    }
}

/// The answers of each category that the data names.
fn by_category<'a>(data: &Data, all: &[&'a Seen]) -> BTreeMap<String, Vec<&'a Seen>> {
    let mut found: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for one in all {
        let category = data.answers[one.answer].category.clone();
        category.into_iter().for_each(|name| found.entry(name).or_default().push(*one));
    }
    found
}

impl Job<'_> {
    fn seen(&self, head: &Head, units: &[usize]) -> Result<Vec<Seen>> {
        let labelled = self.data.labelled(&self.data.of(units));
        let answers: Vec<usize> = labelled.iter().map(|(at, _)| *at).collect();
        let xs = self.outputs(head, &answers)?.into_iter();
        let own = |answer: usize| self.data.answers[answer].own;
        Ok(xs.zip(labelled).map(|(xs, (answer, harmful))| Seen { answer, xs, harmful, own: own(answer) }).collect())
    }

    /// The AUC on the validation.
    pub(super) fn validate(&self, head: &Head) -> Result<Tried> {
        let seen = self.seen(head, &self.data.parts.validation)?;
        let auc = auc(&pairs(self.aim.cost(), &seen.iter().filter(|one| !one.own).collect::<Vec<_>>()));
        let epochs = (head.best_epoch + 1, head.history.len());
        Ok(Tried { latent: self.places.to_string(), loss: head.validation_loss(), auc, epochs })
    }

    /// Measures a head on the test; `alpha` is the share of harmless answers that a budget is found for.
    pub(super) fn measure(
        &self,
        head: &Head,
        model: (String, String),
        tried: Vec<Tried>,
        alpha: Option<f64>,
    ) -> Result<CostReport> {
        let (data, objective) = (self.data, self.aim.cost());
        let seen = self.seen(head, &data.parts.test)?;
        let every: Vec<&Seen> = seen.iter().collect();
        let all: Vec<&Seen> = every.iter().copied().filter(|one| !one.own).collect();
        let beside_own: Vec<&Seen> = every.iter().copied().filter(|one| one.own || one.harmful).collect();
        let plain = all.iter().copied().filter(|one| !data.answers[one.answer].refusal).collect::<Vec<_>>();
        let by_category = by_category(data, &all);
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
            own: beside_own.iter().any(|one| one.own).then(|| quality(&beside_own)).flatten(),
            categories: by_category.iter().filter_map(|(name, part)| Some((name.clone(), quality(part)?))).collect(),
            pairs: self.in_order(head)?,
            budgets: self.budgets(&validation, &seen),
            conformal: alpha.map(|alpha| self.conformal(&validation, &seen, alpha)).transpose()?,
            thresholds: self.thresholds(&validation, &seen)?,
            bins: reliability(&pairs(objective, &every), BINS),
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
            better.iter().zip(&worse).filter(|(a, b)| self.aim.cost().score(a) < self.aim.cost().score(b)).count();
        Ok(Some((pairs.len(), right as f64 / pairs.len() as f64)))
    }

    fn thresholds(&self, validation: &[Seen], test: &[Seen]) -> Result<Vec<Threshold>> {
        let of = |one: &Seen| self.aim.cost().reached(&one.xs);
        thresholds(&harmless(validation, of), &reached(test, of))
    }

    /// Refuses too few harmless answers for this α, before anything is trained.
    pub(super) fn check_alpha(&self, alpha: f64) -> Result<()> {
        let answers = self.data.labelled(&self.data.of(&self.data.parts.validation));
        let own = |at: &usize| self.data.answers[*at].own;
        let any = answers.iter().any(|(at, _)| own(at));
        let count = answers.iter().filter(|(at, harmful)| !harmful && own(at) == any).count();
        conformal_threshold(&vec![0.0; count], alpha).map(|_| ())
    }

    fn conformal(&self, validation: &[Seen], test: &[Seen], alpha: f64) -> Result<ConformalBudget> {
        let of = |one: &Seen| self.aim.cost().spent(&one.xs);
        let safe = harmless(validation, of);
        let all = numbers(validation, of, |_| true);
        let budget = just_above(conformal_threshold(&safe, alpha)?, &all);
        if budget > 0.0 {
            return Ok(ConformalBudget { alpha, count: safe.len(), budget: self.budget(budget, &reached(test, of)) });
        }
        let expected = "harmless answers that cost something: give a budget as a number";
        Err(CriticError::option("budget", format!("{budget} for alpha = {alpha}"), expected))
    }

    /// What this budget does to the test.
    fn budget(&self, budget: f64, test: &Reached) -> Budget {
        let hazard = self.aim.form() == Form::Hazard;
        let beyond = |spent: &[f64]| {
            let count = spent.iter().filter(|one| **one >= budget).count();
            (!spent.is_empty()).then(|| count as f64 / spent.len() as f64)
        };
        Budget {
            budget,
            probability: hazard.then(|| self.aim.cost().probability(budget)),
            harmless: beyond(&test.harmless),
            harmful: beyond(&test.harmful),
            own: beyond(&test.own),
        }
    }

    /// Budgets beyond which at most these shares of the harmless answers lie that stand for later ones, of the validation.
    fn budgets(&self, validation: &[Seen], test: &[Seen]) -> Vec<Budget> {
        let of = |one: &Seen| self.aim.cost().spent(&one.xs);
        let safe = harmless(validation, of);
        let harmful = numbers(validation, of, |one| one.harmful);
        let test = reached(test, of);
        let budget = |share: &f64| {
            let budget = allowing(&safe, &harmful, *share).filter(|budget| *budget > 0.0)?;
            Some(self.budget(budget, &test))
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
    let all: Vec<f64> = harmless.iter().chain(harmful).copied().collect();
    Some(just_above(dearest, &all))
}

/// Half way between a cost and the next dearer one of these, or a little more than the cost.
fn just_above(cost: f64, all: &[f64]) -> f64 {
    let dearer = all.iter().copied().filter(|one| *one > cost).fold(f64::INFINITY, f64::min);
    if dearer.is_finite() { (cost + dearer) / 2.0 } else { cost * 1.01 }
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
    bootstrap(pairs, groups, auc)
}

/// The middle 95 % of a measurement over draws of prompts.
pub(super) fn bootstrap<T: Copy>(
    items: &[T],
    groups: &[usize],
    measure: impl Fn(&[T]) -> Option<f64>,
) -> Option<(f64, f64)> {
    let mut members: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    for (item, group) in items.iter().zip(groups) {
        members.entry(*group).or_default().push(*item);
    }
    let members: Vec<Vec<T>> = members.into_values().collect();
    let draw = |n: usize| {
        let mut dice = Dice::new(SEED, &[67, n as u64]);
        let drawn: Vec<T> = members.iter().flat_map(|_| members[dice.below(members.len())].clone()).collect();
        measure(&drawn)
    };
    let mut found: Vec<f64> = (0..DRAWS).filter_map(draw).collect();
    found.sort_by(f64::total_cmp);
    let at = |share: f64| found.get((share * (found.len().checked_sub(1)?) as f64).round() as usize).copied();
    Some((at(0.025)?, at(0.975)?))
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
