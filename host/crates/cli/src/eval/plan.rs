//! Which rows are run, each with the bundle that makes it.

use super::{
    EvalArguments,
    arguments::Weighed,
    guarded::ALWAYS_REFUSE,
    models::{self, Bench},
    recipe,
};
use crate::templates::Templates;
use anyhow::{Context, bail};
use inferenceguard_bundle::{Bundle, Manifest};
use inferenceguard_eval::Row;
use inferenceguard_host::{OWN_METHOD, methods::Methods};
use inferenceguard_sandbox::{Sandbox, SettingValue};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The word for every method there is.
const ALL: &str = "all";
/// The setting of what a unit of cost weighs.
const LAMBDA: &str = "lambda";
/// The setting of what it weighs.
const WEIGHED: &str = "lagrangian-cost";
/// The score model that the setting names if it is not told another.
const COST_MODEL: &str = "cost";

/// A row as it was asked for. What is left out comes from the bundle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    pub(crate) method: String,
    pub(crate) n: Option<u32>,
    pub(crate) lambda: Option<f64>,
    pub(crate) budget: Option<f64>,
}

/// A row and its bundle.
pub(crate) struct Planned {
    pub(crate) row: Row,
    pub(crate) bundle: Bundle,
}

/// Whether a row that lacks a part of its bundle is left out instead of refused.
pub(crate) fn may_skip(arguments: &EvalArguments) -> bool {
    arguments.recipe.is_some() || arguments.methods.iter().any(|method| method == ALL)
}

/// The rows that were asked for, in order.
pub(crate) fn wishes(arguments: &EvalArguments) -> anyhow::Result<Vec<Wish>> {
    if let Some(recipe) = arguments.recipe {
        return Ok(recipe::rows(recipe, arguments.guard.n));
    }
    let methods = methods(&arguments.methods)?;
    let budgets: Vec<Option<f64>> = or_none(&arguments.budgets);
    let ns = if arguments.ns.is_empty() { vec![arguments.guard.n] } else { or_none(&arguments.ns) };
    let mut wishes: Vec<Wish> = Vec::new();
    for &budget in &budgets {
        for (method, &n) in methods.iter().flat_map(|method| ns.iter().map(move |n| (method, n))) {
            let n = n.filter(|_| setting_of_n(method).is_some());
            let wish = Wish { method: method.clone(), n, lambda: None, budget };
            let all = if wish.is_weighted() { wish.with_lambdas(&arguments.lambdas) } else { vec![wish] };
            for wish in all {
                if !wishes.contains(&wish) {
                    wishes.push(wish);
                }
            }
        }
    }
    Ok(wishes)
}

impl Wish {
    /// Whether a multiplier weighs its costs at test time; RE-Control's is in its network.
    pub(crate) fn is_weighted(&self) -> bool {
        self.method.ends_with("+lagrangian") && weighs_costs(&self.method)
    }

    /// The same row with each of these multipliers; itself if there are none.
    pub(crate) fn with_lambdas(&self, lambdas: &[f64]) -> Vec<Self> {
        if lambdas.is_empty() {
            return vec![self.clone()];
        }
        lambdas.iter().map(|lambda| Self { lambda: Some(*lambda), ..self.clone() }).collect()
    }
}

/// Whether the method's policy weighs a safety cost.
pub(crate) fn weighs_costs(method: &str) -> bool {
    let weighs = method.ends_with("+lagrangian") || method.ends_with("+cost");
    weighs && setting_of_n(method).is_some()
}

fn or_none<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
}

fn methods(given: &[String]) -> anyhow::Result<Vec<String>> {
    let (table, mut names) = (Methods::default(), Vec::<String>::new());
    for name in given {
        match name.as_str() {
            ALL => names.extend(std::iter::once(ALWAYS_REFUSE).chain(table.names()).map(str::to_owned)),
            ALWAYS_REFUSE | OWN_METHOD => names.push(name.clone()),
            other => {
                table.find(other).with_context(|| format!("--methods also takes `{ALL}` and `{ALWAYS_REFUSE}`"))?;
                names.push(name.clone());
            }
        }
    }
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    if names.is_empty() {
        bail!("--methods names none; give at least one, such as base");
    }
    Ok(names)
}

/// The setting that holds a method's number of candidates.
fn setting_of_n(method: &str) -> Option<String> {
    Methods::default().find(method).ok()?.candidates.clone()
}

/// The bundle of an evaluation: the one that was given, with what was said about all rows.
pub(crate) fn adjusted(arguments: &EvalArguments, bundle: &Bundle) -> anyhow::Result<Bundle> {
    let mut manifest = bundle.manifest().clone();
    if arguments.recipe.is_some() {
        recipe::adjust(&mut manifest);
    }
    weigh(arguments, &mut manifest);
    Templates::parse(&arguments.guard.device.templates)?.write(&mut manifest);
    if let Some(max_tokens) = arguments.max_tokens {
        manifest.max_tokens = max_tokens;
    }
    if let Some(text) = &arguments.on_exhausted {
        manifest.on_exhausted = named("--on-exhausted", text)?;
    }
    if let Some(text) = &arguments.clip {
        let constraint = manifest.constraints.first_mut().context("--clip: the bundle has no constraint")?;
        constraint.clip = named("--clip", text)?;
    }
    with_manifest(bundle, &manifest)
}

