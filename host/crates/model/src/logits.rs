//! Rows of logits: their log-probabilities, and the most likely tokens.

use crate::Token;

/// Log-probabilities of a row of logits, in f32, summed in f64.
#[must_use]
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let log_sum = log_sum_exp(logits);
    logits.iter().map(|l| l - log_sum).collect()
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let (max, sum) = max_and_sum(logits);
    sum.ln() as f32 + max
}

/// The largest logit, and the sum of exponentials above it.
pub(crate) fn max_and_sum(logits: &[f32]) -> (f32, f64) {
    let max = largest(logits);
    (max, logits.iter().map(|l| f64::from(l - max).exp()).sum())
}

/// The largest logit; negative infinity if there is none.
pub(crate) fn largest(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The `k` largest entries, best first, ties by token.
#[must_use]
pub fn top_k(values: &[f32], k: usize) -> Vec<(Token, f32)> {
    let mut order: Vec<(Token, f32)> = values.iter().enumerate().map(|(i, v)| (i as Token, *v)).collect();
    let k = k.min(order.len());
    if k < order.len() && k > 0 {
        order.select_nth_unstable_by(k - 1, better);
    }
    order.truncate(k);
    order.sort_unstable_by(better);
    order
}

/// Adding 0 turns -0 into 0, so that the sign of a zero, which differs between back ends, does not break ties.
fn better(a: &(Token, f32), b: &(Token, f32)) -> std::cmp::Ordering {
    (b.1 + 0.0).total_cmp(&(a.1 + 0.0)).then(a.0.cmp(&b.0))
}
