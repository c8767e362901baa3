//! The cases of the method: safe over rewarding, retries, what is left when they run out, and pricing on demand.

use inference_guard::InferenceGuard;
use inferenceguard_guest::{
    BatchDouble, Constraint, Decision, Estimate, Policy, Pricing, Retry, RowDouble, Setup, Value,
};

const RETRY: Decision = Decision::Retry(Retry { penalty: 8.0, max_mass: 0.9 });

fn guard(critic: bool) -> InferenceGuard {
    let settings = [("n", Value::Integer(8)), ("keep", Value::Integer(2)), ("critic", Value::Flag(critic))];
    InferenceGuard::with_settings(&settings).unwrap()
}

fn row(id: u64, safe: bool, task_cost: f64) -> RowDouble {
    RowDouble { id, ..RowDouble::with_prices(safe, 0.0, task_cost).with_tokens(&[id as u32]) }
}

/// A candidate that only the critic has seen.
fn seen(id: u64, safe: f64, cost_to_go: f64) -> RowDouble {
    let estimate = Some(Estimate { safe: vec![0.99, safe], cost_to_go });
    RowDouble { id, estimate, ..RowDouble::default().with_tokens(&[id as u32]) }
}

fn priced(safe: bool, row: RowDouble) -> RowDouble {
    RowDouble { priced: true, safe, ..row }
}

fn at_attempt(attempt: u32, rows: &[RowDouble]) -> BatchDouble {
    BatchDouble { attempt, ..BatchDouble::of(rows.to_vec()) }
}

#[test]
fn the_more_rewarding_but_unsafe_beam_is_dropped() {
    let rows = BatchDouble::of([row(0, false, -9.0), row(1, true, -1.0), row(2, true, -2.0), row(3, true, -1.5)]);
    assert_eq!(guard(false).select(&rows).unwrap(), Decision::Keep(vec![2, 3]));
}

#[test]
fn an_unsafe_chunk_is_retried_as_often_as_allowed_then_given_up() {
    let rows = [row(0, false, -1.0), row(1, false, -2.0)];
    assert_eq!(guard(false).select(&at_attempt(0, &rows)).unwrap(), RETRY);
    assert_eq!(guard(false).select(&at_attempt(1, &rows)).unwrap(), RETRY);
    assert_eq!(guard(false).select(&at_attempt(2, &rows)).unwrap(), Decision::Exhausted);
}

#[test]
fn finished_beams_of_earlier_chunks_do_not_save_a_failed_chunk_from_its_retries() {
    let mut guard = guard(false);
    let rows = [row(0, true, -2.0).ended(), row(1, true, -1.0)];
    assert_eq!(guard.select(&at_attempt(0, &rows)).unwrap(), Decision::Keep(vec![0, 1]));
    let rows = [row(2, false, -5.0), row(0, true, -2.0).ended()];
    assert_eq!(guard.select(&at_attempt(0, &rows)).unwrap(), RETRY);
    assert_eq!(guard.select(&at_attempt(2, &rows)).unwrap(), Decision::Answer(1), "better than no answer");
}

#[test]
fn where_only_finished_beams_are_left_there_is_nothing_to_retry() {
    let mut guard = guard(false);
    let rows = [row(0, true, -2.0).ended(), row(1, true, -1.0)];
    assert_eq!(guard.select(&at_attempt(0, &rows)).unwrap(), Decision::Keep(vec![0, 1]));
    // The host committed to the best beam, which has ended.
    let rows = BatchDouble { last: true, ..at_attempt(0, &rows[..1]) };
    assert_eq!(guard.select(&rows).unwrap(), Decision::Answer(0));
}

#[test]
fn a_safe_answer_that_ends_in_this_chunk_needs_no_retry() {
    let rows = [row(0, false, -5.0), row(1, true, -2.0).ended(), row(2, true, -3.0).ended()];
    assert_eq!(guard(false).select(&at_attempt(0, &rows)).unwrap(), Decision::Answer(2));
}

#[test]
fn at_the_end_the_best_safe_answer_wins() {
    let rows = [row(0, true, -1.0).ended(), row(1, false, -9.0).ended(), row(2, true, -2.0).ended()];
    let rows = BatchDouble { last: true, ..BatchDouble::of(rows) };
    assert_eq!(guard(false).select(&rows).unwrap(), Decision::Answer(2));
}

#[test]
fn with_a_critic_only_likely_beams_are_priced_best_first() {
    let rows = BatchDouble::of([seen(0, 0.9, -1.0), seen(1, 0.4, -9.0), seen(2, 0.6, -3.0), seen(3, 0.7, -2.0)]);
    assert_eq!(guard(true).select(&rows).unwrap(), Decision::Price(vec![2, 3]));
}

