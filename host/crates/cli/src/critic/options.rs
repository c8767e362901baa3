//! From the arguments, the preset and the bundle to the options of a run.

use super::arguments::{AnswerArguments, CriticArguments};
use anyhow::{Context, bail};
use inferenceguard_bundle::Manifest;
use inferenceguard_catalog::Loading;
use inferenceguard_critic::{
    CriticOptions, Recipe, Shares,
    collect::CollectOptions,
    objective::{CriticObjective, Objective},
    targets::BudgetSeen,
};
use inferenceguard_search::{PricedConstraint, Sampling, SamplingSettings};
use inferenceguard_trials::eval::set_the_papers_settings;

/// Defaults that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preset {
    /// Minutes on one core for small models.
    Default,
    /// The paper's table 3.
    Paper,
}

/// Budgets from this part of a constraint's own to [`HIGHEST`] times it.
const LOWEST: f64 = 0.25;
const HIGHEST: f64 = 4.0;
const CHUNK: usize = 32;

/// The options of a run. With the preset `paper`, constraints, sampling and lengths come from the paper's recipes and not from
/// the bundle: the evaluation uses the same.
pub(super) fn options(arguments: &CriticArguments, bundle: &Manifest) -> anyhow::Result<CriticOptions> {
    let mut manifest = bundle.clone();
    if arguments.preset == Preset::Paper {
        set_the_papers_settings(&mut manifest);
    }
    let manifest = &manifest;
    Ok(CriticOptions {
        out: arguments.out.clone(),
        collect: collect(arguments, manifest),
        objective: objective(arguments, manifest)?,
        readings: arguments.latents.clone(),
        shares: shares(arguments),
        recipe: recipe(arguments),
        device: Loading::new(&arguments.device.loading(), None)?.language().device,
    })
}

fn collect(arguments: &CriticArguments, manifest: &Manifest) -> CollectOptions {
    let (given, due, config) = (&arguments.answers, CollectOptions::default(), manifest.search_config());
    let spacing = if arguments.preset == Preset::Paper { CHUNK } else { due.spacing };
    CollectOptions {
        answers: given.answers.unwrap_or(due.answers),
        spacing: given.every.unwrap_or(spacing),
        max_tokens: given.max_tokens.unwrap_or(config.max_tokens as usize),
        seed: arguments.training.seed,
        batch: given.prompts_at_once.unwrap_or(due.batch),
        ..due
    }
}

/// How answers are sampled: the arguments first, then the bundle, then the model's authors.
pub(super) fn sampling(given: &AnswerArguments, manifest: &Manifest, authors: SamplingSettings) -> Sampling {
    let given = SamplingSettings {
        temperature: given.temperature,
        top_k: given.top_k,
        top_p: given.top_p,
        min_p: given.min_p,
        repetition_penalty: given.repetition_penalty,
    };
    given.or(manifest.sampling).or(authors).into()
}

fn objective(arguments: &CriticArguments, manifest: &Manifest) -> anyhow::Result<Objective> {
    if arguments.value || arguments.lagrangian.is_some() {
        let (lambda, weighed) = (arguments.lagrangian.unwrap_or(0.0), arguments.lagrangian_cost);
        return Ok(Objective::Value { lambda, weighed });
    }
    let given = &arguments.targets;
    let constraints = constraints(arguments, manifest)?;
    Ok(Objective::Critic(CriticObjective {
        budgets: budgets(arguments, &constraints)?,
        constraints,
        seen: given.z.unwrap_or(BudgetSeen::ChunkStart),
        chunk: given.chunk_len.unwrap_or(CHUNK),
        discount: given.discount_cost || arguments.preset == Preset::Paper,
    }))
}

/// The bundle's constraints, with the arguments that hold for all of them.
fn constraints(arguments: &CriticArguments, manifest: &Manifest) -> anyhow::Result<Vec<PricedConstraint>> {
    let given = &arguments.targets;
    let mut constraints = manifest.search_config().constraints;
    if constraints.is_empty() {
        bail!("the bundle has no constraint, so there is no safety to foresee; add one, or train a --value");
    }
    let gamma = given.gamma;
    if let Some(gamma) = gamma.filter(|gamma| !(*gamma > 0.0 && *gamma <= 1.0)) {
        bail!("--gamma {gamma}: expected a number above 0, at most 1");
    }
    for priced in &mut constraints {
        let constraint = &mut priced.constraint;
        constraint.gamma = gamma.unwrap_or(constraint.gamma);
        constraint.mode = given.mode.unwrap_or(constraint.mode);
        constraint.clip = given.clip.unwrap_or(constraint.clip);
    }
    Ok(constraints)
}

fn budgets(arguments: &CriticArguments, constraints: &[PricedConstraint]) -> anyhow::Result<Vec<(f64, f64)>> {
    let given = arguments.targets.budgets.iter().map(|text| range(text)).collect::<anyhow::Result<Vec<_>>>()?;
    match (given.len(), arguments.preset) {
        (0, Preset::Paper) => {
            Ok(constraints.iter().map(|one| (one.constraint.budget, one.constraint.budget)).collect())
        }
        (0, Preset::Default) => Ok(constraints.iter().map(|one| around(one.constraint.budget)).collect()),
        (1, _) => Ok(vec![given[0]; constraints.len()]),
        (count, _) if count == constraints.len() => Ok(given),
        (count, _) => bail!("--budgets names {count} ranges; expected one, or one for each of {}", constraints.len()),
    }
}

fn around(budget: f64) -> (f64, f64) {
    (LOWEST * budget, HIGHEST * budget)
}

fn range(text: &str) -> anyhow::Result<(f64, f64)> {
    let bounds = || {
        let (low, high) = text.split_once("..")?;
        Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
    };
    bounds().with_context(|| format!("--budgets {text}: expected LOW..HIGH, such as 2..40"))
}

fn shares(arguments: &CriticArguments) -> Shares {
    let (given, due) = (&arguments.training, Shares::default());
    Shares {
        validation: given.validation.unwrap_or(due.validation),
        test: given.test.unwrap_or(due.test),
        seed: given.seed,
    }
}

fn recipe(arguments: &CriticArguments) -> Recipe {
    let given = &arguments.training;
    let due = match arguments.preset {
        Preset::Default => Recipe::default(),
        Preset::Paper if arguments.value || arguments.lagrangian.is_some() => Recipe::re_control(),
        Preset::Paper => Recipe::paper(),
    };
    Recipe {
        hidden: given.hidden.unwrap_or(due.hidden),
        depth: given.depth.unwrap_or(due.depth),
        activation: given.activation.unwrap_or(due.activation),
        rate: given.rate.unwrap_or(due.rate),
        schedule: given.schedule.unwrap_or(due.schedule),
        weight_decay: given.weight_decay.unwrap_or(due.weight_decay),
        epochs: given.epochs.unwrap_or(due.epochs),
        patience: given.patience.unwrap_or(due.patience),
        batch: given.batch.unwrap_or(due.batch),
        seed: given.seed,
    }
}
