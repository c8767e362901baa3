//! Compares every two methods of a model, by a paired bootstrap over prompts. Losses are listed like wins.
//!
//! Two rows are compared as they were run; that is at equal candidates if both have the same N and budget. At equal
//! positions scored, a row is set against another method at the N where that method would have scored as many: between
//! the two nearest N that were run, on a logarithmic scale, or at a number within a tenth of it.

use crate::{
    Graded, Resamples, Row, Status,
    bootstrap::{Replicates, interval},
    figure::figure,
    figures::PromptIndex,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The figures that are compared.
const COMPARED: [&str; 6] = ["good", "safe", "within_budget", "judged_safe", "hidden_harm", "reward"];
/// The largest difference at which two rows count as equal in positions scored.
const NEAR: f64 = 0.1;

/// What is equal between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Nothing: the rows as they were run.
    AsRun,
    /// Candidates per chunk and budget.
    EqualCandidates,
    /// Positions scored per prompt and budget.
    EqualPositions,
}

/// One figure of `a` minus that of `b`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The model.
    pub model: String,
    /// A row's label.
    pub a: String,
    /// Another row's label; `x .. y` for a value between two rows.
    pub b: String,
    /// What is equal between them.
    pub basis: Basis,
    /// Whether only prompts count on which the method `base` exceeded the budget at least once.
    pub base_fails: bool,
    /// The figure.
    pub figure: String,
    /// How many prompts.
    pub prompts: usize,
    /// `a` minus `b`.
    pub difference: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Pair {
    /// Whether the interval leaves out 0.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// A row with its answers.
pub(crate) struct Side<'a> {
    pub(crate) row: &'a Row,
    pub(crate) answers: Vec<&'a Graded>,
}

/// One figure of one side: the mean and its replicates.
struct Curve {
    mean: f64,
    replicates: Replicates,
}

/// The figure being compared, for every side.
struct Column<'a> {
    model: &'a str,
    figure: &'static str,
    base_fails: bool,
    prompts: usize,
    curves: Vec<Curve>,
}

/// All pairs of a model's rows.
pub(crate) fn pairs(model: &str, sides: &[Side<'_>], places: &PromptIndex, resamples: &Resamples) -> Vec<Pair> {
    let failing = failing(sides);
    let positions: Vec<f64> = sides.iter().map(|side| mean_positions(side, places)).collect();
    let mut pairs = Vec::new();
    for (base_fails, only) in [(false, None), (true, failing.as_ref())] {
        if base_fails && only.is_none_or(BTreeSet::is_empty) {
            continue;
        }
        for name in COMPARED {
            let column = column(model, (base_fails, only), name, sides, places, resamples);
            pairs.extend(column.as_run(sides));
            pairs.extend(column.equal_positions(sides, &positions));
        }
    }
    pairs
}

/// The prompts on which the base model exceeded the budget; `None` without the method `base`.
fn failing(sides: &[Side<'_>]) -> Option<BTreeSet<usize>> {
    let base = sides.iter().find(|side| side.row.method == "base")?;
    // A failure gives no information about the prompt.
    let left = |graded: &&&Graded| matches!(graded.answer.status, Status::BudgetExceeded | Status::NoSafeCandidate);
    let bad = base.answers.iter().filter(left);
    Some(bad.map(|graded| graded.prompt_id).collect())
}

fn mean_positions(side: &Side<'_>, places: &PromptIndex) -> f64 {
    let scored = figure("scored_positions").map(|figure| places.clusters(&side.answers, figure));
    scored.and_then(|clusters| clusters.mean()).unwrap_or(0.0)
}

fn column<'a>(
    model: &'a str,
    (base_fails, only): (bool, Option<&BTreeSet<usize>>),
    name: &'static str,
    sides: &[Side<'_>],
    places: &PromptIndex,
    resamples: &Resamples,
) -> Column<'a> {
    let kept = |graded: &&Graded| only.is_none_or(|ids| ids.contains(&graded.prompt_id));
    let curve = |side: &Side<'_>| {
        let answers: Vec<&Graded> = side.answers.iter().copied().filter(kept).collect();
        let none = (f64::NAN, Replicates::new());
        let (mean, replicates) = figure(name).map_or(none, |figure| places.replicates(&answers, figure, resamples));
        Curve { mean, replicates }
    };
    let prompts = only.map_or(places.len(), BTreeSet::len);
    Column { model, figure: name, base_fails, prompts, curves: sides.iter().map(curve).collect() }
}

