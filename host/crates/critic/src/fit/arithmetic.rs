//! The arithmetic of a training: the loss, the scaling of inputs, and the calibration of logits.
//!
//! The loss is the cross-entropy of every logit, and the squared error of the scaled value, averaged over examples. No class is
//! weighted: cross-entropy is least at the true probabilities however rare a class is, so nothing has to be corrected later. A
//! rare class is helped by starting at the base rate instead.

use crate::{
    error,
    network::{Line, Scaling},
    objective::{Example, Inputs},
};
use candle_core::{Result, Tensor};

/// The loss of a batch: outputs `[rows, logits + 1]`, `safe [rows, logits]` of 0 and 1, `values [rows, 1]`, scaled.
pub(super) fn loss(outputs: &Tensor, safe: Option<&Tensor>, values: &Tensor) -> Result<Tensor> {
    let logits = outputs.dim(1)? - 1;
    let squares = outputs.narrow(1, logits, 1)?.sub(values)?.sqr()?.mean_all()?;
    let Some(safe) = safe else { return Ok(squares) };
    let found = outputs.narrow(1, 0, logits)?;
    // max(x, 0) - x y + ln(1 + e^-|x|): the cross-entropy without overflow.
    let tail = (found.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let entropy = ((found.relu()? - (&found * safe)?)? + tail)?;
    entropy.sum(1)?.mean_all()?.add(&squares)
}

/// The cross-entropy of one logit, in nats.
pub(crate) fn entropy(logit: f64, safe: f64) -> f64 {
    logit.max(0.0) - logit * safe + (-logit.abs()).exp().ln_1p()
}

/// ln(1 + e^x), without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e^-x).
pub(crate) fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// A running mean and sum of squared deviations.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let before = value - self.mean;
        self.mean += before / self.count;
        self.squares += before * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count.max(1.0)).sqrt()
    }

    /// Mean, and a deviation of at least `least`; 1 if no number varies.
    fn scale(&self, least: f64) -> (f64, f64) {
        let deviation = self.deviation().max(least);
        (self.mean, if deviation > 0.0 { deviation } else { 1.0 })
    }
}

/// The scaling of these examples. The deviation of a number counts as at least a thousandth of the average deviation, so that
/// numbers that hardly vary are not amplified.
pub(super) fn measure(examples: &[Example], inputs: &Inputs<'_>) -> error::Result<Scaling> {
    let mut columns = vec![Moments::default(); inputs.width()];
    let (mut value, mut row) = (Moments::default(), Vec::new());
    for example in examples {
        row.clear();
        inputs.write(example, &mut row)?;
        columns.iter_mut().zip(&row).for_each(|(column, number)| column.add(f64::from(*number)));
        value.add(example.value);
    }
    let average = columns.iter().map(Moments::deviation).sum::<f64>() / columns.len().max(1) as f64;
    Ok(Scaling { inputs: columns.iter().map(|one| one.scale(average / 1000.0)).collect(), value: value.scale(0.0) })
}

/// The most Newton steps.
const STEPS: usize = 50;

/// Factor and shift with the least cross-entropy, by Newton's method; (1, 0) if one class is missing, or if logits order the
/// classes backwards.
pub(crate) fn line(pairs: &[(f64, f64)]) -> Line {
    let safe = pairs.iter().filter(|(_, safe)| *safe > 0.5).count();
    if safe == 0 || safe == pairs.len() {
        return (1.0, 0.0);
    }
    fitted(&smoothed(pairs, safe as f64))
}

/// As [`line`] for targets from 0 to 1, which are taken as they are.
pub(crate) fn soft_line(pairs: &[(f64, f64)]) -> Line {
    let vary = pairs.windows(2).any(|two| two[0].1 != two[1].1);
    if vary { fitted(pairs) } else { (1.0, 0.0) }
}

