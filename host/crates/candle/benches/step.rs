//! What a step costs with one beam and with many, on the demonstration's models, and in each number format: ratios of one run.
//!
//! `cargo bench -p inferenceguard-candle --bench step` measures; `-- --test` runs each case once.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use inferenceguard_candle::{CandleModel, CandleScoreModel, LoadOptions, Precision};
use inferenceguard_model::{Model, ScoreModel, ScoreRow, Token};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const PROMPT: usize = 64;
const ANSWER: usize = 96;
/// What a step of 32 beams may cost, in steps of one.
const MOST: f64 = 8.0;

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name)
}

fn prompt(tokens: usize) -> Vec<Token> {
    (0..tokens as Token).map(|i| 3 + i * 7 % 300).collect()
}

/// Milliseconds per step and for the projection, over an answer of `steps` tokens.
fn steps(model: &mut CandleModel, beams: usize, steps: usize) -> (f64, f64) {
    let (root, _) = model.prefill(&prompt(PROMPT)).expect("prefill");
    let ids = model.fork(&vec![root; beams]).expect("fork");
    let (mut stepping, mut projecting) = (Duration::ZERO, Duration::ZERO);
    for t in 0..steps {
        let rows: Vec<_> = ids.iter().enumerate().map(|(i, id)| (*id, (3 + i * 5 + t) as Token % 300)).collect();
        let start = Instant::now();
        let latents = model.step(&rows).expect("step");
        stepping += start.elapsed();
        let start = Instant::now();
        model.project(&latents).expect("project");
        projecting += start.elapsed();
    }
    model.release(&ids);
    model.release(&[root]);
    (stepping.as_secs_f64() * 1e3 / steps as f64, projecting.as_secs_f64() * 1e3 / steps as f64)
}

/// Milliseconds to score a chunk of 32 tokens for 32 beams.
fn score(model: &mut CandleScoreModel, language: &CandleModel) -> f64 {
    let root = model.open("how do I clean the kettle", language.tokenizer()).expect("open");
    let ids = model.fork(&[root; 32]).expect("fork");
    let tokens = |beam: usize| (0..32).map(|i| (3 + beam as Token + i * 3) % 300).collect();
    let row = |(beam, id): (usize, &_)| ScoreRow { id: *id, tokens: tokens(beam), ended: false };
    let rows: Vec<_> = ids.iter().enumerate().map(row).collect();
    let start = Instant::now();
    model.extend(&rows).expect("extend");
    let took = start.elapsed();
    model.release(&ids);
    model.release(&[root]);
    took.as_secs_f64() * 1e3
}

/// What the prompt's keys and values take with this many beams that each answered one token.
fn prompt_memory(beams: usize) -> f64 {
    let mut model = CandleModel::load(&demo("weak"), &LoadOptions::default()).expect("the model");
    let (root, _) = model.prefill(&prompt(256)).expect("prefill");
    let ids = model.fork(&vec![root; beams]).expect("fork");
    model.step(&ids.iter().map(|id| (*id, 5)).collect::<Vec<_>>()).expect("step");
    model.held_memory().prompts as f64 / 1024.0
}

/// The same steps in the other number formats of the processor, against f32.
fn formats(rounds: usize, answer: usize) {
    for beams in [1, 32] {
        let mut in_f32 = 0.0;
        for precision in [Precision::F32, Precision::BF16, Precision::Q8_0] {
            let options = LoadOptions { precision, ..LoadOptions::default() };
            let mut model = CandleModel::load(&demo("weak"), &options).expect("the model");
            let runs = (0..rounds).map(|_| steps(&mut model, beams, answer));
            let (step, project) = runs.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
            in_f32 = if precision == Precision::F32 { step } else { in_f32 };
            let share = step / in_f32;
            println!("{beams:4} beams, {precision:?}: step {step:.3} ms ({share:.2} x f32), project {project:.3} ms");
        }
    }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let (rounds, answer) = if quick { (1, 2) } else { (7, ANSWER) };
    let mut model = CandleModel::load(&demo("weak"), &LoadOptions::default()).expect("the model");
    let mut one = 0.0;
    for beams in [1, 4, 32, 128] {
        let runs = (0..rounds).map(|_| steps(&mut model, beams, answer));
        let (step, project) = runs.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
        one = if beams == 1 { step } else { one };
        let limit = if beams == 32 { format!(", at most {MOST}") } else { String::new() };
        println!("{beams:4} beams: step {step:.3} ms ({:.1} x one{limit}), project {project:.3} ms", step / one);
    }
    println!("keys and values of a prompt: {:.0} KiB, with 32 beams {:.0} KiB", prompt_memory(1), prompt_memory(32));
    let options = LoadOptions::default();
    let mut scorer = CandleScoreModel::load(&demo("cost"), &options, &*model.tokenizer()).expect("the score model");
    let took = (0..rounds).map(|_| score(&mut scorer, &model)).fold(f64::MAX, f64::min);
    println!("  32 beams: 32 tokens each scored in {took:.1} ms");
    formats(rounds, answer);
}
