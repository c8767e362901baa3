//! Every policy, with any memory, and its facts. Slow, simple, and without any tracker.

use crate::{Mdp, Trajectory, closed_form};
use inferenceguard_search::ConstraintMode;

/// What one policy brings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// The expected task cost, less that of the steps at which the penalty is due.
    pub task: f64,
    /// The expected number of steps at which the penalty is due.
    pub penalties: f64,
    /// Whether no trajectory breaks the budget: almost surely safe.
    pub safe: bool,
}

impl Worth {
    const NOTHING: Self = Self { task: 0.0, penalties: 0.0, safe: true };

    /// J_n: what is minimised with the penalty n.
    #[must_use]
    pub fn with_penalty(&self, n: f64) -> f64 {
        if self.penalties > 0.0 { self.task + n * self.penalties } else { self.task }
    }
}

/// All policies, by their worth. There are `actions ^ histories` of them.
#[must_use]
pub fn all(mdp: &Mdp) -> Vec<Worth> {
    from(mdp, 0, &Trajectory::default())
}

/// The least expected task cost among the safe policies; none if there is no safe policy.
#[must_use]
pub fn best_safe(policies: &[Worth]) -> Option<f64> {
    policies.iter().filter(|worth| worth.safe).map(|worth| worth.task).reduce(f64::min)
}

/// All ways to go on after this history.
fn from(mdp: &Mdp, state: usize, history: &Trajectory) -> Vec<Worth> {
    let mut policies = Vec::new();
    for outcomes in &mdp.states[state] {
        let mut partial = vec![Worth::NOTHING];
        for outcome in outcomes {
            let longer = history.then(mdp, outcome);
            let later = match outcome.next {
                Some(next) if longer.costs.len() < mdp.horizon => from(mdp, next, &longer),
                _ => vec![Worth::NOTHING],
            };
            let now = step(mdp, &longer, mdp.is_last(history.costs.len(), outcome));
            partial = product(&partial, &later, |a, b| a.and(outcome.probability, now, b));
        }
        policies.append(&mut partial);
    }
    policies
}

/// The newest step of a history on its own.
fn step(mdp: &Mdp, history: &Trajectory, last: bool) -> Worth {
    let broken = closed_form::broken(&mdp.constraint, &history.costs);
    let due = broken && (last || mdp.constraint.mode == ConstraintMode::Anytime);
    let task = history.tasks.last().copied().unwrap_or(0.0);
    Worth { task: if due { 0.0 } else { task }, penalties: f64::from(u8::from(due)), safe: !due }
}

impl Worth {
    fn and(&self, probability: f64, now: Self, later: &Self) -> Self {
        Self {
            task: self.task + probability * (now.task + later.task),
            penalties: self.penalties + probability * (now.penalties + later.penalties),
            safe: self.safe && now.safe && later.safe,
        }
    }
}

fn product<T>(left: &[T], right: &[T], join: impl Fn(&T, &T) -> T) -> Vec<T> {
    left.iter().flat_map(|a| right.iter().map(|b| join(a, b)).collect::<Vec<_>>()).collect()
}
