//! Answers of networks that ran on another device: how near they are, each and in sum.

use crate::Wrong;
use inferenceguard_search::{Answer, Estimate, Need, PricedConstraint};
use std::collections::BTreeMap;

/// Whether two answers agree up to the rounding of a device; NaN is near nothing.
pub(super) fn near(recorded: &Answer, again: &Answer, tolerance: f64) -> bool {
    let close = |a: &f64, b: &f64| (a - b).abs() <= tolerance * (1.0 + a.abs());
    let all = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b));
    match (recorded, again) {
        (Answer::Priced(Ok(a)), Answer::Priced(Ok(b))) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| all(a, b)),
        (Answer::Estimated(Ok(a)), Answer::Estimated(Ok(b))) => {
            let row = |(a, b): (&Estimate, &Estimate)| all(&a.safe, &b.safe) && close(&a.cost_to_go, &b.cost_to_go);
            a.len() == b.len() && a.iter().zip(b).all(row)
        }
        _ => false,
    }
}

/// The deviations of prices, added up for each cost that a constraint bounds.
///
/// A beam is at most one row of each event, and discounts are at most 1. So the largest deviation of a row, summed over all
/// events, bounds the deviation of every sum that the record claims.
pub(super) struct Drift<'a> {
    /// By cost: the constraint with the least room, the room, and the deviation so far.
    costs: BTreeMap<&'a str, (&'a str, f64, f64)>,
}

impl<'a> Drift<'a> {
    pub(super) fn new(constraints: &'a [PricedConstraint], tolerance: f64) -> Self {
        let mut costs = BTreeMap::new();
        for PricedConstraint { constraint, cost, .. } in constraints {
            let room = tolerance * (1.0 + constraint.budget);
            let least = costs.entry(cost.as_str()).or_insert((constraint.name.as_str(), room, 0.0));
            if room < least.1 {
                *least = (&constraint.name, room, 0.0);
            }
        }
        Self { costs }
    }

    /// Adds the deviation of one event.
    ///
    /// # Errors
    /// [`Wrong::Drift`] where all together are more than a constraint allows.
    pub(super) fn add(&mut self, event: usize, need: &Need, recorded: &Answer, again: &Answer) -> Result<(), Wrong> {
        let (Need::Price { cost, .. } | Need::PriceTail { cost, .. }) = need else { return Ok(()) };
        let Some((constraint, room, sum)) = self.costs.get_mut(cost.as_str()) else { return Ok(()) };
        *sum += largest(recorded, again);
        if *sum <= *room {
            return Ok(());
        }
        let (cost, constraint) = (cost.clone(), (*constraint).to_owned());
        Err(Wrong::Drift { event, cost, constraint, found: *sum, allowed: *room })
    }
}

/// The largest deviation of a row: the sum over its prices.
fn largest(recorded: &Answer, again: &Answer) -> f64 {
    let (Answer::Priced(Ok(a)), Answer::Priced(Ok(b))) = (recorded, again) else { return f64::INFINITY };
    let apart = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>();
    a.iter().zip(b).map(apart).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_search::{Batch, Constraint, ConstraintMode, CostClip, Granularity};

    fn priced(price: f64) -> Answer {
        Answer::Priced(Ok(vec![vec![price]]))
    }

    #[test]
    fn numbers_of_another_device_agree_up_to_its_rounding_and_nan_never() {
        assert!(near(&priced(1.0), &priced(1.001), 1e-3));
        assert!(!near(&priced(1.0), &priced(1.01), 1e-3) && !near(&priced(1.0), &priced(1.0 + 1e-12), 0.0));
        assert!(!near(&priced(f64::NAN), &priced(f64::NAN), 1e-3));
        let estimated = |safe: Vec<f64>| Answer::Estimated(Ok(vec![Estimate { safe, cost_to_go: 2.0 }]));
        assert!(near(&estimated(vec![0.5]), &estimated(vec![0.5001]), 1e-3));
        assert!(!near(&estimated(vec![0.5]), &estimated(vec![0.5, 0.5]), 1e-3), "another number of constraints");
        assert!(!near(&priced(1.0), &estimated(vec![1.0]), 1.0), "another answer");
    }

    fn constraint(name: &str, budget: f64) -> PricedConstraint {
        let (clip, mode) = (CostClip::Capped, ConstraintMode::Anytime);
        let constraint = Constraint { name: name.to_owned(), budget, gamma: 1.0, clip, mode };
        PricedConstraint { constraint, cost: "probe".to_owned(), granularity: Granularity::Token }
    }

    fn price(cost: &str) -> Need {
        Need::Price { cost: cost.to_owned(), batch: Batch::default() }
    }

    #[test]
    fn what_is_near_each_time_does_not_add_up_beyond_the_smallest_budget() {
        let constraints = [constraint("wide", 99.0), constraint("narrow", 1.0)];
        let mut drift = Drift::new(&constraints, 1e-3);
        // Two rows of one event are two beams: the larger deviation of 9e-4 counts, and two of those fit 1e-3 (1 + 1).
        let event = |prices: [f64; 2]| Answer::Priced(Ok(prices.map(|price| vec![price]).to_vec()));
        let (recorded, again) = (event([1.0, 1.0]), event([1.0009, 1.0008]));
        assert!(near(&recorded, &again, 1e-3));
        assert_eq!(drift.add(0, &price("probe"), &recorded, &again), Ok(()));
        assert_eq!(drift.add(1, &price("probe"), &recorded, &again), Ok(()));
        assert_eq!(drift.add(2, &price("task"), &priced(1.0), &priced(2.0)), Ok(()), "no constraint bounds it");
        let wrong = drift.add(3, &price("probe"), &recorded, &again).unwrap_err();
        assert!(matches!(&wrong, Wrong::Drift { event: 3, constraint, .. } if constraint == "narrow"), "{wrong}");
    }

    #[test]
    fn the_tokens_of_a_row_add_up_and_nothing_fits_a_budget_that_is_no_number() {
        let row = |price: f64| Answer::Priced(Ok(vec![vec![price; 30]]));
        let constraints = [constraint("harm", 9.0)];
        let mut drift = Drift::new(&constraints, 1e-3);
        assert!(near(&row(1.0), &row(1.0005), 1e-3));
        assert!(drift.add(0, &price("probe"), &row(1.0), &row(1.0005)).is_err(), "30 times 5e-4 is more than 1e-2");
        let constraints = [constraint("harm", f64::NAN)];
        assert!(Drift::new(&constraints, 1e-3).add(0, &price("probe"), &row(1.0), &row(1.0005)).is_err());
    }
}
