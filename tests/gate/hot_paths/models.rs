//! Steps, projections and scores of the demonstration's models.

use crate::{Work, compute_here};
use inferenceguard_candle::{CandleModel, CandleScoreModel, LoadOptions, Precision};
use inferenceguard_model::{BeamId, Model, Pick, SampleRequest, ScoreModel, ScoreRow, Token};
use std::{
    hint::black_box,
    path::{Path, PathBuf},
};

const BEAMS: usize = 8;
/// Tokens of the prompt, and of a chunk that is scored.
const PROMPT: Token = 32;
const CHUNK: Token = 8;

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/demo").join(name)
}

fn options(precision: Precision) -> LoadOptions {
    LoadOptions { precision, ..LoadOptions::default() }
}

/// The demonstration's model, and beams of one prompt.
fn language(precision: Precision) -> (CandleModel, Vec<BeamId>) {
    compute_here();
    let mut model = CandleModel::load(&demo("weak"), &options(precision)).expect("the demonstration's model");
    let prompt: Vec<Token> = (0..PROMPT).map(|i| 3 + i * 7 % 300).collect();
    let (root, _) = model.prefill(&prompt).expect("a prompt");
    let beams = model.fork(&[root; BEAMS]).expect("beams");
    (model, beams)
}

fn rows(beams: &[BeamId], at: Token) -> Vec<(BeamId, Token)> {
    (0..).zip(beams).map(|(i, beam)| (*beam, (3 + i * 5 + at) % 300)).collect()
}

pub(crate) fn step_f32() -> Work {
    step(Precision::F32)
}

pub(crate) fn step_q8_0() -> Work {
    step(Precision::Q8_0)
}

fn step(precision: Precision) -> Work {
    let (mut model, beams) = language(precision);
    let mut at = 0;
    Box::new(move || {
        at += 1;
        drop(black_box(model.step(&rows(&beams, at)).expect("a step")));
    })
}

pub(crate) fn project_and_draw() -> Work {
    let (mut model, beams) = language(Precision::F32);
    let latents = model.step(&rows(&beams, 0)).expect("a step");
    let requests: Vec<_> = (0..BEAMS).map(|row| (row, SampleRequest::plain(Pick::Draw(0.5)))).collect();
    Box::new(move || {
        let logits = model.project(black_box(&latents)).expect("logits");
        drop(black_box(model.sample(&logits, &requests).expect("tokens")));
    })
}

pub(crate) fn score() -> Work {
    let tokenizer = language(Precision::F32).0.tokenizer();
    let loaded = CandleScoreModel::load(&demo("reward"), &options(Precision::F32), &*tokenizer);
    let mut model = loaded.expect("the demonstration's reward model");
    let root = model.open("how do I clean the kettle", tokenizer).expect("a prompt");
    Box::new(move || {
        let ids = model.fork(&[root; BEAMS]).expect("rows");
        let tokens = |beam: Token| (0..CHUNK).map(|i| (3 + beam + i * 3) % 300).collect();
        let row = |(beam, id): (Token, &_)| ScoreRow { id: *id, tokens: tokens(beam), ended: false };
        let rows: Vec<_> = (0..).zip(&ids).map(row).collect();
        drop(black_box(model.extend(&rows).expect("scores")));
        model.release(&ids);
    })
}
