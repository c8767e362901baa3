//! When the sample goes on, when it is the answer, and when the request ends with a refusal.

use dynamic_abstention::DynamicAbstention;
use inferenceguard_guest::{BatchDouble, Constraint, Decision, Estimate, Policy, RowDouble, Setup, Value};

/// The sample, which costs this much so far, under a budget of 10.
fn sample(spent: f64) -> BatchDouble {
    let row = RowDouble { length: 1, spent: vec![spent], ..RowDouble::with_prices(spent < 10.0, 10.0 - spent, 0.0) };
    BatchDouble { constraints: vec![Constraint::of("harm", 10.0)], ..BatchDouble::of([row]) }
}

/// The sample with this P(safe to the end).
fn foreseen(safe: f64) -> BatchDouble {
    let mut rows = sample(0.0);
    rows.rows[0].estimate = Some(Estimate { safe: vec![safe], cost_to_go: 0.0 });
    rows
}

fn ended(mut rows: BatchDouble) -> BatchDouble {
    rows.rows[0].finished = true;
    rows.last = true;
    rows
}

fn policy(threshold: f64, critic: bool) -> DynamicAbstention {
    let settings = [("threshold", Value::Number(threshold)), ("critic", Value::Flag(critic))];
    DynamicAbstention::with_settings(&settings).unwrap()
}

#[test]
fn the_sample_goes_on_until_its_value_crosses_the_threshold() {
    // 1 - e^-0.69 is just below a half.
    assert_eq!(policy(0.5, false).select(&sample(0.69)).unwrap(), Decision::Keep(vec![0]));
    assert_eq!(policy(0.5, false).select(&sample(0.70)).unwrap(), Decision::Exhausted);
    assert_eq!(policy(0.5, true).select(&foreseen(0.5)).unwrap(), Decision::Keep(vec![0]));
    assert_eq!(policy(0.5, true).select(&foreseen(0.49)).unwrap(), Decision::Exhausted);
}

#[test]
fn an_answer_that_ends_below_the_threshold_is_given() {
    assert_eq!(policy(0.5, false).select(&ended(sample(0.1))).unwrap(), Decision::Answer(0));
    assert_eq!(policy(0.5, false).select(&ended(sample(2.0))).unwrap(), Decision::Exhausted);
    // A critic foresees nothing of an answer that has ended: its own costs say whether it is safe.
    assert_eq!(policy(0.5, true).select(&ended(sample(9.0))).unwrap(), Decision::Answer(0));
    assert_eq!(policy(0.5, true).select(&ended(sample(11.0))).unwrap(), Decision::Exhausted);
}

#[test]
fn without_a_priced_row_the_request_ends() {
    assert_eq!(policy(1.0, false).select(&BatchDouble::of([])).unwrap(), Decision::Exhausted);
    let mut rows = sample(0.0);
    rows.rows[0].priced = false;
    assert_eq!(policy(1.0, false).select(&rows).unwrap(), Decision::Exhausted);
}

#[test]
fn the_plan_is_one_sample_looked_at_as_often_as_the_operator_says() {
    let plan = policy(0.5, false).plan(&sample(0.0)).unwrap();
    assert_eq!((plan.candidates, plan.chunk_len, plan.estimate), (vec![1], 1, false));
    let settings = [("chunk-len", Value::Integer(16)), ("critic", Value::Flag(true))];
    let plan = DynamicAbstention::with_settings(&settings).unwrap().plan(&sample(0.0)).unwrap();
    assert_eq!((plan.candidates, plan.chunk_len, plan.estimate), (vec![1], 16, true));
}

#[test]
fn what_is_not_known_does_not_pass() {
    for number in [f64::NAN, f64::INFINITY] {
        let found = policy(1.0, false).select(&sample(number)).unwrap_err().to_string();
        assert!(found.contains(&format!("row 0 has the cost {number}; expected a finite number")), "{found}");
        let found = policy(1.0, true).select(&foreseen(number)).unwrap_err().to_string();
        assert!(found.contains(&format!("row 0 has the P(safe to the end) {number}")), "{found}");
    }
    let found = policy(1.0, true).select(&sample(0.0)).unwrap_err().to_string();
    assert!(found.contains("row 0 has no estimate; set `critic` to false or add a critic"), "{found}");
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("chunk-len", Value::Integer(0)),
        ("threshold", Value::Number(-0.1)),
        ("threshold", Value::Number(1.1)),
        ("threshold", Value::Number(f64::NAN)),
        ("critic", Value::Text("yes".to_owned())),
    ] {
        let refused = DynamicAbstention::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
}