/// The line of the least cross-entropy.
fn fitted(pairs: &[(f64, f64)]) -> Line {
    let mut found = (1.0, 0.0);
    for _ in 0..STEPS {
        let (step, decrease) = newton(pairs, found);
        let next = shortened(pairs, found, step);
        if next == found || decrease < 1e-12 {
            break;
        }
        found = next;
    }
    if found.0 > 0.0 && found.0.is_finite() && found.1.is_finite() { found } else { (1.0, 0.0) }
}

/// Platt's targets: slightly inside 0 and 1, so that a few examples that happen to be separable do not lead to certainties.
fn smoothed(pairs: &[(f64, f64)], safe: f64) -> Vec<(f64, f64)> {
    let unsafe_ones = pairs.len() as f64 - safe;
    let class = |one: f64| if one > 0.5 { (safe + 1.0) / (safe + 2.0) } else { 1.0 / (unsafe_ones + 2.0) };
    pairs.iter().map(|(logit, one)| (*logit, class(*one))).collect()
}

fn total(pairs: &[(f64, f64)], (factor, shift): Line) -> f64 {
    pairs.iter().map(|(logit, safe)| entropy(factor * logit + shift, *safe)).sum::<f64>() / pairs.len() as f64
}

/// The Newton step, and the decrease that it predicts.
fn newton(pairs: &[(f64, f64)], (factor, shift): Line) -> (Line, f64) {
    let (mut g, mut h) = ((0.0, 0.0), (1e-9, 0.0, 1e-9));
    for (logit, safe) in pairs {
        let p = sigmoid(factor * logit + shift);
        let (error, weight) = (p - safe, p * (1.0 - p));
        g = (g.0 + error * logit, g.1 + error);
        h = (h.0 + weight * logit * logit, h.1 + weight * logit, h.2 + weight);
    }
    let determinant = h.0 * h.2 - h.1 * h.1;
    if determinant <= 0.0 {
        return ((0.0, 0.0), 0.0);
    }
    let step = (-(h.2 * g.0 - h.1 * g.1) / determinant, -(h.0 * g.1 - h.1 * g.0) / determinant);
    (step, -(g.0 * step.0 + g.1 * step.1) / pairs.len() as f64)
}

/// The step, halved until the cross-entropy falls.
fn shortened(pairs: &[(f64, f64)], line: Line, step: Line) -> Line {
    let before = total(pairs, line);
    let at = |part: f64| (line.0 + part * step.0, line.1 + part * step.1);
    let parts = (0..30).map(|halvings| 0.5f64.powi(halvings));
    parts.map(at).find(|next| total(pairs, *next) < before).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_dice::Dice;

    #[test]
    fn stretched_and_shifted_logits_are_put_back() {
        let mut dice = Dice::new(3, &[1]);
        let pairs: Vec<(f64, f64)> = (0..20_000)
            .map(|_| {
                let truth = 1.5 * dice.normal() - 1.0;
                (3.0 * truth + 2.0, f64::from(u8::from(dice.chance(sigmoid(truth)))))
            })
            .collect();
        let (factor, shift) = line(&pairs);
        assert!((factor - 1.0 / 3.0).abs() < 0.02 && (shift + 2.0 / 3.0).abs() < 0.05, "{factor} {shift}");
    }

    #[test]
    fn one_class_and_backward_logits_stay_as_they_are() {
        assert_eq!(line(&[(1.0, 1.0), (-2.0, 1.0)]), (1.0, 0.0));
        assert_eq!(line(&[]), (1.0, 0.0));
        let backward: Vec<(f64, f64)> =
            (0..100).map(|at| (f64::from(at % 10), f64::from(u8::from(at % 10 < 4)))).collect();
        assert_eq!(line(&backward), (1.0, 0.0));
    }

    #[test]
    fn separable_logits_do_not_run_away() {
        let (factor, shift) = line(&[(-1.0, 0.0), (-2.0, 0.0), (1.0, 1.0), (2.0, 1.0)]);
        assert!(factor > 0.0 && factor < 3.0 && shift.abs() < 0.1, "{factor} {shift}");
    }
}
