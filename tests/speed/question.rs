//! The rows of a call in the middle of a request: 32 rows of 32 new tokens each.

use crate::native_support::{CONSTRAINTS, HIDDEN};
use inferenceguard_sandbox::SettingValue;
use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Constraint, ConstraintMode, CostClip, Estimate, Moment, Needs, RowScores, Tracked,
};
use std::sync::Arc;

pub(crate) const ROWS: usize = 32;
const TOKENS: usize = 32;

const WORDS: [&str; 12] =
    ["to", "clean", "the", "kettle", "call", "012-345", "first", "and", "never", "mix", "what's", "there."];

/// A list as long as an operator's.
pub(crate) fn words() -> SettingValue {
    SettingValue::Weighted((0..300).map(|n| (format!("forbidden phrase {}", letters(n)), 1.0 + f64::from(n))).collect())
}

fn letters(n: u32) -> String {
    [n / 26 / 26, n / 26, n].iter().filter_map(|n| char::from_digit(n % 26 + 10, 36)).collect()
}

pub(crate) fn constraints() -> Arc<[Constraint]> {
    let one = |n| Constraint {
        name: format!("constraint {n}"),
        budget: 10.0,
        gamma: 0.999,
        clip: CostClip::Capped,
        mode: ConstraintMode::Anytime,
    };
    (0..CONSTRAINTS).map(one).collect()
}

/// These rows with every column that the first-party components read.
pub(crate) fn batch(rows: usize, needs: &Needs) -> Batch {
    let moment = Moment { chunk: 1, attempt: 0, depth: 64, max_depth: 128, last: false, unranked: false };
    let rows = (0..rows).map(row).collect();
    Batch { moment, constraints: constraints(), prompt: "How do I clean it?".into(), needs: needs.clone(), rows }
}

fn row(n: usize) -> BatchRow {
    let pieces: Vec<String> = (0..TOKENS).map(|at| format!(" {}", WORDS[(at * 5 + n * 7) % WORDS.len()])).collect();
    let text_ends = pieces.iter().scan(0, |end, piece| {
        *end += piece.chars().count() as u32;
        Some(*end)
    });
    let wave = |count: usize| (0..count).map(|at| ((at * 13 + n * 29) % 17) as f32 / 17.0 - 0.5).collect::<Vec<f32>>();
    let scores = RowScores { tokens: wave(TOKENS), end: n as f32 / 8.0 };
    let margin = 4.0 - n as f64 / 8.0;
    BatchRow {
        id: n as u64 + 100,
        parent: n as u64 / 4,
        length: 2 * TOKENS as u32,
        tokens: (0..TOKENS as u32).collect(),
        text_ends: text_ends.collect(),
        text: pieces.concat(),
        lookback: WORDS.join(" ").repeat(20),
        latent: Some(wave(HIDDEN).into()),
        scores: ["cost", "reward"].map(|name| (name.to_owned(), scores.clone())).into(),
        priced: true,
        safe: true,
        budgets: vec![BudgetState { z: margin, memory: vec![] }; CONSTRAINTS],
        margins: vec![margin; CONSTRAINTS],
        spent: vec![1.0; CONSTRAINTS],
        task_cost: Some(f64::from((n * 11 % 31) as u32)),
        estimate: Some(Estimate { safe: vec![0.75; CONSTRAINTS], cost_to_go: n as f64 }),
        ..BatchRow::default()
    }
}

/// The rows of a tracker that started like this.
pub(crate) fn tracked(state: &BudgetState) -> Vec<Tracked> {
    let costs = |n: usize| (0..TOKENS).map(|at| ((at * 3 + n) % 7) as f64 / 40.0 - 0.05).collect();
    (0..ROWS).map(|n| Tracked { state: state.clone(), costs: costs(n), ended: false }).collect()
}
