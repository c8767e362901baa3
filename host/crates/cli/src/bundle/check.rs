//! `bundle check`: a bundle with a model, before it guards requests.

use super::{describe::describe, pin};
use crate::{flags::GuardArguments, output, show, terminal};
use clap::Args;
use inferenceguard_catalog::build;
use inferenceguard_host::{Engine, OWN_METHOD, Output, Request};
use inferenceguard_model::LatentSelector;
use inferenceguard_sandbox::Limits;
use inferenceguard_search::{CostGrain, CostKind, Needs, RolesInfo};

/// Tokens of the trial: enough for a decision or two.
const TRIAL: u32 = 48;

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// The prompt of the trial
    #[arg(long, default_value = "How do I clean a kitchen knife?")]
    prompt: String,
}

/// Loads the bundle, runs it once, and shows what its components see and may do.
pub(super) fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let (builder, bundle) = arguments.guard.choice().builder(&[OWN_METHOD.to_owned()], &[])?;
    let engine = build(builder)?;
    let trial = trial(&engine, &arguments.prompt)?;
    let roles = words(&engine.roles(OWN_METHOD)?);
    let limits = bounds(&bundle.manifest().limits);
    let models = pin::described(bundle.manifest(), engine.models());
    output::result(format_args!("{}\n\n{models}\n\n{roles}\n{limits}\n\n{}", describe(&bundle), outcome(&trial)))
}

fn trial(engine: &Engine, prompt: &str) -> anyhow::Result<Output> {
    let request = Request { max_tokens: Some(TRIAL), ..Request::new(prompt) };
    Ok(engine.generate(request)?)
}

/// What each role sees and may do.
fn words(roles: &RolesInfo) -> String {
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
    terminal::lines(lines)
}

fn line(role: &str, needs: &Needs, always: &str, does: &str) -> String {
    let mut seen: Vec<String> = (!always.is_empty()).then(|| always.to_owned()).into_iter().collect();
    seen.extend(sees(needs));
    let seen = if seen.is_empty() { "the ids of new tokens".to_owned() } else { seen.join(", ") };
    format!("{role}: sees {seen}. It {does}")
}

/// What a component declared, in words.
fn sees(needs: &Needs) -> Vec<String> {
    let latents = needs.latents.map(|selector| match selector {
        LatentSelector::FinalNorm => "the latent after the final norm".to_owned(),
        LatentSelector::Layer(layer) => format!("the latent of layer {layer}"),
    });
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
        named("the scores of", &needs.scores),
        named("the networks", &needs.networks),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn bounds(limits: &Limits) -> String {
    format!(
        "none of them reaches files, network, clock or each other; each call: {} units of fuel, {} ms, {} MiB",
        limits.fuel,
        limits.deadline_ms,
        limits.memory >> 20
    )
}

fn outcome(output: &Output) -> String {
    let failures: Vec<String> =
        output.failures.iter().map(|failure| format!("\n  {}", terminal::line(&failure.to_string()))).collect();
    format!(
        "trial: {} after {} tokens in {:.2} s, {} failures{}",
        show::status(output.status),
        output.tokens.len(),
        output.seconds,
        failures.len(),
        failures.concat()
    )
}
