//! What a critic learns, on hand-made costs where the right answer is known.

use inferenceguard_search::{Constraint, ConstraintMode, CostClip, Granularity};
use inferenceguard_train::critic::targets::{BudgetSeen, Spending, charged, target};

fn constraint(gamma: f64, mode: ConstraintMode, clip: CostClip) -> Constraint {
    Constraint { name: "safety".to_owned(), budget: 1.0, gamma, clip, mode }
}

fn spending(mode: ConstraintMode, clip: CostClip, costs: &[f64]) -> Spending {
    Spending::new(&constraint(1.0, mode, clip), costs)
}

#[test]
fn a_budget_that_is_paid_back_holds_at_the_end_but_not_at_any_time() {
    let costs = [3.0, 0.0, -2.0, 0.0];
    assert!(!spending(ConstraintMode::Anytime, CostClip::None, &costs).is_safe(2.0));
    assert!(spending(ConstraintMode::Terminal, CostClip::None, &costs).is_safe(2.0));
    assert!(!spending(ConstraintMode::Terminal, CostClip::Nonneg, &costs).is_safe(2.0));
    assert!(spending(ConstraintMode::Anytime, CostClip::None, &costs).is_safe(4.0));
}

#[test]
fn positions_after_a_break_teach_nothing_at_any_time_and_something_at_the_end() {
    let costs = [0.0, 3.0, -2.0, 0.0];
    let anytime = [spending(ConstraintMode::Anytime, CostClip::None, &costs)];
    assert_eq!(target(&anytime, &[2.0], 1).map(|one| one.safe), Some(vec![false]));
    assert_eq!(target(&anytime, &[2.0], 2), None);
    assert_eq!(target(&anytime, &[2.0], 4), None);
    let terminal = [spending(ConstraintMode::Terminal, CostClip::None, &costs)];
    assert_eq!(target(&terminal, &[2.0], 2).map(|one| (one.z, one.safe)), Some((vec![-0.5], vec![true])));
}

#[test]
fn the_input_is_the_share_of_the_budget_left_grown_by_the_discount() {
    let one = Spending::new(&constraint(0.5, ConstraintMode::Anytime, CostClip::Nonneg), &[2.0, 2.0]);
    assert_eq!(one.z(8.0, 0), 1.0);
    let z = 8.0_f64 - 2.0;
    assert!((one.z(8.0, 1) - z / 0.5 / 8.0).abs() < 1e-12, "{}", one.z(8.0, 1));
}

#[test]
fn a_critic_is_shown_the_state_before_the_chunk_that_ends_at_its_position() {
    let seen = |position| BudgetSeen::ChunkStart.charged(position, 32);
    assert_eq!([0, 1, 32, 33, 64, 65].map(seen), [0, 0, 0, 32, 32, 64]);
    assert_eq!(BudgetSeen::Newest.charged(33, 32), 33);
}

#[test]
fn costs_are_charged_where_their_granularity_says() {
    let costs = [1.0, 2.0, 3.0];
    assert_eq!(charged(&costs, Granularity::Token, 2), [1.0, 2.0, 3.0]);
    assert_eq!(charged(&costs, Granularity::Chunk, 2), [0.0, 3.0, 3.0]);
    assert_eq!(charged(&costs, Granularity::Terminal, 2), [0.0, 0.0, 6.0]);
}
