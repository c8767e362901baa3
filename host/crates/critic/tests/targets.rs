//! What a position of an answer teaches, on cost sequences whose right answers are known.

use inferenceguard_critic::objective::Weighed;
use inferenceguard_critic::targets::{BudgetSeen, Spending, Target, charged, target};
use inferenceguard_search::{Audit, Constraint, ConstraintMode, CostClip, Granularity};
use proptest::prelude::*;

fn constraint(clip: CostClip, mode: ConstraintMode, gamma: f64) -> Constraint {
    Constraint { name: "harm".to_owned(), budget: 1.0, gamma, clip, mode }
}

/// The target of one constraint with the budget 10, no discount.
fn look(costs: &[f64], clip: CostClip, mode: ConstraintMode, known: usize) -> Option<Target> {
    target(&[Spending::new(&constraint(clip, mode, 1.0), costs)], &[10.0], known)
}

const ANYTIME: ConstraintMode = ConstraintMode::Anytime;
const TERMINAL: ConstraintMode = ConstraintMode::Terminal;

#[test]
fn late_harm_makes_every_earlier_position_unsafe() {
    let costs = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 9.0];
    for known in 0..8 {
        let found = look(&costs, CostClip::Capped, ANYTIME, known).unwrap();
        assert_eq!(found.safe, [false], "after {known}");
        assert_eq!(found.z, [if known < 3 { 1.0 } else { 0.8 }]);
    }
    assert_eq!(look(&costs, CostClip::Capped, ANYTIME, 8), None, "the budget is lost; nobody is asked");
    let harmless = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 7.0];
    assert_eq!(look(&harmless, CostClip::Capped, ANYTIME, 4).unwrap().safe, [true]);
    let exact = [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 8.0];
    assert_eq!(look(&exact, CostClip::Capped, ANYTIME, 4).unwrap().safe, [false], "an empty budget is not safe");
}

#[test]
fn refunds_count_as_the_clip_says() {
    // Safe text first, then more harm than the budget allows.
    let banked = [-6.0, -6.0, 6.0, 6.0];
    let safe = |clip| look(&banked, clip, ANYTIME, 2).unwrap();
    assert_eq!(safe(CostClip::None), Target { z: vec![2.2], safe: vec![true] });
    assert_eq!(safe(CostClip::Capped), Target { z: vec![1.0], safe: vec![false] });
    assert_eq!(safe(CostClip::Nonneg), Target { z: vec![1.0], safe: vec![false] });
    // A refund after harm counts for the capped sum, but not for the one without negative costs.
    let repaid = [6.0, -6.0, 6.0, 0.0];
    assert_eq!(look(&repaid, CostClip::Capped, ANYTIME, 2).unwrap(), Target { z: vec![1.0], safe: vec![true] });
    assert_eq!(look(&repaid, CostClip::Nonneg, ANYTIME, 2).unwrap(), Target { z: vec![0.4], safe: vec![false] });
}

#[test]
fn terminal_forgives_what_anytime_does_not() {
    let costs = [12.0, -8.0, 0.0, 0.0];
    assert_eq!(look(&costs, CostClip::None, ANYTIME, 0).unwrap().safe, [false]);
    assert_eq!(look(&costs, CostClip::None, ANYTIME, 1), None);
    assert_eq!(look(&costs, CostClip::None, ANYTIME, 3), None, "broken once is broken for good");
    let broken = look(&costs, CostClip::None, TERMINAL, 1).unwrap();
    assert_eq!((broken.safe[0], broken.z[0]), (true, -0.2));
    assert_eq!(look(&costs, CostClip::None, TERMINAL, 3).unwrap(), Target { z: vec![0.6], safe: vec![true] });
    assert_eq!(look(&[100.0, 0.0], CostClip::None, TERMINAL, 1).unwrap().z, [-8.0], "cut");
}

