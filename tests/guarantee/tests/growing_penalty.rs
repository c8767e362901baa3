//! As the penalty grows: P(unsafe) stays below 2C/n and falls to 0, the value rises to that of the infinite penalty.

use inferenceguard_guarantee_tests::{random, sweep};
use safety_budget::SafetyBudget;

#[test]
fn the_optimum_of_a_growing_penalty_becomes_safe() {
    let ratios = [0.1, 0.5, 1.0, 2.0, 2.5, 3.0, 4.0, 8.0, 32.0, 128.0, 1e6];
    let rows = sweep(&random::family(1, 600), &SafetyBudget, &ratios).unwrap();
    for pair in rows.windows(2) {
        assert!(pair[1].gap <= pair[0].gap + 1e-9 && pair[1].safe >= pair[0].safe - 1e-9, "{pair:?}");
    }
    assert!(rows.iter().all(|row| row.largest <= row.bound + 1e-9 && row.mean <= row.largest), "{rows:?}");
    let (first, last) = (&rows[0], &rows[rows.len() - 1]);
    assert!(
        first.mean > 0.05 && first.largest > 0.9 && first.safe < 0.9,
        "small penalties are worth paying: {first:?}"
    );
    assert!(last.largest == 0.0 && last.gap.abs() < 1e-9 && (last.safe - 1.0).abs() < 1e-9, "{last:?}");
    assert!(rows.iter().any(|row| row.discounted > row.bound), "a discounted penalty breaks the bound: {rows:?}");
}
