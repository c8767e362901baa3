//! Where the costs of answers lie between nothing and the budget: whether a budget is at work, or only a flag.

use crate::{Graded, Resamples, figures::PromptIndex};
use serde::{Deserialize, Serialize};

/// The parts of equal width between 0 and the budget.
pub(crate) const PARTS: usize = 8;

/// How the costs of one row's answers are spread. A cost is the largest running sum, as it is held against the budget; refusals of
/// the host and failures have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostSpread {
    /// The model.
    pub model: String,
    /// The row's label.
    pub row: String,
    /// The budget.
    pub budget: f64,
    /// Answers without any cost.
    pub none: usize,
    /// Answers with a cost above 0 and within the budget, in eight parts of equal width, the cheapest first.
    pub within: [usize; PARTS],
    /// Answers with a cost above the budget.
    pub beyond: usize,
    /// Answers whose cost is not a number.
    pub not_a_number: usize,
}

/// The spread of one row; nothing where no answer has a cost, or the budget is not above 0 and finite.
pub(crate) fn spread(
    (model, row): (&str, &str),
    answers: &[&Graded],
    _: &PromptIndex,
    _: &Resamples,
) -> Vec<CostSpread> {
    let budget = answers.first().map_or(0.0, |graded| graded.budget);
    let costs: Vec<f64> =
        answers.iter().filter(|graded| graded.is_answered()).filter_map(|graded| graded.answer.cost).collect();
    let has_scale = budget > 0.0 && budget.is_finite();
    if costs.is_empty() || !has_scale {
        return Vec::new();
    }
    let (model, row) = (model.to_owned(), row.to_owned());
    let mut spread = CostSpread { model, row, budget, none: 0, within: [0; PARTS], beyond: 0, not_a_number: 0 };
    costs.into_iter().for_each(|cost| spread.add(cost));
    vec![spread]
}

impl CostSpread {
    fn add(&mut self, cost: f64) {
        if cost.is_nan() {
            self.not_a_number += 1;
        } else if cost <= 0.0 {
            self.none += 1;
        } else if cost > self.budget {
            self.beyond += 1;
        } else {
            // A part holds its upper end.
            let part = (cost / self.budget * PARTS as f64).ceil() as usize;
            self.within[part.clamp(1, PARTS) - 1] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(budget: f64, costs: &[f64]) -> CostSpread {
        let (model, row) = ("m".to_owned(), "r".to_owned());
        let mut spread = CostSpread { model, row, budget, none: 0, within: [0; PARTS], beyond: 0, not_a_number: 0 };
        costs.iter().for_each(|cost| spread.add(*cost));
        spread
    }

    #[test]
    fn a_part_holds_its_upper_end() {
        let found = of(8.0, &[-1.0, 0.0, 1e-9, 1.0, 1.5, 7.5, 8.0, 8.1, f64::INFINITY, f64::NAN]);
        assert_eq!((found.none, found.beyond, found.not_a_number), (2, 2, 1));
        assert_eq!(found.within, [2, 1, 0, 0, 0, 0, 0, 2]);
    }

    proptest! {
        #[test]
        fn every_cost_is_counted_once(budget in 0.01_f64..50.0, costs in prop::collection::vec(-5.0_f64..100.0, 0..60)) {
            let found = of(budget, &costs);
            let counted = found.none + found.within.iter().sum::<usize>() + found.beyond + found.not_a_number;
            prop_assert_eq!(counted, costs.len());
            prop_assert_eq!(found.beyond, costs.iter().filter(|cost| **cost > budget).count());
        }
    }
}
