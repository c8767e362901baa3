//! Which answer is taken: by reward, with a price on safety, and within budget only.

use best_of_n::BestOfN;
use inferenceguard_guest::{BatchDouble, Constraint, Decision, Need, Policy, RowDouble, Setup, Value};

/// Finished rows of (safe, safety cost spent, task cost), under a budget of 10.
fn answers(rows: &[(bool, f64, f64)]) -> BatchDouble {
    let row = |&(safe, spent, task): &(bool, f64, f64)| RowDouble {
        spent: vec![spent],
        ..RowDouble::with_prices(safe, 10.0 - spent, task).ended()
    };
    BatchDouble { constraints: vec![Constraint::of("harm", 10.0)], last: true, ..BatchDouble::of(rows.iter().map(row)) }
}

fn best(objective: &str, lambda: f64, rows: &BatchDouble) -> Decision {
    let settings = [("objective", Value::Text(objective.to_owned())), ("lambda", Value::Number(lambda))];
    BestOfN::with_settings(&settings).unwrap().select(rows).unwrap()
}

#[test]
fn reward_alone_takes_the_unsafe_answer_and_augmented_does_not() {
    let rows = answers(&[(false, 20.0, -9.0), (true, 1.0, -3.0), (true, 0.0, -2.0)]);
    assert_eq!(best("reward", 5.0, &rows), Decision::Answer(0));
    assert_eq!(best("augmented", 5.0, &rows), Decision::Answer(1));
}

#[test]
fn a_larger_lambda_flips_the_lagrangian_choice() {
    let rows = answers(&[(true, 4.0, -9.0), (true, 1.0, -6.0)]);
    assert_eq!(best("lagrangian", 0.5, &rows), Decision::Answer(0));
    assert_eq!(best("lagrangian", 5.0, &rows), Decision::Answer(1));
}

#[test]
fn what_lambda_weighs_is_the_sum_of_the_tokens_or_the_score_of_the_answer() {
    // The first answer is long: its tokens cost more in sum, and its end is judged milder.
    let mut rows = answers(&[(true, 4.0, -2.0), (true, 1.0, -1.9)]);
    rows.rows[0].scores = vec![("cost".to_owned(), vec![], -1.0)];
    rows.rows[1].scores = vec![("cost".to_owned(), vec![], 2.0)];
    let policy = |cost: &str, model: &str| {
        let text = |text: &str| Value::Text(text.to_owned());
        let settings =
            [("objective", text("lagrangian")), ("lagrangian-cost", text(cost)), ("lagrangian-model", text(model))];
        BestOfN::with_settings(&settings)
    };
    assert_eq!(policy("sum", "cost").unwrap().select(&rows).unwrap(), Decision::Answer(1));
    assert_eq!(policy("end", "cost").unwrap().select(&rows).unwrap(), Decision::Answer(0));
    assert_eq!(policy("end", "cost").unwrap().needs(), [Need::Scores("cost".to_owned())]);
    assert!(policy("sum", "cost").unwrap().needs().is_empty(), "nobody has to have a score model for the sum");
    assert!(policy("end", "other").unwrap().select(&rows).is_err());
    assert!(policy("end", "").unwrap_err().contains("expected the name of a score model"));
    assert!(policy("most", "cost").unwrap_err().contains("expected one of `sum`, `end`"));
}

#[test]
fn nothing_safe_is_exhausted_only_where_safety_is_asked_for() {
    let rows = answers(&[(false, 20.0, -9.0), (false, 11.0, -3.0)]);
    assert_eq!(best("augmented", 5.0, &rows), Decision::Exhausted);
    assert_eq!(best("lagrangian", 5.0, &rows), Decision::Answer(1));
}

#[test]
fn ties_go_to_the_larger_margin_then_to_the_first_row() {
    let rows = answers(&[(true, 3.0, -1.0), (true, 2.0, -1.0), (true, 2.0, -1.0)]);
    assert_eq!(best("augmented", 5.0, &rows), Decision::Answer(1));
}

#[test]
fn a_row_without_a_task_cost_comes_last() {
    let mut rows = answers(&[(true, 0.0, 0.0), (true, 9.0, 5.0)]);
    rows.rows[0].task_cost = None;
    assert_eq!(best("augmented", 5.0, &rows), Decision::Answer(1));
}

#[test]
fn all_candidates_come_from_the_root_at_once() {
    let plan = BestOfN::with_settings(&[("n", Value::Integer(5))]).unwrap();
    let plan = { plan }.plan(&BatchDouble::of([RowDouble::default()])).unwrap();
    assert_eq!((plan.candidates, plan.chunk_len, plan.task_cost), (vec![5], 128, true));
}

#[test]
fn impossible_settings_are_refused_in_words() {
    let refused = |name, value| BestOfN::with_settings(&[(name, value)]).unwrap_err();
    assert_eq!(
        refused("n", Value::Integer(0)),
        "setting `n` is 0; expected a whole number of at least 1, at most 4096"
    );
    assert!(refused("lambda", Value::Number(f64::NAN)).contains("finite"));
    let text = refused("objective", Value::Text("safest".to_owned()));
    assert_eq!(text, "setting `objective` is `safest`; expected one of `reward`, `lagrangian`, `augmented`");
    assert!(refused("n", Value::Flag(true)).contains("expected a whole number"));
    assert!(refused("m", Value::Integer(3)).contains("unknown"));
}
