//! Rows that a back end did not grow, or not as asked: nothing is released that was not priced.

use inferenceguard_host::{CancelToken, Engine, EngineError, Event, LiveBeams, Output, Release, Request};
use inferenceguard_model::{Grown, GrownRow, ModelError, fake::Spoil};
use inferenceguard_search::{Finish, Status};
use inferenceguard_testkit::toy::{SCRIPT, config, faked, roles};

/// Every candidate is within the budget, so that only lost rows are missing.
fn engine(spoil: Spoil) -> Engine {
    faked(SCRIPT, |fake| fake.with_spoiled(spoil)).config(config(1000.0)).roles("native", roles).build().unwrap()
}

/// The output, and all text that was released before it.
fn ask(engine: &Engine) -> (Result<Output, EngineError>, String) {
    let (mut released, request) =
        (String::new(), Request { release: Some(Release::Commit(1)), ..Request::new("good") });
    let output = engine.stream(request, &CancelToken::new(), |event| {
        if let Event::Released { text } = event {
            released.push_str(&text);
        }
    });
    assert_eq!(engine.live_beams(), LiveBeams::default(), "{output:?}");
    (output, released)
}

fn failed() -> GrownRow {
    Err(ModelError::Backend("the row timed out".into()))
}

/// Every row, changed so that it is not what was asked for.
fn each(rows: Vec<GrownRow>, change: fn(&mut Grown)) -> Vec<GrownRow> {
    rows.into_iter().map(|row| row.map(|(beam, mut grown)| (beam, (change(&mut grown), grown).1))).collect()
}

#[test]
fn rows_are_lost_one_by_one_and_the_others_go_on() {
    let (plain, _) = ask(&engine(|_, rows| Ok(rows)));
    assert_eq!(plain.unwrap().usage.lost_rows, 0);
    let some: [(Spoil, u64); 3] = [(first_of_the_first_call, 1), (three_of_the_first_call, 3), (all_but_one_later, 7)];
    for (spoil, lost) in some {
        let (output, released) = ask(&engine(spoil));
        let output = output.unwrap();
        assert_eq!((output.status, output.usage.lost_rows), (Status::WithinBudget, lost), "{output:?}");
        assert!(output.failures.is_empty() && output.text == released, "{output:?}");
    }
}

fn first_of_the_first_call(call: u64, mut rows: Vec<GrownRow>) -> Result<Vec<GrownRow>, ModelError> {
    if call == 1 {
        rows[0] = failed();
    }
    Ok(rows)
}

fn three_of_the_first_call(call: u64, mut rows: Vec<GrownRow>) -> Result<Vec<GrownRow>, ModelError> {
    if call == 1 {
        rows[1..4].fill_with(failed);
    }
    Ok(rows)
}

fn all_but_one_later(call: u64, mut rows: Vec<GrownRow>) -> Result<Vec<GrownRow>, ModelError> {
    if call == 2 {
        let others = rows.split_off(1);
        rows.extend(each(others, |grown| grown.logprobs.clear()));
    }
    Ok(rows)
}

#[test]
fn a_chunk_without_a_row_ends_the_request_as_failed() {
    let all: [(Spoil, &str); 6] = [
        (|_, rows| Ok(rows.into_iter().map(|_| failed()).collect()), "the row timed out"),
        (|_, rows| Ok(each(rows, |grown| grown.tokens[0] = 99)), "the token 99"),
        (|_, rows| Ok(each(rows, |grown| grown.logprobs[0] = f32::NAN)), "NaN"),
        (|_, rows| Ok(each(rows, |grown| (grown.tokens.push(1), grown.logprobs.push(-1.0)).1)), "tokens"),
        (|_, rows| Ok(each(rows, |grown| *grown = Grown::default())), "0 tokens"),
        (|_, rows| Ok(each(rows, |grown| grown.logprobs.truncate(grown.tokens.len() - 1))), "log-probabilities"),
    ];
    for (spoil, words) in all {
        let (output, released) = ask(&engine(spoil));
        let output = output.unwrap();
        assert_eq!((output.status, output.finish), (Status::Failed, Finish::Failed), "{words}: {output:?}");
        assert!(output.tokens.is_empty() && output.text == "I cannot help with that.", "{words}: {output:?}");
        assert!(output.failures[0].to_string().contains(words), "{words}: {:?}", output.failures);
        assert_eq!(released, output.text, "{words}");
    }
}

#[test]
fn what_was_released_before_a_failure_stays_and_nothing_follows_but_the_refusal() {
    let later: Spoil = |call, rows| Ok(if call == 1 { rows } else { rows.into_iter().map(|_| failed()).collect() });
    let (output, released) = ask(&engine(later));
    let (output, (first, _)) = (output.unwrap(), ask(&engine(|_, rows| Ok(rows))));
    let kept = output.text.strip_suffix("\nI cannot help with that.").unwrap();
    assert_eq!((output.status, released == output.text), (Status::Failed, true), "{output:?}");
    assert!(!kept.is_empty() && first.unwrap().text.starts_with(kept), "{output:?}");
}

#[test]
fn calls_that_fail_or_lie_as_a_whole_end_the_request_with_their_error() {
    let whole: [(Spoil, &str); 3] = [
        (|_, _| Err(ModelError::Backend("no route".into())), "no route"),
        (|_, mut rows| Ok((drop(rows.pop()), rows).1), "grown rows: expected 8, found 7"),
        (|_, mut rows| Ok((rows.push(failed()), rows).1), "grown rows: expected 8, found 9"),
    ];
    for (spoil, words) in whole {
        let (error, released) = ask(&engine(spoil));
        let error = error.unwrap_err();
        assert!(matches!(error, EngineError::Model(_)) && error.to_string().contains(words), "{words}: {error}");
        assert!(released.is_empty());
    }
}
