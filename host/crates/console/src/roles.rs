//! What the components of a bundle see and may do, in words.

use crate::{answer, escape};
use inferenceguard_bundle::Limits;
use inferenceguard_host::Output;
use inferenceguard_model::LatentSelector;
use inferenceguard_search::{CostGrain, CostKind, Needs, RolesInfo};
use std::collections::BTreeSet;

/// What each role sees and may do.
#[must_use]
pub fn words(roles: &RolesInfo) -> String {
    let mut lines = vec![
        line(
            "policy",
            &roles.policy,
            "costs, estimates and what is left of the budgets",
            "chooses among candidates; what it answers with is audited",
        ),
        "tracker: sees the costs of one constraint. It tells what is left of the budget; the host adds up on its own"
            .to_owned(),
    ];
    if let Some(needs) = &roles.critic {
        lines.push(line("critic", needs, "", "estimates how an answer will end"));
    }
    if let Some(needs) = &roles.steering {
        lines.push(line("steering", needs, "", "changes latents before a token is drawn"));
    }
    for (name, cost) in &roles.costs {
        let grain = if cost.grain == CostGrain::Token { "every token" } else { "a chunk" };
        let kind = if cost.kind == CostKind::Safety { "against a budget" } else { "to rank answers" };
        lines.push(line(&format!("cost `{name}`"), &cost.needs, "", &format!("prices {grain} {kind}")));
    }
    escape::lines(lines)
}

fn line(role: &str, needs: &Needs, always: &str, does: &str) -> String {
    let mut seen: Vec<String> = (!always.is_empty()).then(|| always.to_owned()).into_iter().collect();
    seen.extend(reads(needs));
    let seen = if seen.is_empty() { "the ids of new tokens".to_owned() } else { seen.join(", ") };
    format!("{role}: sees {seen}. It {does}")
}

/// The score models that some component reads.
#[must_use]
pub fn score_models(roles: &RolesInfo) -> BTreeSet<&str> {
    let needs = std::iter::once(&roles.policy).chain(&roles.critic).chain(&roles.steering);
    let needs = needs.chain(roles.costs.values().map(|cost| &cost.needs));
    needs.flat_map(|needs| needs.scores.iter().map(String::as_str)).collect()
}

/// What a component declared to read, in words.
#[must_use]
pub fn reads(needs: &Needs) -> Vec<String> {
    let latents = needs.latents.map(|selector| format!("the latent {}", place(selector)));
    let of_tokens = needs.token_latents.iter().map(|selector| place(*selector)).collect::<Vec<_>>().join(" and ");
    let named = |what: &str, names: &[String]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
    let declared = |holds: bool, text: &str| holds.then(|| text.to_owned());
    [
        declared(needs.prompt, "the prompt"),
        declared(needs.text, "the text of new tokens"),
        (needs.lookback > 0).then(|| format!("{} characters before it", needs.lookback)),
        declared(needs.logprobs, "the log-probability of each token"),
        (needs.top_k > 0).then(|| format!("the {} likeliest next tokens", needs.top_k)),
        declared(needs.logits, "all logits"),
        latents,
        (!of_tokens.is_empty()).then(|| format!("the latents of every new token {of_tokens}")),
        named("the scores of", &needs.scores),
        named("the networks", &needs.networks),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn place(selector: LatentSelector) -> String {
    match selector {
        LatentSelector::FinalNorm => "after the final norm".to_owned(),
        LatentSelector::Layer(layer) => format!("of layer {layer}"),
    }
}

/// What holds for all components.
#[must_use]
pub fn bounds(limits: &Limits) -> String {
    format!(
        "none of them reaches files, network, clock or each other; each call: {} units of fuel, {} ms, {} MiB",
        limits.fuel,
        limits.deadline_ms,
        limits.memory >> 20
    )
}

/// The outcome of a trial.
#[must_use]
pub fn outcome(output: &Output) -> String {
    let failures: Vec<String> =
        output.failures.iter().map(|failure| format!("\n  {}", escape::line(&failure.to_string()))).collect();
    format!(
        "trial: {} after {} tokens in {:.2} s, {} failures{}",
        answer::status(output.status, output.finish),
        output.tokens.len(),
        output.seconds,
        failures.len(),
        failures.concat()
    )
}
