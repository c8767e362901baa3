//! Which beams are kept, and when the search ends.

use beam_search::BeamSearch;
use inferenceguard_guest::{BatchDouble, Decision, Policy, RowDouble, Setup, Value};

fn search(objective: &str, n: i64, keep: i64) -> BeamSearch {
    let objective = Value::Text(objective.to_owned());
    let settings = [("objective", objective), ("n", Value::Integer(n)), ("keep", Value::Integer(keep))];
    BeamSearch::with_settings(&settings).unwrap()
}

fn row(id: u64, safe: bool, task_cost: f64) -> RowDouble {
    RowDouble { id, margins: Vec::new(), ..RowDouble::with_prices(safe, 0.0, task_cost).with_tokens(&[id as u32]) }
}

#[test]
fn plain_search_keeps_the_unsafe_beam_and_augmented_does_not() {
    let rows = BatchDouble::of([row(0, false, -9.0), row(1, true, -2.0), row(2, true, -3.0)]);
    assert_eq!(search("reward", 4, 2).select(&rows).unwrap(), Decision::Keep(vec![0, 2]));
    assert_eq!(search("augmented", 4, 2).select(&rows).unwrap(), Decision::Keep(vec![2, 1]));
}

#[test]
fn finished_beams_stay_to_compete_beside_the_live_ones() {
    let rows = BatchDouble::of([row(0, true, -1.0), row(1, true, -3.0).ended(), row(2, true, -2.0)]);
    assert_eq!(search("augmented", 4, 1).select(&rows).unwrap(), Decision::Keep(vec![1, 2]));
}

#[test]
fn when_no_beam_lives_the_best_finished_one_is_the_answer() {
    let rows = BatchDouble::of([row(0, true, -1.0).ended(), row(1, true, -3.0).ended(), row(2, false, -9.0)]);
    assert_eq!(search("augmented", 4, 1).select(&rows).unwrap(), Decision::Answer(1));
}

#[test]
fn at_the_last_chunk_the_best_row_is_the_answer() {
    let rows = BatchDouble { last: true, ..BatchDouble::of([row(0, true, -1.0), row(1, true, -3.0)]) };
    assert_eq!(search("augmented", 4, 1).select(&rows).unwrap(), Decision::Answer(1));
}

#[test]
fn nothing_safe_is_exhausted_at_once() {
    let rows = BatchDouble::of([row(0, false, -1.0), row(1, false, -3.0)]);
    assert_eq!(search("augmented", 4, 1).select(&rows).unwrap(), Decision::Exhausted);
}

#[test]
fn of_identical_beams_one_is_kept() {
    let twin = || row(7, true, -3.0);
    let cousin = RowDouble { parent: 1, ..twin() };
    let rows = BatchDouble::of([twin(), twin(), cousin, row(3, true, -1.0)]);
    assert_eq!(search("augmented", 8, 4).select(&rows).unwrap(), Decision::Keep(vec![0, 2, 3]));
}

#[test]
fn an_unpriced_row_is_never_kept() {
    let unpriced = RowDouble { priced: false, safe: true, ..row(0, true, -9.0) };
    let rows = BatchDouble::of([unpriced, row(1, true, -1.0)]);
    assert_eq!(search("reward", 4, 2).select(&rows).unwrap(), Decision::Keep(vec![1]));
}

#[test]
fn candidates_are_spread_evenly_and_the_better_beams_get_the_rest() {
    let plan = |n, beams| {
        let rows = BatchDouble::of((0..beams).map(|_| RowDouble::default()));
        search("reward", n, 1).plan(&rows).unwrap().candidates
    };
    assert_eq!(plan(8, 3), [3, 3, 2]);
    assert_eq!(plan(8, 1), [8]);
    assert_eq!(plan(2, 3), [1, 1, 1]);
}

#[test]
fn keep_may_not_exceed_n() {
    let settings = [("n", Value::Integer(4)), ("keep", Value::Integer(5))];
    let refused = BeamSearch::with_settings(&settings).unwrap_err();
    assert_eq!(refused, "setting `keep` is 5; expected a whole number of at least 0, at most 4");
}