#[test]
fn when_too_few_of_the_priced_are_safe_the_next_are_priced() {
    let first = priced(false, seen(2, 0.6, -3.0));
    let second = priced(true, seen(3, 0.7, -2.0));
    let rows = [seen(0, 0.9, -1.0), seen(1, 0.4, -9.0), first.clone(), second.clone()];
    assert_eq!(guard(true).select(&BatchDouble::of(rows)).unwrap(), Decision::Price(vec![0]));
    let rows = [priced(true, seen(0, 0.9, -1.0)), seen(1, 0.4, -9.0), first, second];
    assert_eq!(guard(true).select(&BatchDouble::of(rows)).unwrap(), Decision::Keep(vec![3, 0]));
}

#[test]
fn exactly_at_the_threshold_is_not_enough() {
    let rows = BatchDouble::of([seen(0, 0.5, -9.0), seen(1, 0.500_001, -1.0)]);
    assert_eq!(guard(true).select(&rows).unwrap(), Decision::Price(vec![1]));
}

#[test]
fn finished_answers_are_judged_by_their_real_costs() {
    let ended = RowDouble { estimate: None, ..seen(0, 0.0, 0.0) }.ended();
    let rows = [ended.clone(), seen(1, 0.9, -1.0)];
    assert_eq!(guard(true).select(&BatchDouble::of(rows)).unwrap(), Decision::Price(vec![0, 1]));

    let ended = RowDouble { task_cost: Some(-2.0), ..priced(true, ended) };
    let rows = BatchDouble { last: true, ..BatchDouble::of([ended, row(1, true, -1.0).ended()]) };
    assert_eq!(guard(true).select(&rows).unwrap(), Decision::Answer(0));
}

#[test]
fn doubtful_beams_wait_for_the_last_try() {
    let rows = [seen(0, 0.1, -2.0), seen(1, 0.2, -1.0)];
    assert_eq!(guard(true).select(&at_attempt(0, &rows)).unwrap(), RETRY);
    assert_eq!(guard(true).select(&at_attempt(2, &rows)).unwrap(), Decision::Price(vec![0, 1]));
    let rows = rows.map(|row| priced(false, row));
    assert_eq!(guard(true).select(&at_attempt(2, &rows)).unwrap(), Decision::Exhausted);
}

#[test]
fn a_missing_critic_is_named_in_words() {
    let rows = BatchDouble::of([RowDouble::default().with_tokens(&[1])]);
    let refused = guard(true).select(&rows).unwrap_err().to_string();
    assert!(refused.contains("add a critic"), "{refused}");
}

#[test]
fn the_plan_says_what_the_critic_saves() {
    let rows = BatchDouble::of([RowDouble::default(), RowDouble::default(), RowDouble::default()]);
    let plan = guard(true).plan(&rows).unwrap();
    assert_eq!((plan.pricing, plan.estimate, plan.task_cost), (Pricing::OnDemand, true, false));
    let plan = guard(false).plan(&rows).unwrap();
    assert_eq!((plan.pricing, plan.estimate, plan.task_cost), (Pricing::All, false, true));
    assert_eq!((plan.candidates, plan.chunk_len), (vec![3, 3, 2], 32));
}

#[test]
fn impossible_settings_are_refused_in_words() {
    for (name, value) in [
        ("n", Value::Integer(0)),
        ("keep", Value::Integer(33)),
        ("chunk-len", Value::Integer(0)),
        ("retries", Value::Integer(-1)),
        ("penalty", Value::Number(f64::INFINITY)),
        ("max-mass", Value::Number(0.0)),
        ("threshold", Value::Number(1.5)),
        ("critic", Value::Text("yes".to_owned())),
    ] {
        let refused = InferenceGuard::with_settings(&[(name, value)]).unwrap_err();
        assert!(refused.starts_with(&format!("setting `{name}` is ")), "{refused}");
    }
}

#[test]
fn an_adaptive_width_without_a_retry_is_refused() {
    for name in ["adaptive-width", "few"] {
        let settings = [(name, Value::Integer(4)), ("retries", Value::Integer(0))];
        let refused = InferenceGuard::with_settings(&settings).unwrap_err();
        assert!(refused.starts_with(&format!("{name}: ")) && refused.contains("at least one retry"), "{refused}");
    }
}

#[test]
fn the_adaptive_width_has_an_older_name_and_is_given_once() {
    let guard = |names: &[&str]| {
        let settings: Vec<_> = names.iter().map(|name| (*name, Value::Integer(4))).collect();
        InferenceGuard::with_settings(&settings)
    };
    let plan = |name| guard(&[name]).unwrap().plan(&under_budget(&[with_left(10.0)])).unwrap();
    assert_eq!(plan("adaptive-width"), plan("few"));
    assert!(guard(&["adaptive-width", "few"]).unwrap_err().contains("`few`"));
}

fn frugal(critic: bool) -> InferenceGuard {
    let settings = [
        ("n", Value::Integer(16)),
        ("adaptive-width", Value::Integer(4)),
        ("comfort", Value::Number(0.5)),
        ("sure", Value::Number(0.9)),
        ("critic", Value::Flag(critic)),
    ];
    InferenceGuard::with_settings(&settings).unwrap()
}

