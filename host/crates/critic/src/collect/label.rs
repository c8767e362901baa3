//! What answers cost: the labeller prices them, and every price is checked.

use crate::error::{CriticError, Result, beginning};
use inferenceguard_model::Token;
use std::error::Error;

/// What one answer costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Per constraint, the cost of every token, in the cost's unit; neither discounted nor clipped.
    pub costs: Vec<Vec<f64>>,
    /// The task cost of the whole answer: lower is better, a negative reward.
    pub task_cost: f64,
}

/// Prices finished answers: by score models, by a bundle's cost components, by rules.
pub trait Labeller {
    /// Changes whenever the same answer might get another label. Trajectories with another fingerprint are refused.
    fn fingerprint(&self) -> String;

    /// One label for each answer to a prompt, in order. An answer ends with an end token if the model gave one.
    ///
    /// # Errors
    /// Whatever keeps it from pricing; the run stops there and can be continued.
    fn label(
        &mut self,
        prompt: &str,
        answers: &[&[Token]],
    ) -> std::result::Result<Vec<Label>, Box<dyn Error + Send + Sync>>;
}

/// Labels of the answers to one prompt, with every number looked at.
pub(super) fn labels(
    labeller: &mut dyn Labeller,
    (prompt, text): (usize, &str),
    answers: &[&[Token]],
    constraints: usize,
) -> Result<Vec<Label>> {
    let failed = |source| CriticError::Labels { prompt, text: beginning(text), source };
    let labels = labeller.label(text, answers).map_err(failed)?;
    if labels.len() != answers.len() {
        return Err(failed(format!("{} labels for {} answers", labels.len(), answers.len()).into()));
    }
    for (answer, (label, tokens)) in labels.iter().zip(answers).enumerate() {
        if let Some((what, found, expected)) = wrong(label, tokens.len(), constraints) {
            return Err(CriticError::Record { prompt, text: beginning(text), answer, what, found, expected });
        }
    }
    Ok(labels)
}

/// The first thing that is wrong with a label: what, found, expected.
fn wrong(label: &Label, tokens: usize, constraints: usize) -> Option<(String, String, &'static str)> {
    const NUMBER: &str = "a finite number; check the weights and the number format of the score model";
    if !label.task_cost.is_finite() {
        return Some(("the task cost (the negative reward)".to_owned(), label.task_cost.to_string(), NUMBER));
    }
    if label.costs.len() != constraints {
        let found = label.costs.len().to_string();
        return Some(("the number of costs".to_owned(), found, "one list per constraint"));
    }
    for (constraint, costs) in label.costs.iter().enumerate() {
        if costs.len() != tokens {
            let what = format!("the number of prices for constraint {constraint}");
            return Some((what, format!("{} for {tokens} tokens", costs.len()), "one per token"));
        }
        if let Some(token) = costs.iter().position(|cost| !cost.is_finite()) {
            let what = format!("the cost of token {token} for constraint {constraint}");
            return Some((what, costs[token].to_string(), NUMBER));
        }
    }
    None
}
