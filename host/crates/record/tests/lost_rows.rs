//! Explanations count candidates that a back end did not grow.

use inferenceguard_model::{GrowRow, GrowingText, Grown, Growth, Pick, SampleRequest};
use inferenceguard_record::{Body, read};
use inferenceguard_search::{Answer, Batch, BatchRow, BeamKey, Decision, FailureKind, GrowNeed, Moment, Need, Trace};
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

#[test]
fn the_rows_that_were_lost_are_counted_at_the_decision_about_the_others() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/earlier/format-1-signed.jsonl");
    let body = read(&file).unwrap().find_map(|line| line.unwrap().body).unwrap();
    // Of four rows one fails and one is not as asked. The next chunk is whole; the last decision is about rows that were kept.
    let events =
        vec![grow(&[1, 2, 3, 4], 1), select(0, &[3, 4]), grow(&[5, 6], 0), select(1, &[5, 6, 3]), select(2, &[5])];
    let body = Body { trace: Trace { events }, ..body };
    let lost: Vec<usize> = body.steps().iter().map(|step| step.lost).collect();
    assert_eq!(lost, [2, 0, 0]);
}
