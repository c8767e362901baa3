//! The facts of a problem, by enumeration.

use crate::{
    Mdp, Trajectory, closed_form,
    policies::{self, Worth},
};
use inferenceguard_search::ConstraintMode;

/// Everything about a problem that the checks compare with.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Every policy.
    pub policies: Vec<Worth>,
    /// Every trajectory of every policy.
    pub trajectories: Vec<Trajectory>,
    /// The least expected task cost among the almost surely safe policies, if there are any.
    pub best_safe: Option<f64>,
    /// C: no trajectory's task cost, counted until its budget is gone, is larger in size.
    pub size: f64,
    /// The least probability of any trajectory, given its actions.
    pub rarest: f64,
}

impl Facts {
    /// Works them out.
    #[must_use]
    pub fn of(mdp: &Mdp) -> Self {
        let policies = policies::all(mdp);
        let trajectories = mdp.trajectories();
        let size = trajectories.iter().map(|one| charged_task(mdp, one).abs()).fold(0.0, f64::max);
        let rarest = trajectories.iter().map(|one| one.probability).fold(1.0, f64::min);
        Self { best_safe: policies::best_safe(&policies), policies, trajectories, size, rarest }
    }

    /// J_n of the best policy there is.
    #[must_use]
    pub fn least(&self, n: f64) -> f64 {
        self.policies.iter().map(|worth| worth.with_penalty(n)).fold(f64::INFINITY, f64::min)
    }

    /// A penalty that is surely large enough: above 2C / (the rarest trajectory's probability) the bound leaves no room
    /// for any violation.
    #[must_use]
    pub fn enough(&self) -> f64 {
        2.0 * self.size / self.rarest
    }

    /// The penalty from which on a safe policy is the best; none without a safe policy.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        let safe = self.best_safe?;
        let unsafe_ones = self.policies.iter().filter(|worth| !worth.safe);
        Some(unsafe_ones.map(|worth| (safe - worth.task) / worth.penalties).fold(0.0, f64::max))
    }

    /// The optimum without any constraint breaks the budget.
    #[must_use]
    pub fn is_tempting(&self, mdp: &Mdp) -> bool {
        let free = Mdp {
            constraint: inferenceguard_search::Constraint { budget: 1e9, ..mdp.constraint.clone() },
            ..mdp.clone()
        };
        let unconstrained = policies::best_safe(&policies::all(&free));
        self.best_safe.is_some() && self.best_safe > unconstrained
    }
}

/// The task cost of the steps at which no penalty is due.
fn charged_task(mdp: &Mdp, trajectory: &Trajectory) -> f64 {
    let broken = |steps: usize| closed_form::broken(&mdp.constraint, &trajectory.costs[..steps]);
    let due = |step: usize| match mdp.constraint.mode {
        ConstraintMode::Anytime => broken(step + 1),
        ConstraintMode::Terminal => step + 1 == trajectory.costs.len() && broken(step + 1),
    };
    trajectory.tasks.iter().enumerate().filter(|(step, _)| !due(*step)).map(|(_, task)| task).sum()
}
