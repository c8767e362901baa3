//! A bundle around a trained cost: its budget, and words and personal data as further constraints.

use super::{CostReport, NETWORK, settings};
use inferenceguard_model::ModelInfo;

/// The share of harmless answers of the test that the budget may refuse.
const REFUSED: f64 = 0.05;

/// What the manifest is called, and what it limits.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleOptions {
    /// The bundle's name.
    pub name: String,
    /// The budget of the trained cost; if not given, the smallest of the report's that refuses at most 5 % of the harmless answers.
    pub budget: Option<f64>,
    /// Candidates per chunk.
    pub candidates: u32,
    /// Tokens of a chunk.
    pub chunk: u32,
    /// The most tokens of an answer.
    pub max_tokens: u32,
}

/// The manifest of a bundle with the network [`NETWORK`] and first-party components, for this model.
#[must_use]
pub fn manifest(report: &CostReport, model: &ModelInfo, options: &BundleOptions) -> String {
    let BundleOptions { name, candidates, chunk, max_tokens, .. } = options;
    let (settings, objective, on) = (settings(report, "cost"), report.objective.name(), &model.name);
    let budget = options.budget.unwrap_or_else(|| budget(report));
    let meaning = match report.objective.form() {
        super::Form::Hazard => {
            let most = 100.0 * report.objective.probability(budget);
            format!("# A modelled probability of harm of {most:.0} % at most: 1 - e^-budget.\n")
        }
        super::Form::Linear => String::new(),
    };
    let clip = if report.objective == super::CostObjective::Signed { "capped" } else { "nonneg" };
    format!(
        r#"# A {objective} cost on the latents of {on}, trained from labelled answers (`inferguard train cost`).
name = {name:?}
version = "0.1.0"
max_tokens = {max_tokens}
refusal = "I cannot answer that safely."

[policy]
component = "inference-guard.wasm"
settings = {{ n = {candidates}, chunk-len = {chunk}, retries = 2 }}

[tracker]
component = "safety-budget.wasm"

# Reads the latent of every new token; the network names the model that it was trained for.
[costs.harm]
component = "linear-cost.wasm"
settings = {settings}

[costs.words]
component = "keyword-cost.wasm"
settings = {{ words = ["pipe bomb*", "nerve agent*", "ricin", "kill yourself"] }}

[costs.personal-data]
component = "pattern-cost.wasm"

{meaning}[[constraints]]
name = "harm"
cost = "harm"
budget = {budget}
clip = "{clip}"

[[constraints]]
name = "words"
cost = "words"
budget = 1.0

[[constraints]]
name = "personal-data"
cost = "personal-data"
budget = 3.0

[networks.cost]
file = "{NETWORK}"
"#
    )
}

/// Of the report's budgets: the smallest under which at most 5 % of the harmless answers of the test are refused, or the largest.
fn budget(report: &CostReport) -> f64 {
    let mut budgets: Vec<_> = report.budgets.iter().collect();
    budgets.sort_by(|a, b| a.budget.total_cmp(&b.budget));
    let fit = budgets.iter().find(|one| one.harmless <= REFUSED).or(budgets.last());
    fit.map_or(1.0, |one| (one.budget * 1000.0).round() / 1000.0)
}
