//! What a head learns, whatever is made of it: the price of every token, or the reward of an answer so far.
//!
//! | reward | fitted by |
//! |---|---|
//! | pairwise | −ln σ(x(better) − x(worse)), at an eighth, two eighths, … and all of the tokens of each answer |
//! | graded | cross-entropy of σ(x) and the grade, at every token; pairs beside grades as above |
//!
//! Pairs are Bradley and Terry's model of preferences, as reward models have it.
//! A reward is x at the newest token. It ranks beginnings of answers as well as whole ones, so it is fitted along the way, and not
//! at the end alone; where two answers begin with the same words, their difference is zero and teaches nothing.

use super::objective::{CostObjective, Form, Targets, by_token, soft};
use crate::fit::softplus;
use candle_core::{Result, Tensor};
use serde::Serialize;

/// At how many places along an answer pairs are compared.
pub(super) const MARKS: usize = 8;

/// What a reward learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RewardObjective {
    /// Which answer of a pair is better.
    Pairwise,
    /// How good an answer is.
    Graded,
}

impl RewardObjective {
    /// Its name, in options and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pairwise => "pairwise",
            Self::Graded => "graded",
        }
    }
}

/// What a head learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Prices.
    Cost(CostObjective),
    /// A reward.
    Reward(RewardObjective),
}

impl Aim {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cost(objective) => objective.name(),
            Self::Reward(objective) => objective.name(),
        }
    }

    /// The cost whose score is made of x in the same way: a reward is x itself.
    pub(super) fn cost(self) -> CostObjective {
        match self {
            Self::Cost(objective) => objective,
            Self::Reward(_) => CostObjective::Prefix,
        }
    }

    pub(super) fn form(self) -> Form {
        self.cost().form()
    }

    /// Whether labels of answers are learnt from, and not pairs alone.
    pub(super) fn uses_labels(self) -> bool {
        !matches!(self, Self::Cost(CostObjective::Pairwise) | Self::Reward(RewardObjective::Pairwise))
    }

    /// As a checkpoint names it.
    pub(super) fn id(self) -> String {
        match self {
            Self::Cost(objective) => format!("{objective:?}"),
            Self::Reward(objective) => format!("reward {objective:?}"),
        }
    }

    /// The loss of one answer with a label from 0 to 1.
    pub(super) fn label_loss(self, xs: &[f64], label: f64) -> f64 {
        self.cost().label_loss(xs, label)
    }

    /// The loss of a pair, the answer with the lower score first.
    pub(super) fn pair_loss(self, lower: &[f64], higher: &[f64]) -> f64 {
        let Self::Reward(_) = self else { return self.cost().pair_loss(lower, higher) };
        let at = |xs: &[f64], mark: usize| xs.get(place(xs.len(), mark)).copied().unwrap_or_default();
        (1..=MARKS).map(|mark| softplus(at(lower, mark) - at(higher, mark))).sum::<f64>() / MARKS as f64
    }

    /// The mean loss of a batch.
    pub(super) fn loss(self, xs: &Tensor, targets: &Targets) -> Result<Tensor> {
        match self {
            Self::Cost(objective) => objective.loss(xs, targets),
            Self::Reward(_) => reward_loss(xs, targets),
        }
    }
}

/// The token of an answer that the mark stands at, from 0; marks begin at 1.
pub(super) fn place(tokens: usize, mark: usize) -> usize {
    (mark * tokens).div_ceil(MARKS).saturating_sub(1)
}

fn reward_loss(xs: &Tensor, targets: &Targets) -> Result<Tensor> {
    let mut sum = (by_token(xs, targets)? * &targets.weights)?.sum_all()?;
    if let (Some((lower, higher, weights)), Some(marks)) = (&targets.pairs, &targets.marks) {
        let at = xs.unsqueeze(1)?.broadcast_mul(marks)?.sum(2)?;
        let behind = (at.index_select(lower, 0)? - at.index_select(higher, 0)?)?;
        sum = (sum + (soft(&behind)?.mean(1)? * weights)?.sum_all()?)?;
    }
    sum / targets.total
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn marks_lie_along_the_answer_and_the_last_one_at_its_end() {
        let all = |tokens| (1..=MARKS).map(|mark| place(tokens, mark)).collect::<Vec<_>>();
        assert_eq!(all(1), [0; MARKS]);
        assert_eq!(all(3), [0, 0, 1, 1, 1, 2, 2, 2]);
        assert_eq!(all(16), [1, 3, 5, 7, 9, 11, 13, 15]);
        assert_eq!(place(0, 8), 0);
    }

    #[test]
    fn the_loss_of_a_batch_is_that_of_its_grades_and_pairs() {
        let xs: [Vec<f64>; 3] = [vec![-2.0, 0.5, 1.0], vec![-3.0, -1.0], vec![2.0]];
        let (grades, weights) = ([1.0, 0.25, 0.0], [1.0, 2.0, 0.0]);
        let of = |values: Vec<f32>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        let padded = |pad: f32| {
            let row = |row: &Vec<f64>| (0..3).map(|at| row.get(at).map_or(pad, |x| *x as f32)).collect::<Vec<_>>();
            of(xs.iter().flat_map(row).collect(), &[3, 3])
        };
        let mut marks = vec![0.0; 3 * MARKS * 3];
        for (n, xs) in xs.iter().enumerate() {
            (1..=MARKS).for_each(|mark| marks[(n * MARKS + mark - 1) * 3 + place(xs.len(), mark)] = 1.0);
        }
        let narrow = |values: [f64; 3]| of(values.map(|value| value as f32).to_vec(), &[3]);
        let index = |at: u32| Tensor::new(&[at], &Device::Cpu).unwrap();
        let targets = Targets {
            there: of(vec![1., 1., 1., 1., 1., 0., 1., 0., 0.], &[3, 3]),
            last: of(vec![0., 0., 1., 0., 1., 0., 1., 0., 0.], &[3, 3]),
            marks: Some(of(marks, &[3, MARKS, 3])),
            harmful: narrow(grades),
            weights: narrow(weights),
            pairs: Some((index(1), index(2), of(vec![3.0], &[1]))),
            total: 6.0,
        };
        let aim = Aim::Reward(RewardObjective::Graded);
        let each = xs.iter().zip(grades).zip(weights);
        let labelled: f64 = each.map(|((xs, grade), weight)| weight * aim.label_loss(xs, grade)).sum();
        let expected = (labelled + 3.0 * aim.pair_loss(&xs[1], &xs[2])) / 6.0;
        for pad in [0.0, 7.0] {
            let found = f64::from(aim.loss(&padded(pad), &targets).unwrap().to_scalar::<f32>().unwrap());
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        // Half of the marks of the second answer are at its first token: its x is 5 below, then 3.
        let pair = (softplus(-5.0) + softplus(-3.0)) / 2.0;
        assert!((aim.pair_loss(&xs[1], &xs[2]) - pair).abs() < 1e-12);
    }
}
