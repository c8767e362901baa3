//! A hundred thousand random trajectories: the tracker, the host's audit and the closed form agree.
//!
//! Stated tolerance: 1e-12 of the largest number that plays a part, d + Σ γ^k |c_k|; for z, which is divided by γ^t, the
//! same before the division. The audit's margin of 1e-6 · (1 + d) is wider by far, so what it lets through has something
//! left by every way of counting.

use inferenceguard_guarantee_tests::{closed_form, closed_form::TOLERANCE, guest_constraint};
use inferenceguard_guest::{Advanced, BudgetState, Tracked, Tracker};
use inferenceguard_search::{Audit, Constraint, ConstraintMode, CostClip, EPSILON};
use proptest::{prelude::*, test_runner::RngSeed};
use safety_budget::SafetyBudget;

/// Cases of the main property; reproducible, so that a failure can be looked at again.
const TRAJECTORIES: u32 = 100_000;

fn settings(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(512), ..ProptestConfig::default() }
}

fn constraint() -> impl Strategy<Value = Constraint> {
    let gamma = prop::sample::select(vec![0.9, 0.99, 0.999, 1.0]);
    let clip = prop::sample::select(vec![CostClip::None, CostClip::Nonneg, CostClip::Capped]);
    let mode = prop::sample::select(vec![ConstraintMode::Anytime, ConstraintMode::Terminal]);
    (0.1..20.0_f64, gamma, clip, mode).prop_map(|(budget, gamma, clip, mode)| Constraint {
        name: "safety".into(),
        budget,
        gamma,
        clip,
        mode,
    })
}

/// Up to 512 costs that bring the sum near the budget, above it, or below zero.
fn costs() -> impl Strategy<Value = Vec<f64>> {
    let length = prop_oneof![0..16_usize, 16..128_usize, 128..513_usize];
    (length, -1.0..0.5_f64, 0.01..3.0_f64).prop_flat_map(|(length, centre, width)| {
        prop::collection::vec((-1.0..1.0_f64).prop_map(move |x| width * (x + centre * 0.2)), length)
    })
}

fn tracked(constraint: &Constraint, costs: &[f64]) -> Advanced {
    let constraint = guest_constraint(constraint);
    let state = SafetyBudget.start(&constraint).unwrap();
    SafetyBudget.advance(&constraint, Tracked { state, costs: costs.to_vec(), ended: true }).unwrap()
}

fn audited(constraint: &Constraint, costs: &[f64]) -> Audit {
    let mut audit = Audit::default();
    audit.charge(constraint, costs);
    audit
}

proptest! {
    #![proptest_config(settings(TRAJECTORIES))]

    #[test]
    fn tracker_audit_and_closed_form_agree(constraint in constraint(), costs in costs()) {
        let (tracked, audit) = (tracked(&constraint, &costs), audited(&constraint, &costs));
        let sums = closed_form::sums(&constraint, &costs);
        let room = TOLERANCE * closed_form::scale(&constraint, &costs);
        prop_assert_eq!(tracked.trace.len(), costs.len());
        for (k, (z, due)) in tracked.trace.iter().zip(closed_form::z(&constraint, &costs)).enumerate() {
            let discount = constraint.gamma.powi(k as i32 + 1);
            prop_assert!((discount * (z - due)).abs() <= room, "z after {} tokens is {z}, not {due}", k + 1);
            prop_assert!((discount * z + sums[k] - constraint.budget).abs() <= room, "γ^t z + S = d, after {}", k + 1);
        }
        let (last, most) = (sums.last().copied().unwrap_or(0.0), sums.iter().copied().fold(0.0, f64::max));
        prop_assert!((audit.sum - last).abs() <= room && (audit.max - most).abs() <= room, "{audit:?}: {last}, {most}");
    }

    #[test]
    fn what_the_audit_lets_through_keeps_its_budget(constraint in constraint(), costs in costs()) {
        let left = constraint.budget - closed_form::counted(&constraint, &costs);
        let room = TOLERANCE * closed_form::scale(&constraint, &costs);
        let margin = EPSILON * (1.0 + constraint.budget);
        prop_assert!(room < margin / 100.0, "the margin must outweigh rounding");
        let (safe, holds) = (tracked(&constraint, &costs).safe, audited(&constraint, &costs).holds(&constraint));
        prop_assert!(!holds || (safe && left > 0.0), "let through with {left} left");
        prop_assert!(holds || left <= margin + room, "held back with {left} left");
        prop_assert!(left.abs() <= room || safe == (left > 0.0), "the tracker says {safe} with {left} left");
    }
}

proptest! {
    #![proptest_config(settings(20_000))]

    /// A beam is charged chunk by chunk, and its children begin with a copy of its state.
    #[test]
    fn chunks_and_forks_change_nothing(constraint in constraint(), costs in costs(), cut in 0..512_usize, other in costs()) {
        let given = guest_constraint(&constraint);
        let (head, tail) = costs.split_at(cut.min(costs.len()));
        let parent = tracked(&constraint, head).state;
        let on = |state: BudgetState, costs: &[f64]| {
            SafetyBudget.advance(&given, Tracked { state, costs: costs.to_vec(), ended: true }).unwrap()
        };
        let _ = on(parent.clone(), &other);
        let (child, whole) = (on(parent, tail), tracked(&constraint, &costs));
        prop_assert_eq!((&child.state, child.safe), (&whole.state, whole.safe));
        let mut audit = audited(&constraint, head);
        audit.clone().charge(&constraint, &other);
        audit.charge(&constraint, tail);
        prop_assert_eq!(audit, audited(&constraint, &costs));
    }
}
