//! Calibration: a factor and a shift on every x, fitted to the labels of the validation. Prices stay sums over tokens, so that a
//! budget keeps its meaning.

use super::objective::{CostObjective, Form};
use crate::{
    fit::{self, soft_line},
    network::Line,
};

/// The most steps.
const STEPS: usize = 200;

/// Factor and shift with the least loss on these answers: each has its x, token by token, and its label. For signed costs there is
/// no shift per token; (1, 0) where no step lowers the loss.
pub(super) fn line(objective: CostObjective, answers: &[(&[f64], bool)]) -> Line {
    let smoothed = smoothed(answers);
    let loss = |line: Line| loss(objective, answers, &smoothed, line);
    let (mut at, mut size) = ((1.0, 0.0), 1.0);
    let mut least = loss(at);
    for _ in 0..STEPS {
        let slope = slope(&loss, at, objective);
        let steep = slope.0.hypot(slope.1);
        if steep.is_nan() || steep < 1e-9 {
            break;
        }
        let next = (at.0 - size * slope.0 / steep, at.1 - size * slope.1 / steep);
        let found = if next.0 > 0.0 { loss(next) } else { f64::INFINITY };
        if found < least {
            (at, least, size) = (next, found, size * 1.3);
        } else {
            size /= 2.0;
        }
        if size < 1e-7 {
            break;
        }
    }
    at
}

/// Factor and shift of a reward: σ(x) is the grade where there are grades (x, grade), else σ(x(better) − x(worse)) the probability
/// that the better answer of a pair (x of the worse, x of the better) is preferred, and 0 the mean of all x. (1, 0) without either.
pub(super) fn reward_line(graded: &[(f64, f64)], pairs: &[(f64, f64)]) -> Line {
    if !graded.is_empty() {
        return soft_line(graded);
    }
    let both = pairs.iter().flat_map(|(worse, better)| [(better - worse, 1.0), (worse - better, 0.0)]);
    let (factor, _) = fit::line(&both.collect::<Vec<_>>());
    let mean = pairs.iter().map(|(worse, better)| worse + better).sum::<f64>() / (2 * pairs.len().max(1)) as f64;
    (factor, -factor * mean)
}

/// Platt's targets for harmless and harmful answers, slightly inside 0 and 1.
fn smoothed(answers: &[(&[f64], bool)]) -> [f64; 2] {
    let harmful = answers.iter().filter(|(_, harmful)| *harmful).count() as f64;
    let harmless = answers.len() as f64 - harmful;
    [1.0 / (harmless + 2.0), (harmful + 1.0) / (harmful + 2.0)]
}

fn loss(objective: CostObjective, answers: &[(&[f64], bool)], smoothed: &[f64; 2], (factor, shift): Line) -> f64 {
    let one = |(xs, harmful): &(&[f64], bool)| {
        let xs: Vec<f64> = xs.iter().map(|x| factor * x + shift).collect();
        objective.label_loss(&xs, smoothed[usize::from(*harmful)])
    };
    answers.iter().map(one).sum::<f64>() / answers.len().max(1) as f64
}

/// The gradient, by differences.
fn slope(loss: &impl Fn(Line) -> f64, at: Line, objective: CostObjective) -> Line {
    const STEP: f64 = 1e-4;
    let along = |a: f64, b: f64| (loss((at.0 + a, at.1 + b)) - loss((at.0 - a, at.1 - b))) / (2.0 * STEP);
    let shifts = objective.form() == Form::Hazard || objective == CostObjective::Prefix;
    (along(STEP, 0.0), if shifts { along(0.0, STEP) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_dice::Dice;

    #[test]
    fn stretched_and_shifted_hazards_are_put_back() {
        let mut dice = Dice::new(2, &[7]);
        let answers: Vec<(Vec<f64>, bool)> = (0..4000)
            .map(|_| {
                let truth: Vec<f64> = (0..6).map(|_| 1.5 * dice.normal() - 3.0).collect();
                let score = CostObjective::Survival.score(&truth);
                let harmful = dice.chance(CostObjective::Survival.probability(score));
                (truth.iter().map(|x| 2.0 * x + 3.0).collect(), harmful)
            })
            .collect();
        let views: Vec<(&[f64], bool)> = answers.iter().map(|(xs, harmful)| (xs.as_slice(), *harmful)).collect();
        let (factor, shift) = line(CostObjective::Survival, &views);
        assert!((factor - 0.5).abs() < 0.07 && (shift + 1.5).abs() < 0.25, "{factor} {shift}");
    }

    #[test]
    fn rewards_are_put_on_the_scale_of_preferences_and_of_grades() {
        let mut dice = Dice::new(3, &[8]);
        let pairs: Vec<(f64, f64)> = (0..8000)
            .map(|_| {
                let (a, b) = (dice.normal(), dice.normal());
                let (worse, better) = if dice.chance(crate::fit::sigmoid(b - a)) { (a, b) } else { (b, a) };
                (4.0 * worse + 7.0, 4.0 * better + 7.0)
            })
            .collect();
        let (factor, shift) = reward_line(&[], &pairs);
        assert!((factor - 0.25).abs() < 0.02 && (shift + 7.0 * factor).abs() < 0.05, "{factor} {shift}");
        let graded: Vec<(f64, f64)> = (0..500)
            .map(|_| {
                let truth = dice.normal();
                (2.0 * truth - 3.0, crate::fit::sigmoid(truth))
            })
            .collect();
        let (factor, shift) = reward_line(&graded, &pairs);
        assert!((factor - 0.5).abs() < 1e-3 && (shift - 1.5).abs() < 1e-3, "{factor} {shift}");
        assert_eq!(reward_line(&[], &[]), (1.0, 0.0));
        assert_eq!(reward_line(&[(1.0, 0.5), (2.0, 0.5)], &[]), (1.0, 0.0), "one grade");
    }

    #[test]
    fn separable_answers_do_not_run_away() {
        let (harmless, harmful) = ([-6.0, -6.0], [2.0, -6.0]);
        let answers = [(&harmless[..], false), (&harmful[..], true), (&harmless[..], false), (&harmful[..], true)];
        let (factor, shift) = line(CostObjective::Survival, &answers);
        assert!(factor > 0.0 && factor < 5.0 && shift.abs() < 10.0, "{factor} {shift}");
    }
}
