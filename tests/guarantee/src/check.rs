//! Compares the results of the augmented problem with the facts.

use crate::{Augmented, Facts, Mdp, Penalty, Trajectory, closed_form, convert::guest_constraint};
use inferenceguard_guest::{RoleError, Tracked, Tracker};
use inferenceguard_search::{Audit, EPSILON};

/// What is checked of every problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Of every trajectory, tracker, audit and closed form say the same, the audit with its margin.
    Agreement,
    /// The infinite penalty leaves a policy of finite value exactly if a safe policy exists.
    Existence,
    /// With the infinite penalty the optimal policy breaks the budget with probability 0.
    NoViolation,
    /// And no safe policy is better.
    Optimal,
    /// J_n of the policy found is the least of all policies, for every n.
    Value,
    /// J_n grows with n, up to its value at infinity.
    Limit,
    /// P(unsafe) ≤ 2C/n where a safe policy exists, and (J_n + C)/n in any case.
    Bound,
    /// From n > 2C/p on, p being the rarest trajectory's probability, all is as with the infinite penalty.
    LargeEnough,
    /// The penalty at which the safe policy takes over is where enumeration puts it.
    Threshold,
}

/// A check that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which.
    pub check: Check,
    /// What was found and what was expected.
    pub detail: String,
}

/// Penalties that are tried, in units of C.
const LADDER: [f64; 14] = [0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.1, 2.5, 3.0, 4.0, 6.0, 8.0, 16.0, 64.0];

/// What rounding may change in an expectation: costs here are a few units, summed over a few steps.
const ROUNDING: f64 = 1e-9;

/// Runs every check on one problem.
///
/// # Errors
/// When the tracker refuses.
pub fn check<T: Tracker>(mdp: &Mdp, tracker: &T, penalty: Penalty) -> Result<Vec<Finding>, RoleError> {
    let facts = Facts::of(mdp);
    let mut checker =
        Checker { mdp, facts: &facts, solver: Augmented::new(mdp, tracker, penalty), findings: Vec::new() };
    for trajectory in &facts.trajectories {
        checker.agreement(tracker, &trajectory.costs)?;
    }
    checker.infinite()?;
    checker.ladder()?;
    checker.threshold()?;
    Ok(checker.findings)
}

struct Checker<'a, T> {
    mdp: &'a Mdp,
    facts: &'a Facts,
    solver: Augmented<'a, T>,
    findings: Vec<Finding>,
}

/// What is true of an optimal policy.
struct Played {
    value: f64,
    broken: f64,
    task: f64,
}

