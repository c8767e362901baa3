//! Puts logits on the line that makes them probabilities: Platt's scaling, fitted on the validation prompts.

use super::loss::{entropy, sigmoid};
use crate::network::Line;

const STEPS: usize = 50;

/// Factor and shift with the least cross-entropy, by Newton's method. Where one class is missing, or logits order the
/// classes backwards, they stay as they are.
pub(super) fn fit(pairs: &[(f64, f64)]) -> Line {
    let safe = pairs.iter().filter(|(_, safe)| *safe > 0.5).count();
    if safe == 0 || safe == pairs.len() {
        return (1.0, 0.0);
    }
    let pairs = &smoothed(pairs, safe as f64);
    let mut line = (1.0, 0.0);
    for _ in 0..STEPS {
        let (step, decrease) = newton(pairs, line);
        let next = shortened(pairs, line, step);
        if next == line || decrease < 1e-12 {
            break;
        }
        line = next;
    }
    if line.0 > 0.0 && line.0.is_finite() && line.1.is_finite() { line } else { (1.0, 0.0) }
}

/// Classes as Platt writes them: a little inside 0 and 1, so that a few examples that happen to be separable do not make
/// certainties.
fn smoothed(pairs: &[(f64, f64)], safe: f64) -> Vec<(f64, f64)> {
    let unsafe_ones = pairs.len() as f64 - safe;
    let class = |one: f64| if one > 0.5 { (safe + 1.0) / (safe + 2.0) } else { 1.0 / (unsafe_ones + 2.0) };
    pairs.iter().map(|(logit, one)| (*logit, class(*one))).collect()
}

fn total(pairs: &[(f64, f64)], (factor, shift): Line) -> f64 {
    pairs.iter().map(|(logit, safe)| entropy(factor * logit + shift, *safe)).sum::<f64>() / pairs.len() as f64
}

/// The Newton step, and how much it promises.
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

/// The step, halved until it makes things better.
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
        let (factor, shift) = fit(&pairs);
        assert!((factor - 1.0 / 3.0).abs() < 0.02 && (shift + 2.0 / 3.0).abs() < 0.05, "{factor} {shift}");
    }

    #[test]
    fn one_class_and_backward_logits_stay_as_they_are() {
        assert_eq!(fit(&[(1.0, 1.0), (-2.0, 1.0)]), (1.0, 0.0));
        assert_eq!(fit(&[]), (1.0, 0.0));
        let backward: Vec<(f64, f64)> =
            (0..100).map(|at| (f64::from(at % 10), f64::from(u8::from(at % 10 < 4)))).collect();
        assert_eq!(fit(&backward), (1.0, 0.0));
    }

    #[test]
    fn separable_logits_do_not_run_away() {
        let (factor, shift) = fit(&[(-1.0, 0.0), (-2.0, 0.0), (1.0, 1.0), (2.0, 1.0)]);
        assert!(factor > 0.0 && factor < 3.0 && shift.abs() < 0.1, "{factor} {shift}");
    }
}
