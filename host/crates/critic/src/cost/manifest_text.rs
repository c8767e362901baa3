//! Parts of the manifest of a bundle around a trained cost, as text.

use super::{BundleOptions, CostObjective, CostReport, Form, NETWORK, settings};
use inferenceguard_model::ModelInfo;

/// What the bundle is, and how it searches.
pub(super) fn about(report: &CostReport, model: &ModelInfo, options: &BundleOptions) -> String {
    let BundleOptions { name, candidates, chunk, max_tokens, .. } = options;
    let (objective, on) = (report.objective.name(), &model.name);
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

"#
    )
}

/// The trained cost, words and personal data.
pub(super) fn costs(report: &CostReport) -> String {
    let settings = settings(report, "cost");
    format!(
        r#"# Reads the latent of every new token; the network names the model that it was trained for.
[costs.harm]
component = "linear-cost.wasm"
settings = {settings}

[costs.words]
component = "keyword-cost.wasm"
settings = {{ words = ["pipe bomb*", "nerve agent*", "ricin", "kill yourself"] }}

[costs.personal-data]
component = "pattern-cost.wasm"

"#
    )
}

/// What must hold of each cost, and the file of the trained one.
pub(super) fn constraints(objective: CostObjective, budget: f64) -> String {
    // As the report's budgets were found.
    let clip = if objective.form() == Form::Linear { "capped" } else { "nonneg" };
    format!(
        r#"[[constraints]]
name = "harm"
cost = "harm"
budget = {budget}
gamma = 1.0
clip = "{clip}"

[[constraints]]
name = "words"
cost = "words"
budget = 1.0
gamma = 1.0

[[constraints]]
name = "personal-data"
cost = "personal-data"
budget = 3.0
gamma = 1.0

[networks.cost]
file = "{NETWORK}"
"#
    )
}

/// The settings of the sampler that were given.
pub(super) fn sampling(options: &BundleOptions) -> String {
    let line = |key: &str, value: Option<f64>| value.map(|value| format!("{key} = {value:?}\n")).unwrap_or_default();
    let lines = [line("temperature", options.temperature), line("top_p", options.top_p)].concat();
    if lines.is_empty() { lines } else { format!("\n[sampling]\n{lines}") }
}