impl<T: Tracker> Checker<'_, T> {
    fn require(&mut self, check: Check, holds: bool, detail: impl FnOnce() -> String) {
        if !holds {
            self.findings.push(Finding { check, detail: detail() });
        }
    }

    fn agreement(&mut self, tracker: &T, costs: &[f64]) -> Result<(), RoleError> {
        let constraint = &self.mdp.constraint;
        let given = guest_constraint(constraint);
        let row = Tracked { state: tracker.start(&given)?, costs: costs.to_vec(), ended: true };
        let tracked = tracker.advance(&given, row)?;
        let mut audit = Audit::default();
        audit.charge(constraint, costs);
        let whole = closed_form::z(constraint, costs);
        let near = |a: f64, b: f64| (a - b).abs() <= ROUNDING * (1.0 + b.abs());
        let same = tracked.trace.len() == whole.len() && tracked.trace.iter().zip(&whole).all(|(a, b)| near(*a, *b));
        self.require(Check::Agreement, same, || {
            format!("{costs:?}: z is {:?}, by definition {whole:?}", tracked.trace)
        });
        let left = constraint.budget - closed_form::counted(constraint, costs);
        let due = (left > 0.0, left > EPSILON * (1.0 + constraint.budget));
        let verdicts = (tracked.safe, audit.holds(constraint));
        self.require(Check::Agreement, verdicts == due, || {
            format!("{costs:?}: (tracker, audit) hold it safe: {verdicts:?}; by definition {due:?}")
        });
        let counted = (audit.counted(constraint), closed_form::counted(constraint, costs));
        self.require(Check::Agreement, near(counted.0, counted.1), || format!("{costs:?}: spent {counted:?}"));
        Ok(())
    }

    fn played(&self, n: f64) -> Result<Played, RoleError> {
        let solution = self.solver.solve(n)?;
        let trajectories = self.solver.play(&solution)?;
        let broken = |one: &&Trajectory| closed_form::broken(&self.mdp.constraint, &one.costs);
        Ok(Played {
            value: solution.value,
            broken: trajectories.iter().filter(broken).map(|one| one.probability).sum(),
            task: trajectories.iter().map(|one| one.probability * one.task()).sum(),
        })
    }

    fn infinite(&mut self) -> Result<(), RoleError> {
        let played = self.played(f64::INFINITY)?;
        let (found, safe) = (played.value.is_finite(), self.facts.best_safe);
        self.require(Check::Existence, found == safe.is_some(), || format!("value {}, best {safe:?}", played.value));
        if found {
            self.as_good_as_infinite(&played, [Check::NoViolation, Check::Optimal]);
        }
        Ok(())
    }

    /// Safe, and the best of the safe.
    fn as_good_as_infinite(&mut self, played: &Played, [safe, best]: [Check; 2]) {
        self.require(safe, played.broken == 0.0, || format!("it breaks the budget with probability {}", played.broken));
        let due = self.facts.best_safe.unwrap_or(f64::INFINITY);
        let fits = (played.task - due).abs() <= ROUNDING;
        self.require(best, fits, || format!("its task cost is {}, the best safe policy's {due}", played.task));
    }

    fn ladder(&mut self) -> Result<(), RoleError> {
        let unit = if self.facts.size > 0.0 { self.facts.size } else { 1.0 };
        let enough = self.facts.enough().max(unit) * 1.001;
        let penalties = LADDER.iter().map(|n| n * unit).chain([enough, 1e3 * enough]);
        let mut penalties: Vec<f64> = penalties.collect();
        penalties.sort_by(f64::total_cmp);
        let (mut before, most) = (f64::NEG_INFINITY, self.solver.solve(f64::INFINITY)?.value);
        for n in penalties {
            let played = self.played(n)?;
            let room = ROUNDING * (1.0 + played.value.abs());
            let ordered = played.value >= before - room && played.value <= most + room;
            self.require(Check::Limit, ordered, || {
                format!("J at {n} is {}, before {before}, end {most}", played.value)
            });
            self.one_penalty(n, &played, enough, room);
            before = played.value;
        }
        Ok(())
    }

    fn one_penalty(&mut self, n: f64, played: &Played, enough: f64, room: f64) {
        let (least, size) = (self.facts.least(n), self.facts.size);
        let holds = (played.value - least).abs() <= room;
        self.require(Check::Value, holds, || format!("J at {n} is {}, the least is {least}", played.value));
        let bounds = [Some((played.value + size) / n), self.facts.best_safe.map(|_| 2.0 * size / n)];
        for bound in bounds.into_iter().flatten() {
            let holds = played.broken <= bound + ROUNDING;
            self.require(Check::Bound, holds, || format!("P(unsafe) at {n} is {}, the bound {bound}", played.broken));
        }
        if n >= enough && self.facts.best_safe.is_some() {
            self.as_good_as_infinite(played, [Check::LargeEnough; 2]);
        }
    }

    fn threshold(&mut self) -> Result<(), RoleError> {
        let Some(threshold) = self.facts.threshold().filter(|n| *n > 0.0) else { return Ok(()) };
        for (n, safe) in [(0.999 * threshold, false), (1.001 * threshold, true)] {
            let broken = self.played(n)?.broken;
            self.require(Check::Threshold, (broken == 0.0) == safe, || {
                format!("P(unsafe) at {n} is {broken}; the safe policy takes over at {threshold}")
            });
        }
        Ok(())
    }
}
