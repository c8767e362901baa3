//! Explanations count candidates that a back end did not grow.

use inferenceguard_model::{GrowRow, GrowingText, Grown, Growth, Pick, SampleRequest};
use inferenceguard_record::{Body, read};
use inferenceguard_search::{
    Answer, Batch, BatchRow, BeamKey, Decision, FailureKind, GrowNeed, Moment, Need, Plan, Retry, Role, RoleFailure,
    Trace,
};
use std::path::Path;

fn grow(beams: &[BeamKey], failed: usize) -> (Need, Answer) {
    let row = || GrowRow { parent: 0, picks: Vec::new(), seed: 1, repeated: Vec::new(), text: GrowingText::default() };
    let rows: Vec<GrowNeed> = beams.iter().map(|beam| GrowNeed { beam: *beam, row: row() }).collect();
    let sampling = SampleRequest::plain(Pick::Rank(0));
    let growth = Growth { max_tokens: 1, sampling, penalties: Vec::new(), end: Vec::new(), stop: Vec::new() };
    let whole = || Ok(Grown { tokens: vec![1], logprobs: vec![0.0] });
    let lost = || Err(FailureKind::Refused("connection reset".into()));
    let answers = (0..rows.len()).map(|at| if at < failed { lost() } else { whole() }).collect();
    (Need::Grow { growth, rows }, Answer::Grown(answers))
}

fn select(chunk: u32, beams: &[BeamKey]) -> (Need, Answer) {
    let rows = beams.iter().map(|id| BatchRow { id: *id, ..BatchRow::default() }).collect();
    let moment = Moment { chunk, ..Moment::default() };
    (Need::Select(Batch { moment, rows, ..Batch::default() }), Answer::Decided(Ok(Decision::Keep(vec![0]))))
}

fn plan(chunk: u32) -> (Need, Answer) {
    let moment = Moment { chunk, ..Moment::default() };
    (Need::Plan(Batch { moment, ..Batch::default() }), Answer::Plan(Ok(Plan::new(vec![2], 1))))
}

fn release() -> (Need, Answer) {
    (Need::Release { beams: vec![1], scored: Vec::new() }, Answer::Done)
}

fn body() -> Body {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/earlier/format-1-signed.jsonl");
    read(&file).unwrap().find_map(|line| line.unwrap().body).unwrap()
}

#[test]
fn a_chunk_that_lost_all_rows_is_the_last_step() {
    let retry = (select(0, &[1, 2]).0, Answer::Decided(Ok(Decision::Retry(Retry { penalty: 1.0, max_mass: 1.0 }))));
    let kept = vec![plan(0), grow(&[1, 2], 0), select(0, &[1, 2]), plan(1), grow(&[3, 4, 5], 3), release()];
    let retried = vec![plan(0), grow(&[1, 2], 0), retry, release(), grow(&[3, 4, 5], 3), release()];
    for (events, chunk, attempt) in [(kept, 1, 0), (retried, 0, 1)] {
        let kind = FailureKind::Refused("connection reset".into());
        let mut body = Body { trace: Trace { events, ..Trace::default() }, ..body() };
        body.outcome.failures = vec![RoleFailure { role: Role::Model, component: "language".into(), kind }];
        let steps = body.steps();
        let last = steps.last().unwrap();
        assert_eq!((steps.len(), last.chunk, last.attempt), (2, chunk, attempt), "{steps:?}");
        assert_eq!((last.candidates, last.safe, last.lost), (0, 0, 3), "{last:?}");
        assert!(last.decision.contains("connection reset"), "{last:?}");
        body.outcome.failures.clear();
        assert_eq!(body.steps().len(), 1, "a cancelled request has no failure of its model");
    }
}

#[test]
fn the_rows_that_were_lost_are_counted_at_the_decision_about_the_others() {
    // Of four rows one fails and one is not as asked. The next chunk is whole; the last decision is about rows that were kept.
    let events =
        vec![grow(&[1, 2, 3, 4], 1), select(0, &[3, 4]), grow(&[5, 6], 0), select(1, &[5, 6, 3]), select(2, &[5])];
    let body = Body { trace: Trace { events, ..Trace::default() }, ..body() };
    let lost: Vec<usize> = body.steps().iter().map(|step| step.lost).collect();
    assert_eq!(lost, [2, 0, 0]);
}
