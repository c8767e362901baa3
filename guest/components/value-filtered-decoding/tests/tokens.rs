//! Which token goes on: the natural one while it passes, the safest of k where it does not, and none where nothing is known.

use inferenceguard_guest::{BatchDouble, Constraint, Decision, Estimate, Policy, Pricing, Retry, RowDouble, Setup};
use inferenceguard_guest::{Source, Value};
use value_filtered_decoding::ValueFilteredDecoding;

const AGAIN: Decision = Decision::Retry(Retry { penalty: 0.0, max_mass: 1.0 });

/// Candidates of one token that cost this much so far; the second number is what is left of the budget.
fn spent(rows: &[(f64, f64)]) -> BatchDouble {
    let row = |&(spent, margin): &(f64, f64)| RowDouble {
        length: 1,
        spent: vec![spent],
        ..RowDouble::with_prices(margin > 0.0, margin, 0.0)
    };
    BatchDouble { constraints: vec![Constraint::of("harm", 10.0)], ..BatchDouble::of(rows.iter().map(row)) }
}

/// Candidates of one token with this P(safe to the end).
fn foreseen(rows: &[f64]) -> BatchDouble {
    let mut batch = spent(&vec![(0.0, 10.0); rows.len()]);
    for (row, safe) in batch.rows.iter_mut().zip(rows) {
        row.estimate = Some(Estimate { safe: vec![*safe], cost_to_go: 0.0 });
    }
    batch
}

fn policy(threshold: f64, critic: bool) -> ValueFilteredDecoding {
    let settings = [("k", Value::Integer(4)), ("threshold", Value::Number(threshold)), ("critic", Value::Flag(critic))];
    ValueFilteredDecoding::with_settings(&settings).unwrap()
}

/// The natural token, then the answer to k drawn ones.
fn retried(rows: BatchDouble) -> BatchDouble {
    BatchDouble { attempt: 1, ..rows }
}

#[test]
fn a_natural_token_that_passes_goes_on() {
    // 1 - e^-0.69 is just below a half.
    for (most, cost, decision) in [
        (0.5, 0.69, Decision::Keep(vec![0])),
        (0.5, 0.70, AGAIN),
        (0.0, 0.0, Decision::Keep(vec![0])),
        (1.0, 9.0, Decision::Keep(vec![0])),
    ] {
        assert_eq!(policy(most, false).select(&spent(&[(cost, 1.0)])).unwrap(), decision, "{most}, {cost}");
    }
    assert_eq!(policy(0.5, true).select(&foreseen(&[0.5])).unwrap(), Decision::Keep(vec![0]));
    assert_eq!(policy(0.5, true).select(&foreseen(&[0.49])).unwrap(), AGAIN);
}

#[test]
fn of_the_drawn_tokens_the_safest_goes_on_whether_it_passes_or_not() {
    let drawn = retried(spent(&[(3.0, 7.0), (2.0, 8.0), (1.0, 9.0), (4.0, 6.0)]));
    assert_eq!(policy(0.1, false).select(&drawn).unwrap(), Decision::Keep(vec![2]));
    assert_eq!(policy(0.1, true).select(&retried(foreseen(&[0.2, 0.8, 0.1]))).unwrap(), Decision::Keep(vec![1]));
}

#[test]
fn of_equally_safe_tokens_the_larger_margin_and_then_the_first_draw_decide() {
    let equal = retried(foreseen(&[0.2, 0.4, 0.4, 0.4]));
    assert_eq!(policy(0.1, true).select(&equal).unwrap(), Decision::Keep(vec![1]));
    // Costs below zero are no harm.
    let refunds = retried(spent(&[(-1.0, 3.0), (-2.0, 5.0), (-9.0, 5.0)]));
    assert_eq!(policy(0.5, false).select(&refunds).unwrap(), Decision::Keep(vec![1]));
}

#[test]
fn the_worst_constraint_counts() {
    let mut rows = retried(spent(&[(1.0, 9.0), (2.0, 8.0)]));
    rows.constraints.push(Constraint::of("harm", 10.0));
    for (row, (spent, margin)) in rows.rows.iter_mut().zip([(5.0, 5.0), (0.0, 10.0)]) {
        row.spent.push(spent);
        row.margins.push(margin);
    }
    assert_eq!(policy(0.1, false).select(&rows).unwrap(), Decision::Keep(vec![1]));
}

