//! Which token is taken: by logit, by reward, with a price on safety, and when the answer ends.

use args::Args;
use inferenceguard_guest::{BatchDouble, Constraint, Decision, Need, Policy, RowDouble, Setup, Source, Value};

/// Candidates of (logit, reward, safety costs spent).
fn candidates(rows: &[(f32, f64, f64)]) -> BatchDouble {
    let row = |&(logit, reward, spent): &(f32, f64, f64)| RowDouble {
        expansion_logit: Some(logit),
        spent: vec![spent],
        ..RowDouble::with_prices(true, 10.0 - spent, -reward)
    };
    BatchDouble { constraints: vec![Constraint::of("harm", 10.0)], ..BatchDouble::of(rows.iter().map(row)) }
}

fn args(objective: &str, settings: &[(&str, f64)]) -> Args {
    let objective = ("objective", Value::Text(objective.to_owned()));
    let numbers = settings.iter().map(|&(name, number)| (name, Value::Number(number)));
    Args::with_settings(&[objective].into_iter().chain(numbers).collect::<Vec<_>>()).unwrap()
}

fn choice(objective: &str, settings: &[(&str, f64)], rows: &BatchDouble) -> Decision {
    args(objective, settings).select(rows).unwrap()
}

#[test]
fn omega_decides_between_logit_and_reward() {
    // By 2.5 · 1.0 the second overtakes a lead of 2.0; by 1.0 · 1.0 it does not.
    let rows = candidates(&[(3.0, 0.0, 0.0), (1.0, 1.0, 0.0)]);
    assert_eq!(choice("reward", &[], &rows), Decision::Keep(vec![1]));
    assert_eq!(choice("reward", &[("omega", 1.0)], &rows), Decision::Keep(vec![0]));
    assert_eq!(choice("reward", &[("omega", 0.0)], &rows), Decision::Keep(vec![0]));
}

#[test]
fn lambda_small_or_large_flips_the_choice() {
    let rows = candidates(&[(1.0, 3.0, 2.0), (1.0, 1.0, 0.5)]);
    assert_eq!(choice("lagrangian", &[("lambda", 1.0)], &rows), Decision::Keep(vec![0]));
    assert_eq!(choice("lagrangian", &[("lambda", 2.0)], &rows), Decision::Keep(vec![1]));
    assert_eq!(choice("lagrangian", &[], &rows), Decision::Keep(vec![1]), "lambda is 5 if not given");
}

#[test]
fn the_score_of_the_answer_may_be_weighed_instead_of_the_sum() {
    let mut rows = candidates(&[(1.0, 0.0, 5.0), (1.0, 0.0, 1.0)]);
    rows.rows[0].scores = vec![("cost".to_owned(), vec![], -1.0)];
    rows.rows[1].scores = vec![("cost".to_owned(), vec![], 1.0)];
    for objective in ["lagrangian", "cost"] {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut end = Args::with_settings(&[("objective", text(objective)), ("lagrangian-cost", text("end"))]).unwrap();
        assert_eq!(end.needs(), [Need::Scores("cost".to_owned())]);
        assert_eq!(end.select(&rows).unwrap(), Decision::Keep(vec![0]));
        assert_eq!(choice(objective, &[], &rows), Decision::Keep(vec![1]));
    }
    assert!(args("reward", &[]).needs().is_empty());
}

#[test]
fn the_cost_alone_ignores_the_reward() {
    let mut rows = candidates(&[(1.0, 9.0, 2.0), (1.0, -9.0, 1.0), (0.0, 0.0, 0.9)]);
    assert_eq!(choice("cost", &[], &rows), Decision::Keep(vec![1]));
    rows.rows.iter_mut().for_each(|row| row.task_cost = None);
    assert_eq!(choice("cost", &[], &rows), Decision::Keep(vec![1]), "no reward is asked for");
    assert!(!args("cost", &[]).plan(&rows).unwrap().task_cost);
}

#[test]
fn costs_of_all_constraints_count() {
    let mut rows = candidates(&[(1.0, 0.0, 1.0), (1.0, 0.0, 2.0)]);
    rows.constraints.push(rows.constraints[0].clone());
    rows.rows[0].spent.push(3.0);
    rows.rows[1].spent.push(0.0);
    assert_eq!(choice("cost", &[], &rows), Decision::Keep(vec![1]));
}

#[test]
fn the_answer_ends_where_the_end_token_wins() {
    let mut rows = candidates(&[(2.0, 0.0, 0.0), (1.0, 1.0, 0.0)]);
    rows.rows[1].finished = true;
    assert_eq!(choice("reward", &[], &rows), Decision::Answer(1));
    assert_eq!(choice("reward", &[("omega", 0.5)], &rows), Decision::Keep(vec![0]));
}

#[test]
fn of_equals_the_more_likely_one_is_taken() {
    let rows = candidates(&[(1.0, 1.0, 0.0), (1.0, 1.0, 0.0)]);
    assert_eq!(choice("reward", &[], &rows), Decision::Keep(vec![0]));
}

#[test]
fn only_priced_rows_are_taken() {
    let mut rows = candidates(&[(9.0, 9.0, 0.0), (1.0, 1.0, 0.0)]);
    rows.rows[0].priced = false;
    assert_eq!(choice("reward", &[], &rows), Decision::Keep(vec![1]));
    rows.rows[1].priced = false;
    assert_eq!(choice("reward", &[], &rows), Decision::Exhausted);
}

#[test]
fn one_row_without_a_price_does_not_end_the_request() {
    let mut rows = candidates(&[(9.0, 9.0, 0.0), (1.0, 1.0, 0.0)]);
    rows.rows[0].task_cost = None;
    assert_eq!(choice("reward", &[], &rows), Decision::Keep(vec![1]));
}

#[test]
fn the_plan_expands_every_beam_by_k_single_tokens() {
    let plan = args("reward", &[]).plan(&BatchDouble::of([RowDouble::default()])).unwrap();
    assert_eq!((plan.source, plan.chunk_len, plan.task_cost), (Source::Expand(20), 1, true));
}

#[test]
fn what_cannot_be_used_is_named_in_words() {
    let refused = |objective: &str, rows: &BatchDouble| args(objective, &[]).select(rows).unwrap_err().to_string();
    let mut rows = candidates(&[(1.0, 1.0, 0.0)]);
    rows.rows[0].task_cost = Some(f64::NAN);
    assert!(refused("reward", &rows).contains("score NaN; expected finite"));
    rows.rows[0].task_cost = None;
    assert!(refused("lagrangian", &rows).contains("name a task cost in the deployment"));
    rows.rows[0].expansion_logit = None;
    assert!(refused("cost", &rows).contains("no logit"));
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("k", Value::Integer(0)),
        ("k", Value::Integer(1025)),
        ("omega", Value::Number(-1.0)),
        ("lambda", Value::Number(f64::NAN)),
        ("objective", Value::Text("augmented".to_owned())),
    ] {
        let refused = Args::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
}
