//! Signs, grains and what is refused.

use inferenceguard_guest::{BatchDouble, Cost, CostGrain, CostKind, Need, RowDouble, Setup, Value};
use score_cost::ScoreCost;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn rows(scores: &[f32], end: f32) -> BatchDouble {
    let scores = vec![("beaver".to_owned(), scores.to_vec(), end)];
    BatchDouble::of([RowDouble { scores, ..RowDouble::default() }])
}

fn cost(settings: &[(&str, Value)]) -> Result<ScoreCost, String> {
    ScoreCost::with_settings(&[&[("model", text("beaver"))], settings].concat())
}

#[test]
fn a_safety_cost_grows_with_the_score_and_is_charged_at_every_token() {
    let cost = cost(&[("scale", Value::Number(2.0)), ("shift", Value::Integer(1))]).unwrap();
    assert_eq!((cost.kind(), cost.grain()), (CostKind::Safety, CostGrain::Token));
    assert_eq!(cost.needs(), [Need::Scores("beaver".to_owned())]);
    assert_eq!(cost.price(&rows(&[0.5, -1.0], 9.0), 0).unwrap(), [2.0, -1.0]);
    assert!(cost.price(&rows(&[], 9.0), 0).unwrap().is_empty());
}

#[test]
fn a_task_cost_falls_with_the_reward_of_the_whole_answer() {
    let cost = cost(&[("kind", text("task"))]).unwrap();
    assert_eq!((cost.kind(), cost.grain()), (CostKind::Task, CostGrain::Chunk));
    assert_eq!(cost.price(&rows(&[0.5, -1.0], 3.0), 0).unwrap(), [-3.0]);
}

#[test]
fn a_chunk_is_priced_by_the_score_at_its_end() {
    let cost = cost(&[("grain", text("chunk"))]).unwrap();
    assert_eq!(cost.price(&rows(&[0.5, -1.0], 3.0), 0).unwrap(), [3.0]);
}

#[test]
fn scores_that_are_no_numbers_are_refused() {
    for score in [f32::NAN, f32::INFINITY] {
        assert!(cost(&[]).unwrap().price(&rows(&[0.0, score], 0.0), 0).is_err());
        assert!(cost(&[("kind", text("task"))]).unwrap().price(&rows(&[], score), 0).is_err());
    }
}

#[test]
fn impossible_settings_and_missing_models_are_named_in_words() {
    let refused = cost(&[("kind", text("task")), ("grain", text("token"))]).unwrap_err();
    assert!(refused.contains("expected `chunk`"), "{refused}");
    assert!(cost(&[("kind", text("danger"))]).unwrap_err().contains("`safety`, `task`"));
    assert!(cost(&[("scale", Value::Number(f64::NAN))]).is_err());
    assert!(ScoreCost::with_settings(&[("model", text(""))]).is_err());
    let other = ScoreCost::with_settings(&[("model", text("other"))]).unwrap();
    assert!(other.price(&rows(&[], 0.0), 0).unwrap_err().to_string().contains("no score model `other`"));
}
