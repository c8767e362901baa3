//! The parts of a request, by criterion: steps, projections, draws and scores of the demonstration's models, by beams.
//!
//! `cargo bench -p inferenceguard-candle --bench parts` measures, and compares with the run before; `-- --test` runs each once.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use inferenceguard_candle::{CandleModel, CandleScoreModel, LoadOptions, Precision};
use inferenceguard_model::{BeamId, Model, Pick, Rows, SampleRequest, ScoreModel, ScoreRow, Token};
use std::path::{Path, PathBuf};

const BEAMS: [usize; 4] = [1, 8, 32, 128];
/// Tokens of a prompt.
const PROMPT: Token = 64;
/// Tokens of a chunk.
const CHUNK: Token = 32;

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name)
}

fn options(precision: Precision) -> LoadOptions {
    LoadOptions { precision, ..LoadOptions::default() }
}

fn language(precision: Precision) -> CandleModel {
    CandleModel::load(&demo("weak"), &options(precision)).expect("the demonstration's model")
}

/// Beams of one prompt.
fn beams(model: &mut CandleModel, count: usize) -> (BeamId, Vec<BeamId>) {
    let prompt: Vec<Token> = (0..PROMPT).map(|i| 3 + i * 7 % 300).collect();
    let (root, _) = model.prefill(&prompt).expect("a prompt");
    (root, model.fork(&vec![root; count]).expect("beams"))
}

/// One token for each.
fn step(model: &mut CandleModel, beams: &[BeamId], at: Token) -> Rows {
    let rows: Vec<_> = (0..).zip(beams).map(|(i, beam)| (*beam, (3 + i * 5 + at) % 300)).collect();
    model.step(&rows).expect("a step")
}

/// A chunk of steps, from the prompt on.
fn steps(c: &mut Criterion) {
    for precision in [Precision::F32, Precision::BF16, Precision::Q8_0] {
        let mut group = c.benchmark_group(format!("a chunk of steps, {precision:?}"));
        let mut model = language(precision);
        for count in BEAMS {
            group.throughput(Throughput::Elements(count as u64 * u64::from(CHUNK)));
            group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, count| {
                b.iter(|| {
                    let (root, beams) = beams(&mut model, *count);
                    (0..CHUNK).for_each(|at| drop(step(&mut model, &beams, at)));
                    model.release(&beams);
                    model.release(&[root]);
                });
            });
        }
    }
}

/// Latents to logits, and a draw from each.
fn draws(c: &mut Criterion) {
    let mut group = c.benchmark_group("projections and draws");
    let mut model = language(Precision::F32);
    for count in BEAMS {
        let (root, beams) = beams(&mut model, count);
        let latents = step(&mut model, &beams, 0);
        let plain = SampleRequest::plain(Pick::Draw(0.5));
        let requests: Vec<_> = (0..count).map(|row| (row, plain.clone())).collect();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| {
                let logits = model.project(&latents).expect("logits");
                model.sample(&logits, &requests).expect("tokens")
            });
        });
        model.release(&beams);
        model.release(&[root]);
    }
}

/// A chunk of every beam, read by a score model.
fn scores(c: &mut Criterion) {
    let tokenizer = language(Precision::F32).tokenizer();
    for precision in [Precision::F32, Precision::BF16, Precision::Q8_0] {
        let mut group = c.benchmark_group(format!("a chunk of scores, {precision:?}"));
        let mut model =
            CandleScoreModel::load(&demo("reward"), &options(precision), &*tokenizer).expect("a score model");
        let root = model.open("how do I clean the kettle", tokenizer.clone()).expect("a prompt");
        for count in BEAMS {
            group.throughput(Throughput::Elements(count as u64 * u64::from(CHUNK)));
            group.bench_with_input(BenchmarkId::from_parameter(count), &count, |b, count| {
                b.iter(|| {
                    let ids = model.fork(&vec![root; *count]).expect("beams");
                    let tokens = |beam: Token| (0..CHUNK).map(|i| (3 + beam + i * 3) % 300).collect();
                    let row = |(beam, id): (Token, &_)| ScoreRow { id: *id, tokens: tokens(beam), ended: false };
                    let rows: Vec<_> = (0..).zip(&ids).map(row).collect();
                    let scored = model.extend(&rows).expect("scores");
                    model.release(&ids);
                    scored
                });
            });
        }
    }
}

criterion_group!(parts, steps, draws, scores);
criterion_main!(parts);