/// What multipliers weigh, where the bundle does not say: the score of the answer, if a score model can give it.
fn weigh(arguments: &EvalArguments, manifest: &mut Manifest) {
    let given = arguments.guard.scores.iter().any(|score| score.starts_with(&format!("{COST_MODEL}=")));
    let has_model = given || models::is_demo(arguments);
    let default = if has_model { Weighed::End } else { Weighed::Sum };
    for method in Methods::default().names().filter(|method| weighs_costs(method)) {
        let said = manifest.methods.get(method).is_some_and(|entry| entry.settings.contains_key(WEIGHED));
        let chosen = arguments.lagrangian_cost.or((!said).then_some(default));
        if let Some(weighed) = chosen {
            set(manifest, method, WEIGHED, SettingValue::Text(weighed.name().to_owned()));
        }
    }
}

/// A choice by its name in a manifest.
fn named<T: DeserializeOwned>(option: &str, text: &str) -> anyhow::Result<T> {
    serde_json::from_value(text.into()).with_context(|| format!("{option} {text}"))
}

fn with_manifest(bundle: &Bundle, manifest: &Manifest) -> anyhow::Result<Bundle> {
    Ok(Bundle::from_parts(&toml::to_string(manifest)?, bundle.files())?)
}

/// Says a setting of a method's policy.
pub(crate) fn set(manifest: &mut Manifest, method: &str, name: &str, value: SettingValue) {
    manifest.methods.entry(method.to_owned()).or_default().settings.insert(name.to_owned(), value);
}

/// The rows with their bundles, for one model.
pub(crate) fn planned(bench: &Bench, wishes: &[Wish]) -> anyhow::Result<Vec<Planned>> {
    let mut planned = wishes.iter().map(|wish| plan(bench, wish)).collect::<Result<Vec<_>, _>>()?;
    let labels = labels(&planned);
    planned.iter_mut().zip(labels).for_each(|(one, label)| one.row.label = label);
    Ok(planned)
}

fn plan(bench: &Bench, wish: &Wish) -> anyhow::Result<Planned> {
    let mut manifest = bench.bundle.manifest().clone();
    let first = manifest.constraints.first_mut().context("the bundle has no constraint to evaluate")?;
    first.budget = wish.budget.unwrap_or(first.budget);
    let budget = first.budget;
    if let (Some(n), Some(setting)) = (wish.n, setting_of_n(&wish.method)) {
        set(&mut manifest, &wish.method, &setting, SettingValue::Integer(n.into()));
    }
    if let Some(lambda) = wish.lambda {
        set(&mut manifest, &wish.method, LAMBDA, SettingValue::Number(lambda));
    }
    let bundle = with_manifest(&bench.bundle, &manifest)?;
    let settings = effective(&bundle, &bench.sandbox, &wish.method)?;
    let n = setting_of_n(&wish.method).and_then(|setting| settings.get(&setting));
    let lambda = settings.get(LAMBDA).filter(|_| wish.method.ends_with("+lagrangian"));
    let row = Row {
        label: String::new(),
        method: wish.method.clone(),
        n: n.and_then(|n| serde_json::from_value(n.clone()).ok()),
        lambda: lambda.and_then(serde_json::Value::as_f64),
        budget,
        settings,
    };
    Ok(Planned { row, bundle })
}

/// Every setting of a method's policy, defaults included.
fn effective(bundle: &Bundle, sandbox: &Sandbox, method: &str) -> anyhow::Result<BTreeMap<String, serde_json::Value>> {
    let manifest = bundle.manifest();
    let part = match method {
        ALWAYS_REFUSE => return Ok(BTreeMap::new()),
        OWN_METHOD => Methods::own_policy(bundle),
        _ => Methods::of(manifest).policy(bundle, method)?,
    };
    let file = part.file.as_deref().and_then(|file| bundle.file(file));
    let bytes = file.or_else(|| crate::embedded::component(&part.component)).unwrap_or_default();
    let description = sandbox.load("policy", bytes)?.description().clone();
    let mut settings: BTreeMap<String, SettingValue> =
        description.settings.into_iter().map(|setting| (setting.name, setting.default)).collect();
    settings.extend(part.settings);
    Ok(settings
        .into_iter()
        .map(|(name, value)| Ok((name, serde_json::to_value(value)?)))
        .collect::<Result<_, serde_json::Error>>()?)
}

/// The method's name, with whatever else tells it from its namesakes.
fn labels(planned: &[Planned]) -> Vec<String> {
    let label = |one: &Planned| {
        let row = &one.row;
        let twins = || planned.iter().map(|other| &other.row).filter(|other| other.method == row.method);
        let mut label = row.method.clone();
        if let Some(n) = row.n.filter(|_| twins().any(|other| other.n != row.n)) {
            label += &format!(" n={n}");
        }
        if let Some(lambda) = row.lambda.filter(|_| twins().any(|other| other.lambda != row.lambda)) {
            label += &format!(" λ={lambda}");
        }
        if twins().any(|other| other.budget != row.budget) {
            label += &format!(" d={}", row.budget);
        }
        label
    };
    planned.iter().map(label).collect()
}
