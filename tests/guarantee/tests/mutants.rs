//! Trackers and penalties with one mistake each: the checks must find every one of them, and at the guarantee itself,
//! not only in the arithmetic.

use Check::{Agreement, Bound, Existence, NoViolation, Optimal, Value};
use inferenceguard_guarantee_tests::{Charged, Check, Mdp, Penalty, check, random};
use inferenceguard_guest::{
    Advanced, BudgetState, Constraint, ConstraintMode, CostClip, Description, RoleError, Settings, Setup, Tracked,
    Tracker,
};
use inferenceguard_search as search;
use safety_budget::SafetyBudget;
use std::collections::BTreeSet;

/// z' = (z − c) / γ with one mistake.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mistake {
    None,
    /// z' = (z − c) · γ.
    MultipliesByGamma,
    /// z' = z / γ − c.
    DividesBeforeCharging,
    /// z' = z − c.
    ForgetsGamma,
    /// Takes negative costs as they are, whatever the clip.
    Refunds,
    /// Something is left when z ≥ 0.
    TakesNothingForSomething,
    /// Judges by the newest z alone, also when every one counts.
    ForgivesWhatIsPast,
    /// Judges by every z, also when only the last counts.
    NeverForgives,
    /// Says that all is well.
    AlwaysSafe,
}

#[derive(Debug)]
struct Mutant(Mistake);

impl Setup for Mutant {
    fn describe() -> Description {
        Description::new("mutant", "0.0.0", "The recursion of the paper, with one mistake.")
    }

    fn configure(_: &Settings) -> Result<Self, String> {
        Ok(Self(Mistake::None))
    }
}

impl Tracker for Mutant {
    /// The memory: d / γ^t, the most that z can be when it is capped; and whether every z so far was above zero.
    fn start(&self, c: &Constraint) -> Result<BudgetState, RoleError> {
        Ok(BudgetState { z: c.budget, memory: vec![c.budget, 1.0] })
    }

    fn advance(&self, c: &Constraint, row: Tracked) -> Result<Advanced, RoleError> {
        let (mut z, mut most, mut held) = (row.state.z, row.state.memory[0], row.state.memory[1] > 0.0);
        let mut trace = Vec::new();
        for cost in row.costs {
            (z, most) = self.next(c, z, most, cost);
            held &= self.something_left(z);
            trace.push(z);
        }
        let newest = match self.0 {
            Mistake::ForgivesWhatIsPast => true,
            Mistake::NeverForgives => false,
            _ => c.mode == ConstraintMode::Terminal,
        };
        let safe = self.0 == Mistake::AlwaysSafe || if newest { self.something_left(z) } else { held };
        Ok(Advanced { state: BudgetState { z, memory: vec![most, f64::from(held)] }, safe, trace })
    }
}

impl Mutant {
    fn next(&self, c: &Constraint, z: f64, most: f64, cost: f64) -> (f64, f64) {
        let clip = if self.0 == Mistake::Refunds { CostClip::None } else { c.clip };
        let cost = if clip == CostClip::Nonneg { cost.max(0.0) } else { cost };
        let (z, most) = match self.0 {
            Mistake::MultipliesByGamma => ((z - cost) * c.gamma, most * c.gamma),
            Mistake::DividesBeforeCharging => (z / c.gamma - cost, most / c.gamma),
            Mistake::ForgetsGamma => (z - cost, most),
            _ => ((z - cost) / c.gamma, most / c.gamma),
        };
        (if clip == CostClip::Capped { z.min(most) } else { z }, most)
    }

    fn something_left(&self, z: f64) -> bool {
        if self.0 == Mistake::TakesNothingForSomething { z >= 0.0 } else { z > 0.0 }
    }
}

/// Every check that fails on some problem.
fn found(problems: &[Mdp], tracker: &impl Tracker, penalty: Penalty) -> BTreeSet<Check> {
    problems.iter().flat_map(|mdp| check(mdp, tracker, penalty).unwrap()).map(|finding| finding.check).collect()
}

