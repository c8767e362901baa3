//! From what is given, the preset and the bundle to the options of a run.

use super::{Given, GivenAnswers, GivenTargets, Preset};
use crate::TrainingError;
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

/// Budgets from this part of a constraint's own to [`HIGHEST`] times it.
const LOWEST: f64 = 0.25;
const HIGHEST: f64 = 4.0;
const CHUNK: usize = 32;

/// The options of a run. With the preset `paper`, constraints, sampling and lengths come from the paper's recipes and not from
/// the bundle: the evaluation uses the same.
pub(super) fn options(given: &Given, bundle: &Manifest) -> Result<CriticOptions, TrainingError> {
    let mut manifest = bundle.clone();
    if given.preset == Preset::Paper {
        set_the_papers_settings(&mut manifest);
    }
    let manifest = &manifest;
    Ok(CriticOptions {
        out: given.out.clone(),
        collect: collect(given, manifest),
        objective: objective(given, manifest)?,
        readings: given.readings.clone(),
        shares: shares(given),
        recipe: recipe(given),
        device: Loading::new(&given.loading, None)?.language().device,
    })
}

fn collect(given: &Given, manifest: &Manifest) -> CollectOptions {
    let (answers, due, config) = (&given.answers, CollectOptions::default(), manifest.search_config());
    let spacing = if given.preset == Preset::Paper { CHUNK } else { due.spacing };
    CollectOptions {
        answers: answers.answers.unwrap_or(due.answers),
        spacing: answers.every.unwrap_or(spacing),
        max_tokens: answers.max_tokens.unwrap_or(config.max_tokens as usize),
        seed: given.training.parts.seed,
        batch: answers.prompts_at_once.unwrap_or(due.batch),
        memory: given.training.memory(),
        ..due
    }
}

/// How answers are sampled: as given, then as the bundle says, then as the model's authors say.
pub(super) fn sampling(given: &GivenAnswers, manifest: &Manifest, authors: SamplingSettings) -> Sampling {
    given.sampling.or(manifest.sampling).or(authors).into()
}

fn objective(given: &Given, manifest: &Manifest) -> Result<Objective, TrainingError> {
    if given.is_value() {
        let (lambda, weighed) = (given.lagrangian.unwrap_or(0.0), given.lagrangian_cost);
        return Ok(Objective::Value { lambda, weighed });
    }
    let targets = &given.targets;
    let constraints = constraints(targets, manifest)?;
    Ok(Objective::Critic(CriticObjective {
        budgets: budgets(given, &constraints)?,
        constraints,
        seen: targets.seen.unwrap_or(BudgetSeen::ChunkStart),
        chunk: targets.chunk_len.unwrap_or(CHUNK),
        discount: targets.discount_cost || given.preset == Preset::Paper,
    }))
}

/// The bundle's constraints, with what is given for all of them.
fn constraints(given: &GivenTargets, manifest: &Manifest) -> Result<Vec<PricedConstraint>, TrainingError> {
    let mut constraints = manifest.search_config().constraints;
    if constraints.is_empty() {
        return Err(TrainingError::NoConstraint);
    }
    let gamma = given.gamma;
    if let Some(found) = gamma.filter(|gamma| !(*gamma > 0.0 && *gamma <= 1.0)) {
        return Err(TrainingError::Gamma { found });
    }
    for priced in &mut constraints {
        let constraint = &mut priced.constraint;
        constraint.gamma = gamma.unwrap_or(constraint.gamma);
        constraint.mode = given.mode.unwrap_or(constraint.mode);
        constraint.clip = given.clip.unwrap_or(constraint.clip);
    }
    Ok(constraints)
}

fn budgets(given: &Given, constraints: &[PricedConstraint]) -> Result<Vec<(f64, f64)>, TrainingError> {
    let ranges = given.targets.budgets.iter().map(|text| range(text)).collect::<Result<Vec<_>, TrainingError>>()?;
    match (ranges.len(), given.preset) {
        (0, Preset::Paper) => {
            Ok(constraints.iter().map(|one| (one.constraint.budget, one.constraint.budget)).collect())
        }
        (0, Preset::Default) => Ok(constraints.iter().map(|one| around(one.constraint.budget)).collect()),
        (1, _) => Ok(vec![ranges[0]; constraints.len()]),
        (count, _) if count == constraints.len() => Ok(ranges),
        (found, _) => Err(TrainingError::Ranges { found, expected: constraints.len() }),
    }
}

fn around(budget: f64) -> (f64, f64) {
    (LOWEST * budget, HIGHEST * budget)
}

fn range(text: &str) -> Result<(f64, f64), TrainingError> {
    let bounds = || {
        let (low, high) = text.split_once("..")?;
        Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
    };
    bounds().ok_or_else(|| TrainingError::Range { found: text.to_owned() })
}

fn shares(given: &Given) -> Shares {
    let (given, due) = (given.training.parts, Shares::default());
    Shares {
        validation: given.validation.unwrap_or(due.validation),
        test: given.test.unwrap_or(due.test),
        seed: given.seed,
    }
}

fn recipe(given: &Given) -> Recipe {
    let due = match given.preset {
        Preset::Default => Recipe::default(),
        Preset::Paper if given.is_value() => Recipe::re_control(),
        Preset::Paper => Recipe::paper(),
    };
    given.training.recipe(due)
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn a_range_of_budgets_has_two_ends() {
        assert_eq!(range("2..40").unwrap(), (2.0, 40.0));
        assert_eq!(range("0.5 .. 1e3").unwrap(), (0.5, 1000.0));
        for wrong in ["", "2", "2..", "..40", "two..40"] {
            let error = range(wrong).unwrap_err().to_string();
            assert_eq!(error, format!("--budgets {wrong}: expected LOW..HIGH, such as 2..40"));
        }
    }
}
