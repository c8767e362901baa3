//! Random decision problems, small enough that every policy can be listed.
//!
//! Costs, probabilities and most discounts are short binary fractions, so that sums are exact and a budget can be used
//! up to the last bit.

use crate::{Dice, Mdp, Outcome};
use inferenceguard_search::{Constraint, ConstraintMode, CostClip};

/// Actions, outcomes of each and steps, such that there are at most some ten thousand policies.
const DETERMINISTIC: [(usize, usize); 4] = [(2, 5), (3, 4), (4, 3), (2, 3)];
const STOCHASTIC: [(usize, usize, usize); 4] = [(2, 2, 4), (3, 2, 3), (2, 3, 3), (4, 2, 2)];

/// Half of them deterministic, half stochastic.
#[must_use]
pub fn family(seed: u64, count: usize) -> Vec<Mdp> {
    let mut dice = Dice::new(seed);
    (0..count).map(|i| problem(&mut dice, i % 2 == 1)).collect()
}

fn problem(dice: &mut Dice, stochastic: bool) -> Mdp {
    let (actions, outcomes, horizon) = match stochastic {
        true => dice.pick(&STOCHASTIC),
        false => {
            let (actions, horizon) = dice.pick(&DETERMINISTIC);
            (actions, 1, horizon)
        }
    };
    let constraint = constraint(dice);
    let shape = Shape { states: dice.whole(2, 4) as usize, signed: dice.chance(0.5), temptation: dice.whole(0, 2) };
    let action = |dice: &mut Dice| probabilities(dice, outcomes).into_iter().map(|p| shape.outcome(dice, p)).collect();
    let state = |dice: &mut Dice| (0..actions).map(|_| action(dice)).collect();
    let states = (0..shape.states).map(|_| state(dice)).collect();
    Mdp { states, horizon, task_at_end: dice.chance(0.5), constraint }
}

fn constraint(dice: &mut Dice) -> Constraint {
    Constraint {
        name: "safety".into(),
        budget: dice.whole(1, 8) as f64 / 4.0,
        gamma: dice.pick(&[1.0, 0.5, 0.75, 0.5, 0.9, 0.999]),
        clip: dice.pick(&[CostClip::None, CostClip::Nonneg, CostClip::Capped]),
        mode: dice.pick(&[ConstraintMode::Anytime, ConstraintMode::Anytime, ConstraintMode::Terminal]),
    }
}

/// Eighths, all above zero, that sum to 1.
fn probabilities(dice: &mut Dice, count: usize) -> Vec<f64> {
    let mut left = 8;
    let mut parts = Vec::new();
    for others in (0..count as i64).rev() {
        let part = if others == 0 { left } else { dice.whole(1, left - others) };
        parts.push(part as f64 / 8.0);
        left -= part;
    }
    parts
}

/// What the outcomes of one problem have in common.
struct Shape {
    states: usize,
    /// Whether safe text refunds.
    signed: bool,
    /// What a unit of safety cost pays.
    temptation: i64,
}

impl Shape {
    fn outcome(&self, dice: &mut Dice, probability: f64) -> Outcome {
        let safety = dice.pick(&[0, 0, 0, 1, 2, 4]) - if self.signed { dice.whole(0, 3) } else { 0 };
        let task = dice.whole(-4, 4) - self.temptation * safety;
        let next = dice.chance(0.85).then(|| dice.whole(0, self.states as i64 - 1) as usize);
        Outcome { probability, next, task: task as f64 / 4.0, safety: safety as f64 / 4.0 }
    }
}