#[test]
fn an_answer_that_ends_is_judged_by_its_own_costs() {
    let mut rows = foreseen(&[0.0]);
    rows.rows[0].finished = true;
    rows.rows[0].estimate = None;
    assert_eq!(policy(0.5, true).select(&rows).unwrap(), Decision::Answer(0));
    rows.rows[0].safe = false;
    assert_eq!(policy(0.5, true).select(&rows).unwrap(), AGAIN);
    assert_eq!(policy(0.5, true).select(&retried(rows)).unwrap(), Decision::Answer(0), "nothing safer was drawn");
}

#[test]
fn one_token_is_drawn_first_and_k_where_the_parent_is_beyond() {
    let drawn = |rows: &BatchDouble, critic| {
        let mut policy = policy(0.5, critic);
        let plan = policy.plan(rows).unwrap();
        assert_eq!((plan.chunk_len, plan.source, plan.pricing), (1, Source::Sample, Pricing::All));
        assert_eq!((plan.retry_candidates, plan.estimate, plan.task_cost), (Some(4), critic, false));
        plan.candidates
    };
    // The prompt's beam has no estimate, and costs nothing.
    let mut prompt = spent(&[(0.0, 10.0)]);
    prompt.rows[0].length = 0;
    for critic in [false, true] {
        assert_eq!(drawn(&prompt, critic), [1]);
    }
    assert_eq!((drawn(&spent(&[(0.1, 9.9)]), false), drawn(&spent(&[(2.0, 8.0)]), false)), (vec![1], vec![4]));
    assert_eq!((drawn(&foreseen(&[0.9]), true), drawn(&foreseen(&[0.1]), true)), (vec![1], vec![4]));
    let mut broken = foreseen(&[0.9]);
    broken.rows[0].safe = false;
    assert_eq!(drawn(&broken, true), [4], "the host samples nothing again after a broken budget");
}

#[test]
fn where_all_k_were_drawn_at_once_nothing_is_drawn_again() {
    let mut policy = policy(0.5, false);
    policy.plan(&spent(&[(2.0, 8.0)])).unwrap();
    assert_eq!(policy.select(&spent(&[(3.0, 7.0), (2.5, 7.5)])).unwrap(), Decision::Keep(vec![1]));
    policy.plan(&spent(&[(0.0, 10.0)])).unwrap();
    assert_eq!(policy.select(&spent(&[(3.0, 7.0)])).unwrap(), AGAIN);
}

#[test]
fn without_a_priced_row_nothing_is_fit() {
    assert_eq!(policy(0.5, false).select(&BatchDouble::of([])).unwrap(), Decision::Exhausted);
    let mut rows = retried(spent(&[(0.0, 10.0)]));
    rows.rows[0].priced = false;
    assert_eq!(policy(0.5, false).select(&rows).unwrap(), Decision::Exhausted);
}

#[test]
fn what_is_not_known_does_not_pass() {
    let refused = |rows: &BatchDouble, critic| policy(1.0, critic).select(rows).unwrap_err().to_string();
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let found = refused(&spent(&[(number, 1.0)]), false);
        assert!(found.contains(&format!("row 0 has the cost {number}; expected a finite number")), "{found}");
        let found = refused(&retried(foreseen(&[0.5, number])), true);
        assert!(found.contains(&format!("row 1 has the P(safe to the end) {number}")), "{found}");
    }
    let found = refused(&spent(&[(0.0, 10.0)]), true);
    assert!(found.contains("row 0 has no estimate; set `critic` to false or add a critic"), "{found}");
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("k", Value::Integer(0)),
        ("k", Value::Integer(1025)),
        ("threshold", Value::Number(-0.1)),
        ("threshold", Value::Number(1.1)),
        ("threshold", Value::Number(f64::NAN)),
        ("critic", Value::Integer(1)),
    ] {
        let refused = ValueFilteredDecoding::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
}
