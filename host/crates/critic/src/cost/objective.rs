//! What a head learns from answers as a whole: its output x at every token is fitted to labels of answers, or to pairs of them.
//!
//! | objective | price of a token | an answer's score | fitted by |
//! |---|---|---|---|
//! | survival | ln(1 + e^x) = −ln(1 − h), with the hazard h = 1 / (1 + e^−x) | C = Σ prices; P(harmful) = 1 − Π(1 − h) = 1 − e^−C | cross-entropy of P and the label |
//! | pairwise | the same | C | −ln σ(C(more harmful) − C(less harmful)), pairs only |
//! | prefix | x | x at the last token | cross-entropy of σ(x) and the label, at every token |
//! | signed | x | S = Σ x | cross-entropy of σ(S) and the label |
//!
//! Survival is a noisy-or over tokens (multiple instance learning); prefix is how Beaver's cost models read an answer, and signed how
//! the paper sums costs. Pairs beside labels count as in the second row, by the objective's own score.

use crate::fit::{entropy, sigmoid, softplus};
use candle_core::{Result, Tensor};
use serde::Serialize;

/// What a head learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CostObjective {
    /// A hazard at every token.
    Survival,
    /// The same hazards, from pairs alone.
    Pairwise,
    /// The score of every beginning of an answer.
    Prefix,
    /// Costs of either sign.
    Signed,
}

/// How a price follows from x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// ln(1 + e^x).
    Hazard,
    /// x.
    Linear,
}

/// The least probability that a logarithm is taken of.
const LEAST: f64 = 1e-6;

impl CostObjective {
    /// Its name, in options and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Survival => "survival",
            Self::Pairwise => "pairwise",
            Self::Prefix => "prefix",
            Self::Signed => "signed",
        }
    }

    /// How its prices follow from x.
    pub(super) fn form(self) -> Form {
        if matches!(self, Self::Survival | Self::Pairwise) { Form::Hazard } else { Form::Linear }
    }

    /// The score of an answer from its x, token by token.
    pub(super) fn score(self, xs: &[f64]) -> f64 {
        match self {
            Self::Survival | Self::Pairwise => xs.iter().map(|x| softplus(*x)).sum(),
            Self::Prefix => xs.last().copied().unwrap_or_default(),
            Self::Signed => xs.iter().sum(),
        }
    }

    /// The modelled probability that an answer of this score is harmful.
    pub(super) fn probability(self, score: f64) -> f64 {
        match self.form() {
            Form::Hazard => -(-score).exp_m1(),
            Form::Linear => sigmoid(score),
        }
    }

    /// The loss of one answer with a label.
    pub(super) fn label_loss(self, xs: &[f64], harmful: f64) -> f64 {
        match self {
            Self::Survival | Self::Pairwise => {
                let score = self.score(xs);
                (1.0 - harmful) * score - harmful * (self.probability(score) + LEAST).ln()
            }
            Self::Prefix => xs.iter().map(|x| entropy(*x, harmful)).sum::<f64>() / xs.len().max(1) as f64,
            Self::Signed => entropy(self.score(xs), harmful),
        }
    }

    /// The loss of a pair.
    pub(super) fn pair_loss(self, better: &[f64], worse: &[f64]) -> f64 {
        softplus(self.score(better) - self.score(worse))
    }

    /// What a budget is charged by an answer: the largest sum that its beginnings reach, negative costs as `capped` takes them.
    pub(super) fn spent(self, xs: &[f64]) -> f64 {
        if self.form() == Form::Hazard {
            return self.score(xs);
        }
        let add = |(sum, most): (f64, f64), x: &f64| {
            let sum = (sum + x).max(0.0);
            (sum, most.max(sum))
        };
        xs.iter().fold((0.0, 0.0), add).1
    }
}

impl CostObjective {
    /// The largest modelled probability of harm that the answer's beginnings reach, as policies compare it with a threshold:
    /// 1 − e^−C, at least 0, with C the sum of the prices so far.
    pub(super) fn reached(self, xs: &[f64]) -> f64 {
        let price = |x: &f64| if self.form() == Form::Hazard { softplus(*x) } else { *x };
        let add = |(sum, most): (f64, f64), x: &f64| {
            let sum = sum + price(x);
            (sum, if sum > most || sum.is_nan() { sum } else { most })
        };
        let (_, most) = xs.iter().fold((0.0, 0.0), add);
        -(-most).exp_m1()
    }
}

/// A batch of answers: x and the weight of every token are `[answers, tokens]`, the weights 1 for a token and 0 beyond the end.
pub(super) struct Targets {
    pub(super) there: Tensor,
    /// 1 at the last token of each answer.
    pub(super) last: Tensor,
    /// `[answers, marks, tokens]`: 1 at each mark, for rewards.
    pub(super) marks: Option<Tensor>,
    /// `[answers]`: the label, and how much it counts.
    pub(super) harmful: Tensor,
    pub(super) weights: Tensor,
    /// `[pairs]`: places in the batch, the answer with the lower score first, and how much each counts. None without pairs.
    pub(super) pairs: Option<(Tensor, Tensor, Tensor)>,
    /// The sum of all weights.
    pub(super) total: f64,
}