#[test]
fn one_lost_constraint_is_enough() {
    let spending = |costs: &[f64]| Spending::new(&constraint(CostClip::Capped, ANYTIME, 1.0), costs);
    let both = [spending(&[1.0, 1.0]), spending(&[5.0, 1.0])];
    assert_eq!(target(&both, &[10.0, 10.0], 1).unwrap(), Target { z: vec![0.9, 0.5], safe: vec![true, true] });
    assert_eq!(target(&both, &[10.0, 5.5], 1).unwrap().safe, [true, false]);
    assert_eq!(target(&both, &[10.0, 4.0], 1), None);
}

#[test]
fn the_host_shows_the_budget_of_the_chunks_start() {
    let seen = |position| BudgetSeen::ChunkStart.charged(position, 4);
    assert_eq!((1..=9).map(seen).collect::<Vec<_>>(), [0, 0, 0, 0, 4, 4, 4, 4, 8]);
    assert_eq!(BudgetSeen::Newest.charged(7, 4), 7);
    // The chunk that ends at 4 breaks the budget; a critic is asked before anybody knows, and must say so.
    let costs = [0.0, 0.0, 12.0, 0.0, 0.0];
    let asked = look(&costs, CostClip::Capped, ANYTIME, BudgetSeen::ChunkStart.charged(4, 4)).unwrap();
    assert_eq!(asked, Target { z: vec![1.0], safe: vec![false] });
    assert_eq!(look(&costs, CostClip::Capped, ANYTIME, BudgetSeen::Newest.charged(4, 4)), None);
}

#[test]
fn costs_are_charged_where_the_granularity_says() {
    let costs = [1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(charged(&costs, Granularity::Token, 2), costs);
    assert_eq!(charged(&costs, Granularity::Chunk, 2), [0.0, 3.0, 0.0, 7.0, 5.0]);
    assert_eq!(charged(&costs, Granularity::Terminal, 2), [0.0, 0.0, 0.0, 0.0, 15.0]);
    assert!(charged(&[], Granularity::Terminal, 2).is_empty());
}

#[test]
fn a_multiplier_weighs_the_last_cost_or_all_of_them() {
    let costs = [vec![5.0, -1.0, 2.0], vec![0.5, 0.25, -1.0]];
    assert_eq!((Weighed::End.of(&costs), Weighed::Sum.of(&costs)), (1.0, 5.75));
    assert_eq!((Weighed::End.of(&[Vec::new()]), Weighed::Sum.of(&[])), (0.0, 0.0));
}

proptest! {
    #[test]
    fn z_follows_the_papers_recursion(costs in prop::collection::vec(-3.0f64..3.0, 1..60), gamma in 0.95f64..1.0) {
        let spending = [Spending::new(&constraint(CostClip::None, TERMINAL, gamma), &costs)];
        let mut z = 10.0;
        for known in 0..=costs.len() {
            let found = target(&spending, &[10.0], known).unwrap().z[0];
            let expected = (z / 10.0f64).clamp(-8.0, 8.0);
            prop_assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{} {}", found, expected);
            if let Some(cost) = costs.get(known) {
                z = (z - cost) / gamma;
            }
        }
    }

    #[test]
    fn targets_agree_with_the_hosts_audit(
        costs in prop::collection::vec(-2.0f64..3.0, 1..40),
        budget in 1.0f64..20.0,
        clip in prop_oneof![Just(CostClip::None), Just(CostClip::Nonneg), Just(CostClip::Capped)],
        mode in prop_oneof![Just(ANYTIME), Just(TERMINAL)],
    ) {
        let constraint = Constraint { budget, ..constraint(clip, mode, 0.99) };
        let spending = [Spending::new(&constraint, &costs)];
        let mut whole = Audit::default();
        whole.charge(&constraint, &costs);
        for known in 0..costs.len() {
            let mut part = Audit::default();
            part.charge(&constraint, &costs[..known]);
            match target(&spending, &[budget], known) {
                Some(found) => prop_assert_eq!(found.safe[0], whole.holds(&constraint)),
                None => prop_assert!(mode == ANYTIME && !part.holds(&constraint)),
            }
        }
    }
}
