//! How the optimal policy of a finite penalty changes as the penalty grows.

use crate::{Augmented, Facts, Mdp, Penalty, closed_form};
use inferenceguard_guest::{RoleError, Tracker};

/// All problems at one penalty.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// n / C: the penalty in units of the largest task cost of each problem.
    pub ratio: f64,
    /// P(unsafe) of the optimal policy, averaged over the problems.
    pub mean: f64,
    /// The largest P(unsafe) of any problem.
    pub largest: f64,
    /// 2C/n, at most 1: what the largest can be.
    pub bound: f64,
    /// The largest P(unsafe) with a discounted penalty, for which the bound does not hold.
    pub discounted: f64,
    /// (J_∞ − J_n) / C, averaged: how far the optimum is from that of the infinite penalty.
    pub gap: f64,
    /// The share of problems whose optimal policy is safe.
    pub safe: f64,
}

/// One row per ratio, over those problems that have a safe policy, and an unsafe policy that is better while the penalty is
/// small.
///
/// # Errors
/// When the tracker refuses.
pub fn sweep<T: Tracker>(problems: &[Mdp], tracker: &T, ratios: &[f64]) -> Result<Vec<Row>, RoleError> {
    let sized = problems.iter().map(|mdp| (mdp, Facts::of(mdp)));
    let sized = sized.filter(|(_, facts)| facts.threshold().is_some_and(|n| n > 0.0));
    let sized: Vec<(&Mdp, f64)> = sized.map(|(mdp, facts)| (mdp, facts.size)).collect();
    ratios.iter().map(|ratio| row(&sized, tracker, *ratio)).collect()
}

fn row<T: Tracker>(problems: &[(&Mdp, f64)], tracker: &T, ratio: f64) -> Result<Row, RoleError> {
    let mut row =
        Row { ratio, mean: 0.0, largest: 0.0, bound: (2.0 / ratio).min(1.0), discounted: 0.0, gap: 0.0, safe: 0.0 };
    let share = 1.0 / problems.len() as f64;
    for (mdp, size) in problems {
        let ours = Augmented::new(mdp, tracker, Penalty::OURS);
        let (broken, value) = broken(mdp, &ours, ratio * size)?;
        row.mean += share * broken;
        row.largest = row.largest.max(broken);
        row.safe += if broken == 0.0 { share } else { 0.0 };
        row.gap += share * (ours.solve(f64::INFINITY)?.value - value) / size;
        let discounted = Augmented::new(mdp, tracker, Penalty { discounted: true, ..Penalty::OURS });
        row.discounted = row.discounted.max(self::broken(mdp, &discounted, ratio * size)?.0);
    }
    Ok(row)
}

/// P(unsafe) of the optimal policy, and its value.
fn broken<T: Tracker>(mdp: &Mdp, problem: &Augmented<'_, T>, n: f64) -> Result<(f64, f64), RoleError> {
    let solution = problem.solve(n)?;
    let played = problem.play(&solution)?;
    let broken = played.iter().filter(|one| closed_form::broken(&mdp.constraint, &one.costs));
    Ok((broken.map(|one| one.probability).sum(), solution.value))
}
