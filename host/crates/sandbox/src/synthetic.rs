//! Made-up rows for trying a component: everything it declared, filled with plain values.

use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Constraint, ConstraintMode, CostClip, Estimate, Moment, Needs, RowScores, Tracked,
};
use std::sync::Arc;

const TEXTS: [&str; 3] = ["I can help with that.", " Grüße, wie geht's?", "x"];
const WIDTH: usize = 16;
const VOCABULARY: usize = 64;

pub(crate) fn constraint() -> Constraint {
    let (clip, mode) = (CostClip::Capped, ConstraintMode::Anytime);
    Constraint { name: "harm".to_owned(), budget: 10.0, gamma: 1.0, clip, mode }
}

/// Three rows, the last of them finished.
pub(crate) fn batch(needs: &Needs) -> Batch {
    let moment = Moment { chunk: 1, attempt: 0, depth: 8, max_depth: 32, last: false, unranked: false };
    let rows = (0_u8..).zip(TEXTS).map(|(n, text)| row(n, text, needs)).collect();
    Batch { moment, constraints: Arc::new([constraint()]), prompt: "How are you?".into(), needs: needs.clone(), rows }
}

/// Rows for a tracker: no costs, some, and a last one.
pub(crate) fn tracked(state: &BudgetState) -> Vec<Tracked> {
    let one = |costs: &[f64], ended| Tracked { state: state.clone(), costs: costs.to_vec(), ended };
    vec![one(&[], false), one(&[1.5, -0.5, 0.0], false), one(&[3.0, 9.0], true)]
}

fn row(n: u8, text: &str, needs: &Needs) -> BatchRow {
    let count = text.chars().count();
    let tokens: Vec<u32> = text.chars().map(|c| u32::from(c) % 64).collect();
    let finished = usize::from(n) + 1 == TEXTS.len();
    BatchRow {
        id: u64::from(n) + 10,
        parent: u64::from(n),
        finished,
        length: u32::try_from(count).unwrap_or(u32::MAX),
        text: text.to_owned(),
        text_ends: (1..).take(count).collect(),
        lookback: "so far, so good. ".chars().take(needs.lookback as usize).collect(),
        logprobs: vec![-0.5; count],
        top_k: (needs.top_k > 0).then(|| (0..needs.top_k).map(|token| (token, -0.1 * (token as f32 + 1.0))).collect()),
        logits: needs.logits.then(|| wave(n, VOCABULARY)),
        latent: needs.latents.map(|_| wave(n, WIDTH)),
        scores: needs.scores.iter().map(|model| (model.clone(), scores(n, count))).collect(),
        priced: true,
        safe: true,
        budgets: vec![BudgetState { z: 8.0 - f64::from(n), memory: Vec::new() }],
        margins: vec![8.0 - f64::from(n)],
        spent: vec![2.0 + f64::from(n)],
        task_cost: Some(f64::from(n) - 1.0),
        logprob: -0.5 * count as f64,
        expansion_logit: Some(f32::from(n)),
        estimate: Some(Estimate { safe: vec![0.9], cost_to_go: 0.25 }),
        tokens,
    }
}

fn scores(n: u8, count: usize) -> RowScores {
    RowScores { tokens: wave(n, count).to_vec(), end: f32::from(n) }
}

fn wave(n: u8, width: usize) -> Arc<[f32]> {
    (0_u16..).take(width).map(|at| (f32::from(at) + f32::from(n)).sin()).collect()
}
