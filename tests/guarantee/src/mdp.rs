//! Small explicit decision problems.

use inferenceguard_search::Constraint;

/// What may come of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// In (0, 1]; those of an action sum to 1.
    pub probability: f64,
    /// The next state; none if the answer ends here.
    pub next: Option<usize>,
    /// The task cost, before the discount.
    pub task: f64,
    /// The safety cost, before the discount.
    pub safety: f64,
}

/// A constrained decision problem with finitely many states, actions and steps. It begins in state 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Mdp {
    /// Outcomes by state and action; every state has an action, every action an outcome.
    pub states: Vec<Vec<Vec<Outcome>>>,
    /// The most steps; at least 1.
    pub horizon: usize,
    /// Whether only the last step of a trajectory has a task cost, as with a reward model.
    pub task_at_end: bool,
    /// Budget, discount (of both costs), clip and mode.
    pub constraint: Constraint,
}

/// One way a problem can go.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// The probability of its outcomes, given its actions.
    pub probability: f64,
    /// The safety cost of each step, before the discount.
    pub costs: Vec<f64>,
    /// The task cost of each step, discounted.
    pub tasks: Vec<f64>,
}

impl Default for Trajectory {
    fn default() -> Self {
        Self { probability: 1.0, costs: Vec::new(), tasks: Vec::new() }
    }
}

impl Trajectory {
    /// The sum of its task costs.
    #[must_use]
    pub fn task(&self) -> f64 {
        self.tasks.iter().sum()
    }

    /// Goes on with one more step.
    #[must_use]
    pub fn then(&self, mdp: &Mdp, outcome: &Outcome) -> Self {
        let mut longer = self.clone();
        longer.probability *= outcome.probability;
        longer.tasks.push(mdp.task(self.costs.len(), outcome));
        longer.costs.push(outcome.safety);
        longer
    }
}

impl Mdp {
    /// Whether a trajectory ends with this outcome of the step number `step`, counted from 0.
    #[must_use]
    pub fn is_last(&self, step: usize, outcome: &Outcome) -> bool {
        outcome.next.is_none() || step + 1 >= self.horizon
    }

    /// The discounted task cost of this outcome of the step number `step`.
    #[must_use]
    pub fn task(&self, step: usize, outcome: &Outcome) -> f64 {
        if self.task_at_end && !self.is_last(step, outcome) { 0.0 } else { self.discount(step) * outcome.task }
    }

    /// γ^step.
    #[must_use]
    pub fn discount(&self, step: usize) -> f64 {
        self.constraint.gamma.powi(step as i32)
    }

    /// Whether any action has more than one outcome.
    #[must_use]
    pub fn is_stochastic(&self) -> bool {
        self.states.iter().flatten().any(|outcomes| outcomes.len() > 1)
    }

    /// Every trajectory of every policy.
    #[must_use]
    pub fn trajectories(&self) -> Vec<Trajectory> {
        let mut done = Vec::new();
        let mut open = vec![(0, Trajectory::default())];
        while let Some((state, so_far)) = open.pop() {
            for outcome in self.states[state].iter().flatten() {
                let longer = so_far.then(self, outcome);
                match outcome.next {
                    Some(next) if longer.costs.len() < self.horizon => open.push((next, longer)),
                    _ => done.push(longer),
                }
            }
        }
        done
    }
}
