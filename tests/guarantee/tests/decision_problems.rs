//! The guarantee on explicit decision problems: hundreds of random ones, and some where the answer is known by hand.

use inferenceguard_guarantee_tests::{Augmented, Facts, Mdp, Outcome, Penalty, check, random};
use inferenceguard_search::{Constraint, ConstraintMode, CostClip};
use safety_budget::SafetyBudget;

fn constraint(budget: f64) -> Constraint {
    Constraint { name: "safety".into(), budget, gamma: 1.0, clip: CostClip::Capped, mode: ConstraintMode::Anytime }
}

fn end(probability: f64, task: f64, safety: f64) -> Outcome {
    Outcome { probability, next: None, task, safety }
}

fn one_step(actions: Vec<Vec<Outcome>>, budget: f64) -> Mdp {
    Mdp { states: vec![actions], horizon: 1, task_at_end: true, constraint: constraint(budget) }
}

#[test]
fn hundreds_of_random_problems_keep_the_guarantee() {
    let problems = random::family(20250203, 2_000);
    for (i, mdp) in problems.iter().enumerate() {
        let findings = check(mdp, &SafetyBudget, Penalty::OURS).unwrap();
        assert!(findings.is_empty(), "problem {i}: {findings:#?}\n{mdp:#?}");
    }
}

/// Otherwise the test above would prove nothing.
#[test]
fn the_random_problems_are_of_every_kind() {
    let problems = random::family(20250203, 2_000);
    let facts: Vec<Facts> = problems.iter().map(Facts::of).collect();
    let count = |test: &dyn Fn(&Mdp, &Facts) -> bool| problems.iter().zip(&facts).filter(|(m, f)| test(m, f)).count();
    let found = [
        count(&|m, _| m.is_stochastic()),
        count(&|_, f| f.best_safe.is_none()),
        count(&|m, f| f.is_tempting(m) && !m.is_stochastic()),
        count(&|m, f| f.is_tempting(m) && m.is_stochastic()),
        count(&|m, f| f.is_tempting(m) && m.constraint.mode == ConstraintMode::Terminal),
        count(&|_, f| f.threshold().is_some_and(|n| n > 0.0)),
        count(&|_, f| f.threshold().is_some_and(|n| n > f.size)),
    ];
    let least = [900, 150, 200, 250, 150, 250, 60];
    assert!(found.iter().zip(least).all(|(found, least)| *found >= least), "{found:?}, expected {least:?}");
    let policies: usize = facts.iter().map(|f| f.policies.len()).sum();
    let trajectories: usize = facts.iter().map(|f| f.trajectories.len()).sum();
    assert!(policies > 2_000_000 && trajectories > 80_000, "{policies} policies, {trajectories} trajectories");
}

/// Good text pays 1; bad text pays 3 and costs 5 of a budget of 4. Bad text never gets its 3: it gets the penalty instead.
#[test]
fn a_penalty_takes_the_place_of_the_reward() {
    let mdp = one_step(vec![vec![end(1.0, -1.0, 0.0)], vec![end(1.0, -3.0, 5.0)]], 4.0);
    let solver = Augmented::new(&mdp, &SafetyBudget, Penalty::OURS);
    for n in [0.0, 1.0, f64::INFINITY] {
        let solution = solver.solve(n).unwrap();
        assert_eq!(solution.value, -1.0);
        assert_eq!(solver.play(&solution).unwrap()[0].costs, [0.0]);
    }
}

/// A gamble pays 2 and breaks the budget one time in four; the safe action pays 1. Without a penalty the gamble is worth
/// 3/4 · 2 = 1.5, with it 1.5 − n/4: the safe action takes over at n = 2. On average the gamble costs 5/4 of a budget of
/// 4: a constraint on the expectation would take it whatever the penalty.
#[test]
fn a_gamble_within_budget_on_average_is_not_almost_surely_safe() {
    let gamble = vec![end(0.75, -2.0, 0.0), end(0.25, -2.0, 5.0)];
    let mdp = one_step(vec![vec![end(1.0, -1.0, 0.0)], gamble], 4.0);
    assert_eq!(Facts::of(&mdp).threshold(), Some(2.0));
    let solver = Augmented::new(&mdp, &SafetyBudget, Penalty::OURS);
    let broken = |n: f64| {
        let played = solver.play(&solver.solve(n).unwrap()).unwrap();
        played.iter().filter(|one| one.costs == [5.0]).map(|one| one.probability).sum::<f64>()
    };
    assert_eq!([broken(1.9), broken(2.1), broken(f64::INFINITY)], [0.25, 0.0, 0.0]);
    assert_eq!(check(&mdp, &SafetyBudget, Penalty::OURS).unwrap(), []);
}

/// Nothing safe can be reached: the value is infinite, and that is how it shows.
#[test]
fn without_a_safe_policy_the_value_is_infinite() {
    let mdp = one_step(vec![vec![end(1.0, 0.0, 4.0)], vec![end(0.5, 0.0, 0.0), end(0.5, 0.0, 9.0)]], 4.0);
    assert_eq!(Augmented::new(&mdp, &SafetyBudget, Penalty::OURS).solve(f64::INFINITY).unwrap().value, f64::INFINITY);
    assert_eq!(Facts::of(&mdp).best_safe, None);
    assert_eq!(check(&mdp, &SafetyBudget, Penalty::OURS).unwrap(), []);
}

/// The same state is reached with 3 or with 1 of a budget of 4 left. Only the budget state shows what may still be generated.
#[test]
fn the_best_choice_depends_on_the_budget_left() {
    let go = |task: f64, safety: f64| Outcome { probability: 1.0, next: Some(1), task, safety };
    let first = vec![vec![go(0.0, 1.0)], vec![go(-2.0, 3.0)]];
    let second = vec![vec![end(1.0, 0.0, 0.0)], vec![end(1.0, -5.0, 2.0)]];
    let mdp = Mdp { states: vec![first, second], horizon: 2, task_at_end: false, constraint: constraint(4.0) };
    let solver = Augmented::new(&mdp, &SafetyBudget, Penalty::OURS);
    let solution = solver.solve(f64::INFINITY).unwrap();
    assert_eq!((solution.value, solver.play(&solution).unwrap()[0].costs.clone()), (-5.0, vec![1.0, 2.0]));
}
