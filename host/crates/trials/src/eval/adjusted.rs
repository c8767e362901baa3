//! The bundle of an evaluation: an operator's, with the options that hold for all rows.

use super::{
    EvalOptions, Recipe, WeighedCost,
    plan::{set, weighs_costs},
    recipe,
};
use crate::TrialError;
use inferenceguard_bundle::{Bundle, Manifest};
use inferenceguard_catalog::Templates;
use inferenceguard_host::methods::Methods;
use inferenceguard_sandbox::SettingValue;
use serde::de::DeserializeOwned;

/// The setting that says which cost the multiplier weighs.
const WEIGHED: &str = "lagrangian-cost";
/// The score model that the policies read by default.
const COST_MODEL: &str = "cost";

/// The bundle of an evaluation: the given one, with the options that hold for all rows.
pub(super) fn adjusted(options: &EvalOptions, bundle: &Bundle) -> Result<Bundle, TrialError> {
    let mut manifest = bundle.manifest().clone();
    if options.recipe.is_some_and(Recipe::is_papers) {
        recipe::adjust(&mut manifest);
    }
    weigh(options, &mut manifest);
    Templates::parse(&options.choice.loading.templates)?.write(&mut manifest);
    if let Some(max_tokens) = options.max_tokens {
        manifest.max_tokens = max_tokens;
    }
    if let Some(text) = &options.on_exhausted {
        manifest.on_exhausted = named("--on-exhausted", text)?;
    }
    if let Some(text) = &options.clip {
        let constraint =
            manifest.constraints.first_mut().ok_or(TrialError::NoConstraint { bundle: "--clip: the bundle" })?;
        constraint.clip = named("--clip", text)?;
    }
    with_manifest(bundle, &manifest)
}

/// Sets which cost multipliers weigh: the options' choice, else the bundle's, else the score of the answer if a score model can
/// give it.
fn weigh(options: &EvalOptions, manifest: &mut Manifest) {
    let given = options.choice.scores.iter().any(|score| score.starts_with(&format!("{COST_MODEL}=")));
    let has_model = given || options.is_demo();
    let default = if has_model { WeighedCost::End } else { WeighedCost::Sum };
    let own = |manifest: &Manifest, method| manifest.methods.get(method).is_some_and(|entry| entry.policy.is_some());
    for method in Methods::default().names().filter(|method| weighs_costs(method)) {
        if own(manifest, method) {
            continue;
        }
        let is_set = manifest.methods.get(method).is_some_and(|entry| entry.settings.contains_key(WEIGHED));
        let chosen = options.lagrangian_cost.or((!is_set).then_some(default));
        if let Some(weighed) = chosen {
            set(manifest, method, WEIGHED, SettingValue::Text(weighed.name().to_owned()));
        }
    }
}

/// A choice by its name in a manifest.
fn named<T: DeserializeOwned>(option: &'static str, text: &str) -> Result<T, TrialError> {
    let wrong = |source| TrialError::Value { option, found: text.to_owned(), source };
    serde_json::from_value(text.into()).map_err(wrong)
}

/// The bundle with this manifest.
pub(super) fn with_manifest(bundle: &Bundle, manifest: &Manifest) -> Result<Bundle, TrialError> {
    Ok(Bundle::from_parts(&toml::to_string(manifest)?, bundle.files())?)
}
