//! Asks a policy on made-up rows what it would ask an engine for: policies do not declare it.

use inferenceguard_search::{
    Batch, BatchRow, BudgetState, Decision, Estimate, Moment, Needs, Policy, Retry, RowScores, SearchConfig, Source,
};
use std::sync::Arc;

/// What a policy asked for. A policy that failed on made-up rows asked for nothing.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Asks {
    /// Where the candidates of a chunk come from.
    pub(crate) source: Option<Source>,
    /// How it samples again when no candidate is safe.
    pub(crate) retry: Option<Retry>,
}

/// Plans the first chunk, then decides about candidates of which none is safe.
pub(crate) fn ask(policy: &mut dyn Policy, config: &SearchConfig, vocab: usize) -> Asks {
    let (needs, most) = (policy.needs().clone(), config.max_tokens);
    let batch = |rows: Vec<BatchRow>, depth| Batch {
        moment: Moment { chunk: 0, attempt: 0, depth, max_depth: most, last: false, unranked: config.task.is_none() },
        constraints: config.constraints.iter().map(|priced| priced.constraint.clone()).collect(),
        prompt: Arc::from("a"),
        needs: needs.clone(),
        rows: rows.into(),
    };
    let plan = policy.plan(&batch(vec![row(0, &needs, config, vocab)], 0));
    let candidates = (1..=2).map(|id| row(id, &needs, config, vocab)).collect();
    let retry = match policy.select(&batch(candidates, 1)) {
        Ok(Decision::Retry(retry)) => Some(retry),
        _ => None,
    };
    Asks { source: plan.ok().map(|plan| plan.source), retry }
}

/// The prompt's beam (0) or a candidate of one token, which breaks every budget.
fn row(id: u64, needs: &Needs, config: &SearchConfig, vocab: usize) -> BatchRow {
    let (new, constraints) = (usize::from(id > 0), config.constraints.len());
    let scores = RowScores { tokens: vec![0.0; new], end: 0.0 };
    let width = vocab.min(64);
    BatchRow {
        id,
        length: u32::from(id > 0),
        tokens: vec![0; new],
        text: "a".repeat(new),
        text_ends: vec![1; new],
        logprobs: vec![-1.0; new],
        top_k: (needs.top_k > 0).then(|| (0..needs.top_k).map(|token| (token, -1.0)).collect()),
        logits: needs.logits.then(|| vec![0.0; vocab].into()),
        latent: needs.latents.map(|_| vec![0.0; width].into()),
        token_latents: (!needs.token_latents.is_empty())
            .then(|| vec![0.0; new * width * needs.token_latents.len()].into()),
        scores: needs.scores.iter().map(|model| (model.clone(), scores.clone())).collect(),
        priced: true,
        safe: id == 0,
        budgets: vec![BudgetState { z: if id == 0 { 1.0 } else { -1.0 }, memory: Vec::new() }; constraints],
        margins: vec![if id == 0 { 1.0 } else { -1.0 }; constraints],
        spent: vec![0.0; constraints],
        task_cost: Some(0.0),
        logprob: -1.0,
        expansion_logit: Some(0.0),
        estimate: Some(Estimate { safe: vec![0.0; constraints], cost_to_go: 0.0 }),
        ..BatchRow::default()
    }
}
