//! Answers that are generated together (from forks, in changing order, of unequal length) equal answers that are generated alone.

mod common;

use common::golden;
use inferenceguard_candle::{CandleModel, LoadOptions};
use inferenceguard_model::{BeamId, Model, Pick, Rows, SampleRequest, Sampled, Token};
use proptest::prelude::*;

/// Draws that several answers share, and those in which they differ.
#[derive(Debug, Clone)]
struct Family {
    trunk: Vec<f64>,
    branches: Vec<Vec<f64>>,
}

/// An answer in the making.
struct Line {
    family: usize,
    branch: Option<usize>,
    id: BeamId,
    logits: Vec<f32>,
    sampled: Vec<Sampled>,
}

fn family() -> impl Strategy<Value = Family> {
    let draws = |most| prop::collection::vec(0.0..1.0f64, 1..most);
    (draws(10), prop::collection::vec(draws(16), 0..4)).prop_map(|(trunk, branches)| Family { trunk, branches })
}

fn load(name: &str) -> CandleModel {
    CandleModel::load(&golden(name), &LoadOptions::default()).unwrap()
}

fn prompt() -> Vec<Token> {
    (3..40).map(|i| (i * 7) % 290).collect()
}

/// Often enough for answers of every length.
fn ends(token: Token) -> bool {
    token.is_multiple_of(11)
}

fn draw(model: &mut CandleModel, logits: &Rows, draw: f64) -> Sampled {
    let request = SampleRequest { temperature: 1.5, ..SampleRequest::plain(Pick::Draw(draw)) };
    model.sample(logits, &[(0, request)]).unwrap()[0]
}

fn alone(model: &mut CandleModel, draws: &[f64]) -> Vec<Sampled> {
    let (id, mut latents) = model.prefill(&prompt()).unwrap();
    let mut sampled = Vec::new();
    for number in draws {
        let logits = model.project(&latents).unwrap();
        let one = draw(model, &logits, *number);
        sampled.push(one);
        if ends(one.token) {
            break;
        }
        latents = model.step(&[(id, one.token)]).unwrap();
    }
    model.release(&[id]);
    sampled
}

impl Family {
    fn draws(&self, branch: Option<usize>) -> Vec<f64> {
        let rest = branch.map_or(&[][..], |branch| &self.branches[branch]);
        [&self.trunk[..], rest].concat()
    }
}

/// Starts one line for each family, all from one prompt.
fn start(model: &mut CandleModel, families: &[Family]) -> Vec<Line> {
    let (root, latents) = model.prefill(&prompt()).unwrap();
    let logits = model.project(&latents).unwrap().to_host().unwrap().into_owned();
    let ids = model.fork(&vec![root; families.len()]).unwrap();
    model.release(&[root]);
    let line = |(family, id)| Line { family, branch: None, id, logits: logits.clone(), sampled: Vec::new() };
    ids.into_iter().enumerate().map(line).collect()
}

/// Lines at the end of their trunk become their branches.
fn fork(model: &mut CandleModel, families: &[Family], lines: Vec<Line>) -> Vec<Line> {
    let mut grown = Vec::new();
    for line in lines {
        let Family { trunk, branches } = &families[line.family];
        if line.branch.is_some() || line.sampled.len() < trunk.len() || branches.is_empty() {
            grown.push(line);
            continue;
        }
        let ids = model.fork(&vec![line.id; branches.len()]).unwrap();
        model.release(&[line.id]);
        grown.extend(ids.into_iter().enumerate().map(|(branch, id)| {
            let (branch, logits, sampled) = (Some(branch), line.logits.clone(), line.sampled.clone());
            Line { family: line.family, branch, id, logits, sampled }
        }));
    }
    grown
}

/// One token for every line; gives those that have ended.
fn grow(model: &mut CandleModel, families: &[Family], lines: &mut Vec<Line>) -> Vec<Line> {
    for line in lines.iter_mut() {
        let number = families[line.family].draws(line.branch)[line.sampled.len()];
        let logits = Rows::host(1, line.logits.len(), line.logits.clone()).unwrap();
        line.sampled.push(draw(model, &logits, number));
    }
    let over = |line: &mut Line| {
        let family = &families[line.family];
        let forks = line.branch.is_none() && !family.branches.is_empty();
        let full = !forks && line.sampled.len() == family.draws(line.branch).len();
        full || line.sampled.last().is_some_and(|one| ends(one.token))
    };
    let ended: Vec<Line> = lines.extract_if(.., over).collect();
    model.release(&ended.iter().map(|line| line.id).collect::<Vec<_>>());
    ended
}

fn step(model: &mut CandleModel, lines: &mut [Line]) {
    let rows: Vec<_> = lines.iter().map(|line| (line.id, line.sampled.last().unwrap().token)).collect();
    let latents = model.step(&rows).unwrap();
    let logits = model.project(&latents).unwrap();
    for (line, row) in lines.iter_mut().zip(logits.to_host().unwrap().chunks(logits.width())) {
        line.logits = row.to_vec();
    }
}

/// All answers, batched; the order of the rows changes with every step.
fn together(model: &mut CandleModel, families: &[Family], seed: u32) -> Vec<Line> {
    let mut lines = start(model, families);
    let mut ended = Vec::new();
    let mut turn = seed;
    while !lines.is_empty() {
        ended.extend(grow(model, families, &mut lines));
        turn = turn.wrapping_mul(747_796_405).wrapping_add(1);
        lines.sort_by_key(|line| (line.id.0 as u32).wrapping_mul(turn | 1).rotate_left(9));
        if !lines.is_empty() {
            step(model, &mut lines);
            lines = fork(model, families, lines);
        }
    }
    ended
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_do_not_depend_on_those_beside_them(
        families in prop::collection::vec(family(), 1..6),
        seed in any::<u32>(),
    ) {
        for name in ["llama2-gqa", "llama3-tied", "mistral-window", "qwen2-window", "qwen3-tied-window"] {
            let (mut many, mut one) = (load(name), load(name));
            let lines = together(&mut many, &families, seed);
            prop_assert!(lines.len() >= families.len());
            for line in &lines {
                let expected = alone(&mut one, &families[line.family].draws(line.branch));
                // Tokens and log-probabilities, to the last bit.
                prop_assert_eq!(&line.sampled, &expected, "{}: family {}, {:?}", name, line.family, line.branch);
            }
            prop_assert_eq!((many.live_beams(), one.live_beams()), (0, 0));
        }
    }
}