/// A live beam with this much left of a budget of 10.
fn with_left(margin: f64) -> RowDouble {
    RowDouble { id: 1, ..RowDouble::with_prices(true, margin, -1.0) }
}

fn under_budget(rows: &[RowDouble]) -> BatchDouble {
    BatchDouble { constraints: vec![Constraint::of("harm", 10.0)], ..BatchDouble::of(rows.to_vec()) }
}

#[test]
fn a_chunk_has_the_adaptive_width_while_nothing_is_at_risk_and_all_candidates_otherwise() {
    let plan = |critic, rows: &[RowDouble]| {
        let plan = frugal(critic).plan(&under_budget(rows)).unwrap();
        (plan.candidates, plan.retry_candidates)
    };
    assert_eq!(plan(false, &[with_left(10.0)]), (vec![4], Some(16)));
    assert_eq!(plan(false, &[with_left(10.0), with_left(5.0)]), (vec![2, 2], Some(16)));
    assert_eq!(plan(false, &[with_left(10.0), with_left(4.9)]), (vec![8, 8], None));
    let foreseen =
        |safe| RowDouble { estimate: Some(Estimate { safe: vec![safe], cost_to_go: 0.0 }), ..with_left(9.0) };
    assert_eq!(plan(true, &[foreseen(0.95)]), (vec![4], Some(16)));
    assert_eq!(plan(true, &[foreseen(0.95), foreseen(0.9)]), (vec![8, 8], None));
    assert_eq!(guard(false).plan(&under_budget(&[with_left(10.0)])).unwrap().retry_candidates, None);
}

#[test]
fn fewer_beams_are_kept_of_the_adaptive_width_and_all_of_them_of_a_retry() {
    let mut guard = frugal(false);
    guard.plan(&under_budget(&[with_left(10.0)])).unwrap();
    let rows: Vec<RowDouble> = (0..4).map(|id| row(id, true, -(id as f64))).collect();
    assert_eq!(guard.select(&BatchDouble::of(rows.clone())).unwrap(), Decision::Keep(vec![3]));
    assert_eq!(guard.select(&at_attempt(1, &rows)).unwrap(), Decision::Keep(vec![3, 2, 1, 0]));
    let unsafe_rows: Vec<RowDouble> = (0..4).map(|id| row(id, false, -1.0)).collect();
    assert_eq!(guard.select(&BatchDouble::of(unsafe_rows)).unwrap(), RETRY);
}

/// Rows of a deployment without a task cost.
fn unranked(rows: &[RowDouble]) -> BatchDouble {
    BatchDouble { unranked: true, ..under_budget(rows) }
}

fn likely(id: u64, logprob: f64) -> RowDouble {
    RowDouble { id, logprob, task_cost: None, ..RowDouble::with_prices(true, 5.0, 0.0).with_tokens(&[id as u32]) }
}

#[test]
fn without_a_task_cost_one_candidate_is_enough_while_nothing_is_at_risk() {
    let plan = |settings: &[(&str, Value)], left| {
        let mut guard = InferenceGuard::with_settings(&[&[("n", Value::Integer(16))], settings].concat()).unwrap();
        let plan = guard.plan(&unranked(&[with_left(left)])).unwrap();
        (plan.candidates, plan.retry_candidates)
    };
    assert_eq!(plan(&[], 10.0), (vec![1], Some(16)));
    assert_eq!(plan(&[], 4.9), (vec![16], None), "at risk");
    assert_eq!(plan(&[("adaptive-width", Value::Integer(4))], 10.0), (vec![4], Some(16)), "the operator's choice");
    assert_eq!(plan(&[("adaptive-width", Value::Integer(16))], 10.0), (vec![16], Some(16)));
    assert_eq!(plan(&[("retries", Value::Integer(0))], 10.0), (vec![16], None), "no retry would sample more");
}

#[test]
fn without_a_task_cost_the_first_safe_answer_that_ends_is_the_answer() {
    let rows = [likely(0, -1.0), likely(1, -9.0).ended(), likely(2, -5.0).ended()];
    assert_eq!(guard(false).select(&unranked(&rows)).unwrap(), Decision::Answer(2), "the likelier of those that ended");
    let unsafe_end = RowDouble { safe: false, ..likely(1, -1.0).ended() };
    let decision = guard(false).select(&unranked(&[likely(0, -7.0), unsafe_end, likely(2, -5.0)])).unwrap();
    assert_eq!(decision, Decision::Keep(vec![2, 0]), "the likelier first");
    let cut = BatchDouble { last: true, ..unranked(&[likely(0, -7.0), likely(2, -5.0)]) };
    assert_eq!(guard(false).select(&cut).unwrap(), Decision::Answer(1));
    // With a task cost an answer that has ended competes with those that go on.
    let ranked = [row(0, true, -2.0).ended(), row(1, true, -3.0)];
    assert_eq!(guard(false).select(&under_budget(&ranked)).unwrap(), Decision::Keep(vec![1, 0]));
}