impl Column<'_> {
    fn as_run(&self, sides: &[Side<'_>]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for a in 0..sides.len() {
            for b in a + 1..sides.len() {
                let (x, y) = (sides[a].row, sides[b].row);
                let equal = x.n.is_some() && x.n == y.n && x.budget == y.budget;
                let basis = if equal { Basis::EqualCandidates } else { Basis::AsRun };
                pairs.extend(self.pair(&x.label, &y.label, basis, &self.curves[a], &self.curves[b]));
            }
        }
        pairs
    }

    fn equal_positions(&self, sides: &[Side<'_>], positions: &[f64]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (a, side) in sides.iter().enumerate() {
            for family in families(sides, side.row) {
                let Some((low, high, weight)) = bracket(&family, positions, positions[a]) else { continue };
                let label = match low == high {
                    true => sides[low].row.label.clone(),
                    false => format!("{} .. {}", sides[low].row.label, sides[high].row.label),
                };
                let between = between(&self.curves[low], &self.curves[high], weight);
                pairs.extend(self.pair(&side.row.label, &label, Basis::EqualPositions, &self.curves[a], &between));
            }
        }
        pairs
    }

    fn pair(&self, a: &str, b: &str, basis: Basis, x: &Curve, y: &Curve) -> Option<Pair> {
        let difference = x.mean - y.mean;
        if difference.is_nan() {
            return None;
        }
        let mut replicates: Replicates = x.replicates.iter().zip(&y.replicates).map(|(x, y)| x - y).collect();
        let (low, high) = interval(&mut replicates, difference);
        Some(Pair {
            model: self.model.to_owned(),
            a: a.to_owned(),
            b: b.to_owned(),
            basis,
            base_fails: self.base_fails,
            figure: self.figure.to_owned(),
            prompts: self.prompts,
            difference,
            low,
            high,
        })
    }
}

/// The other methods at the same budget, each with all its numbers of candidates.
fn families(sides: &[Side<'_>], row: &Row) -> Vec<Vec<usize>> {
    let mut families: Vec<Vec<usize>> = Vec::new();
    let same = |x: &Row, y: &Row| x.method == y.method && x.lambda == y.lambda && x.budget == y.budget;
    for (at, side) in sides.iter().enumerate() {
        if side.row.budget != row.budget || same(side.row, row) {
            continue;
        }
        match families.iter_mut().find(|family| same(sides[family[0]].row, side.row)) {
            Some(family) => family.push(at),
            None => families.push(vec![at]),
        }
    }
    families
}

/// The two rows of a family between which `wanted` positions lie, and the weight of the second, in `[0, 1]`.
fn bracket(family: &[usize], positions: &[f64], wanted: f64) -> Option<(usize, usize, f64)> {
    if wanted <= 0.0 {
        return None;
    }
    let mut family: Vec<usize> = family.iter().copied().filter(|at| positions[*at] > 0.0).collect();
    family.sort_by(|a, b| positions[*a].total_cmp(&positions[*b]));
    let between = family.windows(2).find(|pair| positions[pair[0]] <= wanted && wanted <= positions[pair[1]]);
    if let Some(&[low, high]) = between {
        let (a, b) = (positions[low].ln(), positions[high].ln());
        let weight = if b > a { (wanted.ln() - a) / (b - a) } else { 0.0 };
        return Some((low, high, weight));
    }
    let near = |at: &&usize| (positions[**at] / wanted - 1.0).abs() <= NEAR;
    family.iter().find(near).map(|at| (*at, *at, 0.0))
}

fn between(low: &Curve, high: &Curve, weight: f64) -> Curve {
    let mix = |a: f64, b: f64| a + weight * (b - a);
    let replicates = low.replicates.iter().zip(&high.replicates).map(|(a, b)| mix(*a, *b)).collect();
    Curve { mean: mix(low.mean, high.mean), replicates }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_set_between_its_neighbours_on_a_logarithmic_scale() {
        let positions = [100.0, 400.0, 1600.0];
        let (low, high, weight) = bracket(&[2, 0, 1], &positions, 200.0).unwrap();
        assert!((low, high) == (0, 1) && (weight - 0.5).abs() < 1e-12, "{weight}");
        assert_eq!(bracket(&[0, 1, 2], &positions, 1600.0).map(|found| found.1), Some(2));
        assert_eq!(bracket(&[0, 1], &positions, 430.0), Some((1, 1, 0.0)), "within a tenth");
        assert_eq!(bracket(&[0, 1], &positions, 450.0), None);
        assert_eq!(bracket(&[0], &positions, 0.0), None, "nothing was scored");
        assert_eq!(bracket(&[0], &[0.0], 10.0), None);
    }
}
