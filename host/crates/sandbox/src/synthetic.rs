//! Made-up rows for trying a component: everything it declared, filled with plain values.

use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Constraint, ConstraintMode, CostClip, Estimate, Moment, Needs, RowScores,
    SearchLimits, Tracked,
};
use std::sync::Arc;

const TEXTS: [&str; 3] = ["I can help with that.", " Grüße, wie geht's?", "x"];
/// Token ids of the rows are below this.
const TOKENS: u32 = 64;

/// What the rows must look like to a component: as those of the deployment that it is part of.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Numbers per latent.
    pub hidden: usize,
    /// Logits per row; at least 1.
    pub vocabulary: usize,
    /// The constraints, in their order.
    pub constraints: Vec<Constraint>,
    /// What a policy may ask for.
    pub limits: SearchLimits,
    /// Whether no task cost ranks answers.
    pub unranked: bool,
}

impl Default for Shape {
    /// Of no deployment in particular: latents of 16 numbers, 64 tokens, and one constraint.
    fn default() -> Self {
        let (clip, mode) = (CostClip::Capped, ConstraintMode::Anytime);
        let constraint = Constraint { name: "harm".to_owned(), budget: 10.0, gamma: 1.0, clip, mode };
        let constraints = vec![constraint];
        Self { hidden: 16, vocabulary: 64, constraints, limits: SearchLimits::default(), unranked: false }
    }
}

/// Three rows, the last of them finished.
pub(crate) fn batch(needs: &Needs, shape: &Shape) -> Batch {
    let moment = Moment { chunk: 1, attempt: 0, depth: 8, max_depth: 32, last: false, unranked: shape.unranked };
    let rows = (0_u8..).zip(TEXTS).map(|(n, text)| row(n, text, needs, shape)).collect();
    let constraints = shape.constraints.clone().into();
    Batch { moment, constraints, prompt: "How are you?".into(), needs: needs.clone(), rows }
}

/// Rows for a tracker: no costs, some, and a last one.
pub(crate) fn tracked(state: &BudgetState) -> Vec<Tracked> {
    let one = |costs: &[f64], ended| Tracked { state: state.clone(), costs: costs.to_vec(), ended };
    vec![one(&[], false), one(&[1.5, -0.5, 0.0], false), one(&[3.0, 9.0], true)]
}

fn row(n: u8, text: &str, needs: &Needs, shape: &Shape) -> BatchRow {
    let count = text.chars().count();
    let ids = u32::try_from(shape.vocabulary).unwrap_or(u32::MAX).clamp(1, TOKENS);
    let tokens: Vec<u32> = text.chars().map(|c| u32::from(c) % ids).collect();
    let budgets = |tenths: f64| shape.constraints.iter().map(move |one| one.budget * tenths / 10.0);
    let (left, spent) = (8.0 - f64::from(n), 2.0 + f64::from(n));
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
        top_k: (needs.top_k > 0).then(|| {
            (0..needs.top_k.min(shape.vocabulary as u32)).map(|token| (token, -0.1 * (token as f32 + 1.0))).collect()
        }),
        logits: needs.logits.then(|| wave(n, shape.vocabulary)),
        latent: needs.latents.map(|_| wave(n, shape.hidden)),
        token_latents: (!needs.token_latents.is_empty())
            .then(|| wave(n, count * shape.hidden * needs.token_latents.len())),
        scores: needs.scores.iter().map(|model| (model.clone(), scores(n, count))).collect(),
        priced: true,
        safe: true,
        budgets: budgets(left).map(|z| BudgetState { z, memory: Vec::new() }).collect(),
        margins: budgets(left).collect(),
        spent: budgets(spent).collect(),
        task_cost: (!shape.unranked).then(|| f64::from(n) - 1.0),
        logprob: -0.5 * count as f64,
        expansion_logit: Some(f32::from(n)),
        estimate: Some(Estimate { safe: vec![0.9; shape.constraints.len()], cost_to_go: 0.25 }),
        tokens,
    }
}

fn scores(n: u8, count: usize) -> RowScores {
    RowScores { tokens: wave(n, count).to_vec(), end: f32::from(n) }
}

fn wave(n: u8, width: usize) -> Arc<[f32]> {
    (0..width).map(|at| (at as f32 + f32::from(n)).sin()).collect()
}
