//! The augmented problem: state and budget state together, and the penalty n in place of the task cost where the budget
//! is gone. Paper: section 3. Solved by dynamic programming over (step, state, budget state), which forgets the history.

use crate::{Mdp, Outcome, Trajectory, convert::guest_constraint};
use inferenceguard_guest::{BudgetState, Constraint, ConstraintMode, RoleError, Tracked, Tracker};
use std::collections::HashMap;

/// Which budget state decides whether the penalty is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charged {
    /// The one after the step: a violation by the last token is not free.
    Next,
    /// The one before it.
    Current,
}

/// How the penalty is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Penalty {
    /// By which budget state.
    pub on: Charged,
    /// Whether it is discounted as costs are.
    pub discounted: bool,
}

impl Penalty {
    /// As this project charges it: on the next state, undiscounted.
    pub const OURS: Self = Self { on: Charged::Next, discounted: false };
}

/// A problem with a tracker and a penalty rule.
#[derive(Debug)]
pub struct Augmented<'a, T> {
    mdp: &'a Mdp,
    tracker: &'a T,
    penalty: Penalty,
    constraint: Constraint,
}

/// An optimal policy, and its value.
#[derive(Debug)]
pub struct Solution {
    /// J_n of the optimal policy; infinite if every policy pays an infinite penalty.
    pub value: f64,
    choices: HashMap<Key, (f64, usize)>,
}

#[derive(Debug, Clone)]
struct Node {
    step: usize,
    state: usize,
    budget: BudgetState,
    safe: bool,
}

type Key = (usize, usize, bool, Vec<u64>);

impl Node {
    fn key(&self) -> Key {
        let numbers = [self.budget.z].into_iter().chain(self.budget.memory.iter().copied());
        (self.step, self.state, self.safe, numbers.map(f64::to_bits).collect())
    }
}

/// What one step costs.
#[derive(Debug, Clone, Copy)]
enum Charge {
    Task(f64),
    /// This multiple of n.
    Penalty(f64),
}

impl Charge {
    fn with_penalty(self, n: f64) -> f64 {
        match self {
            Self::Task(cost) => cost,
            Self::Penalty(factor) => factor * n,
        }
    }
}

impl<'a, T: Tracker> Augmented<'a, T> {
    /// The augmented form of a problem.
    pub fn new(mdp: &'a Mdp, tracker: &'a T, penalty: Penalty) -> Self {
        Self { mdp, tracker, penalty, constraint: guest_constraint(&mdp.constraint) }
    }

    /// An optimal policy for the penalty `n`, which may be infinite.
    ///
    /// # Errors
    /// When the tracker refuses.
    pub fn solve(&self, n: f64) -> Result<Solution, RoleError> {
        let mut choices = HashMap::new();
        let value = self.value(&self.start()?, n, &mut choices)?;
        Ok(Solution { value, choices })
    }

    /// All trajectories of an optimal policy.
    ///
    /// # Errors
    /// When the tracker refuses.
    pub fn play(&self, solution: &Solution) -> Result<Vec<Trajectory>, RoleError> {
        let mut done = Vec::new();
        let mut open = vec![(self.start()?, Trajectory::default())];
        while let Some((node, so_far)) = open.pop() {
            let action = solution.choices.get(&node.key()).map_or(0, |(_, action)| *action);
            for outcome in &self.mdp.states[node.state][action] {
                let longer = so_far.then(self.mdp, outcome);
                match self.step(&node, outcome)?.1 {
                    Some(next) => open.push((next, longer)),
                    None => done.push(longer),
                }
            }
        }
        Ok(done)
    }

    fn start(&self) -> Result<Node, RoleError> {
        Ok(Node { step: 0, state: 0, budget: self.tracker.start(&self.constraint)?, safe: true })
    }

    fn value(&self, node: &Node, n: f64, choices: &mut HashMap<Key, (f64, usize)>) -> Result<f64, RoleError> {
        let key = node.key();
        if let Some((value, _)) = choices.get(&key) {
            return Ok(*value);
        }
        let mut best = (f64::INFINITY, 0);
        for (action, outcomes) in self.mdp.states[node.state].iter().enumerate() {
            let mut value = 0.0;
            for outcome in outcomes {
                let (charge, next) = self.step(node, outcome)?;
                let later = next.map_or(Ok(0.0), |next| self.value(&next, n, choices))?;
                value += outcome.probability * (charge.with_penalty(n) + later);
            }
            best = if value < best.0 { (value, action) } else { best };
        }
        choices.insert(key, best);
        Ok(best.0)
    }

    fn step(&self, node: &Node, outcome: &Outcome) -> Result<(Charge, Option<Node>), RoleError> {
        let last = self.mdp.is_last(node.step, outcome);
        let row = Tracked { state: node.budget.clone(), costs: vec![outcome.safety], ended: last };
        let after = self.tracker.advance(&self.constraint, row)?;
        let safe = if self.penalty.on == Charged::Next { after.safe } else { node.safe };
        let factor = if self.penalty.discounted { self.mdp.discount(node.step) } else { 1.0 };
        let due = !safe && (last || self.constraint.mode == ConstraintMode::Anytime);
        let charge = if due { Charge::Penalty(factor) } else { Charge::Task(self.mdp.task(node.step, outcome)) };
        let next = outcome.next.filter(|_| !last);
        let next = next.map(|state| Node { step: node.step + 1, state, budget: after.state, safe: after.safe });
        Ok((charge, next))
    }
}