fn problems(keep: impl Fn(&search::Constraint) -> bool) -> Vec<Mdp> {
    let all = random::family(7, 400);
    all.into_iter().filter(|mdp| keep(&mdp.constraint)).collect()
}

fn of_tracker(mistake: Mistake, keep: impl Fn(&search::Constraint) -> bool, expected: &[Check]) {
    let problems = problems(keep);
    assert!(problems.len() >= 40, "only {} problems", problems.len());
    assert_eq!(found(&problems, &Mutant(Mistake::None), Penalty::OURS), BTreeSet::new(), "without the mistake");
    let found = found(&problems, &Mutant(mistake), Penalty::OURS);
    assert!(expected.iter().all(|check| found.contains(check)), "{mistake:?}: found {found:?}, expected {expected:?}");
}

fn any(_: &search::Constraint) -> bool {
    true
}

fn exact(c: &search::Constraint) -> bool {
    [1.0, 0.5, 0.75].contains(&c.gamma)
}

#[test]
fn a_tracker_that_multiplies_by_gamma_is_found() {
    of_tracker(Mistake::MultipliesByGamma, any, &[Agreement, Existence, NoViolation, Optimal, Value]);
}

#[test]
fn a_tracker_that_divides_before_charging_is_found() {
    of_tracker(Mistake::DividesBeforeCharging, any, &[Agreement, Existence, NoViolation, Value]);
}

#[test]
fn a_tracker_that_forgets_gamma_is_found() {
    of_tracker(Mistake::ForgetsGamma, any, &[Agreement, Existence, NoViolation, Optimal, Value]);
}

#[test]
fn a_tracker_that_refunds_is_found() {
    let clipped = |c: &search::Constraint| c.clip != search::CostClip::None;
    of_tracker(Mistake::Refunds, clipped, &[Agreement, Existence, NoViolation, Value]);
}

#[test]
fn a_tracker_that_takes_nothing_for_something_is_found() {
    of_tracker(Mistake::TakesNothingForSomething, exact, &[Agreement, Existence, NoViolation, Value]);
}

/// Each violation is still paid for where it happens, so the optimum is right; the verdict at the end is not.
#[test]
fn a_tracker_that_forgives_what_is_past_is_found() {
    of_tracker(Mistake::ForgivesWhatIsPast, any, &[Agreement, Value]);
}

#[test]
fn a_tracker_that_never_forgives_is_found() {
    let terminal = |c: &search::Constraint| c.mode == search::ConstraintMode::Terminal;
    of_tracker(Mistake::NeverForgives, terminal, &[Agreement, Optimal, Value]);
}

#[test]
fn a_tracker_that_says_all_is_well_is_found() {
    of_tracker(Mistake::AlwaysSafe, any, &[Agreement, Existence, NoViolation, Value, Bound]);
}

fn of_penalty(penalty: Penalty, expected: &[Check]) {
    let problems = problems(any);
    assert_eq!(found(&problems, &SafetyBudget, Penalty::OURS), BTreeSet::new(), "without the mistake");
    let found = found(&problems, &SafetyBudget, penalty);
    assert!(expected.iter().all(|check| found.contains(check)), "found {found:?}, expected {expected:?}");
    assert!(!found.contains(&Agreement), "the tracker is right");
}

/// A violation by the last step is then free.
#[test]
fn a_penalty_on_the_current_state_is_found() {
    of_penalty(Penalty { on: Charged::Current, discounted: false }, &[Existence, NoViolation, Value, Bound]);
}

/// An infinite penalty stays infinite under a discount; the bound for a finite one does not hold.
#[test]
fn a_discounted_penalty_is_found() {
    let penalty = Penalty { on: Charged::Next, discounted: true };
    of_penalty(penalty, &[Value, Bound]);
    assert!(!found(&problems(any), &SafetyBudget, penalty).contains(&NoViolation));
}