impl CostObjective {
    /// The mean loss of a batch.
    pub(super) fn loss(self, xs: &Tensor, targets: &Targets) -> Result<Tensor> {
        let scores = self.scores(xs, targets)?;
        let labelled = match self {
            Self::Survival | Self::Pairwise => {
                let survived = scores.neg()?.exp()?;
                let entropy = ((survived.neg()? + (1.0 + LEAST))?.log()? * &targets.harmful)?;
                let harmless = (targets.harmful.neg()? + 1.0)?;
                ((harmless * &scores)? - entropy)?
            }
            Self::Prefix => by_token(xs, targets)?,
            Self::Signed => (soft(&scores)? - (&scores * &targets.harmful)?)?,
        };
        let mut sum = (labelled * &targets.weights)?.sum_all()?;
        if let Some((better, worse, weights)) = &targets.pairs {
            let behind = (scores.index_select(better, 0)? - scores.index_select(worse, 0)?)?;
            sum = (sum + (soft(&behind)? * weights)?.sum_all()?)?;
        }
        sum / targets.total
    }

    fn scores(self, xs: &Tensor, targets: &Targets) -> Result<Tensor> {
        match self {
            Self::Survival | Self::Pairwise => (soft(xs)? * &targets.there)?.sum(1),
            Self::Prefix => (xs * &targets.last)?.sum(1),
            Self::Signed => (xs * &targets.there)?.sum(1),
        }
    }
}

/// `[answers]`: the cross-entropy of σ(x) and the label, averaged over the tokens of each answer.
pub(super) fn by_token(xs: &Tensor, targets: &Targets) -> Result<Tensor> {
    let each = (soft(xs)? - xs.broadcast_mul(&targets.harmful.unsqueeze(1)?)?)?;
    (each * &targets.there)?.sum(1)? / targets.there.sum(1)?
}

/// ln(1 + e^x) without overflow.
pub(super) fn soft(xs: &Tensor) -> Result<Tensor> {
    xs.relu()? + (xs.abs()?.neg()?.exp()? + 1.0)?.log()?
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const ALL: [CostObjective; 4] =
        [CostObjective::Survival, CostObjective::Pairwise, CostObjective::Prefix, CostObjective::Signed];

    #[test]
    fn the_loss_of_a_batch_is_that_of_its_answers() {
        let xs = [vec![-2.0, 0.5, 1.0], vec![-3.0, -1.0], vec![2.0]];
        let (harmful, weights) = ([1.0, 0.0, 1.0], [1.0, 2.0, 0.5]);
        let of = |values: Vec<f32>, shape: &[usize]| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        let padded = |pad: f32| {
            let row = |row: &Vec<f64>| (0..3).map(|at| row.get(at).map_or(pad, |x| *x as f32)).collect::<Vec<_>>();
            of(xs.iter().flat_map(row).collect(), &[3, 3])
        };
        let (there, last) = (
            of(vec![1., 1., 1., 1., 1., 0., 1., 0., 0.], &[3, 3]),
            of(vec![0., 0., 1., 0., 1., 0., 1., 0., 0.], &[3, 3]),
        );
        let narrow = |values: [f64; 3]| of(values.map(|value| value as f32).to_vec(), &[3]);
        let index = |at: u32| Tensor::new(&[at], &Device::Cpu).unwrap();
        let targets = Targets {
            there,
            last,
            marks: None,
            harmful: narrow(harmful),
            weights: narrow(weights),
            pairs: Some((index(1), index(2), of(vec![3.0], &[1]))),
            total: 6.5,
        };
        for objective in ALL {
            let each = xs.iter().zip(harmful).zip(weights);
            let labelled: f64 = each.map(|((xs, harmful), weight)| weight * objective.label_loss(xs, harmful)).sum();
            let expected = (labelled + 3.0 * objective.pair_loss(&xs[1], &xs[2])) / 6.5;
            for pad in [0.0, 7.0] {
                let found = f64::from(objective.loss(&padded(pad), &targets).unwrap().to_scalar::<f32>().unwrap());
                assert!((found - expected).abs() < 1e-5, "{objective:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn survival_is_the_product_over_tokens() {
        let xs = [-1.0, 0.3, -4.0];
        let harmless: f64 = xs.iter().map(|x: &f64| 1.0 - 1.0 / (1.0 + (-x).exp())).product();
        let score = CostObjective::Survival.score(&xs);
        assert!((CostObjective::Survival.probability(score) - (1.0 - harmless)).abs() < 1e-12);
        assert!((score + harmless.ln()).abs() < 1e-12);
    }

    #[test]
    fn an_answer_reaches_its_likeliest_harm_on_the_way() {
        let hazards = [-1.0, 0.3, -4.0];
        let whole = CostObjective::Survival.probability(CostObjective::Survival.score(&hazards));
        assert!((CostObjective::Survival.reached(&hazards) - whole).abs() < 1e-12);
        // Sums of -1, 1 and 0.5: refunds count, as they do where a policy sums raw costs.
        let reached = CostObjective::Signed.reached(&[-1.0, 2.0, -0.5]);
        assert!((reached - (1.0 - (-1.0_f64).exp())).abs() < 1e-12, "{reached}");
        assert_eq!((CostObjective::Signed.reached(&[-1.0]), CostObjective::Survival.reached(&[])), (0.0, 0.0));
        assert!(CostObjective::Signed.reached(&[f64::NAN, 5.0]).is_nan());
        assert_eq!(CostObjective::Survival.reached(&[f64::INFINITY]), 1.0);
    }

    #[test]
    fn signed_costs_cannot_be_banked() {
        assert_eq!(CostObjective::Signed.spent(&[-5.0, 2.0, 1.0, -2.0, 1.5]), 3.0);
        assert_eq!(CostObjective::Signed.spent(&[-1.0]), 0.0);
    }
}
