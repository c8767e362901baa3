//! `bundle calibrate`: what budgets do, for this model and this bundle.

use super::args::CalibrateArguments;
use crate::{engine, eval, output};
use anyhow::{Context, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use inferenceguard_bundle::Bundle;
use inferenceguard_eval::{Curve, Dataset, Ending, Intent, Prompt, Tried, plots};
use inferenceguard_host::{Engine, OWN_METHOD, Request};
use inferenceguard_search::Status;
use inferenceguard_train::world::World;

/// The method whose answers are plain.
const PLAIN: &str = "base";

/// Asks every prompt under every budget, shows the curve, and suggests a budget.
pub(super) fn calibrate(arguments: &CalibrateArguments) -> anyhow::Result<()> {
    let prompts = prompts(arguments)?;
    let methods = [OWN_METHOD.to_owned(), PLAIN.to_owned()];
    let (builder, bundle) = engine::builder(&arguments.guard, &methods, &[])?;
    let constraint = constraint(arguments, &bundle)?;
    let budgets = budgets(arguments)?;
    // Requests can only tighten: the engine has the largest.
    let largest = budgets.iter().copied().fold(0.0, f64::max);
    let engine = engine::build(builder.budget(&constraint, largest))?;
    let bar = ProgressBar::new((prompts.len() * (budgets.len() + 1)) as u64);
    let bar = bar.with_style(ProgressStyle::with_template("{bar:32} {pos}/{len} {eta}")?);
    let ask = |method: &str, budget| -> anyhow::Result<Vec<Tried>> {
        let one = |prompt| {
            bar.inc(1);
            tried(&engine, prompt, method, &constraint, budget)
        };
        prompts.iter().map(one).collect()
    };
    let plain = ask(PLAIN, largest)?;
    let guarded = budgets.iter().map(|budget| Ok((*budget, ask(OWN_METHOD, *budget)?)));
    let guarded = guarded.collect::<anyhow::Result<Vec<_>>>()?;
    bar.finish_and_clear();
    let curve = Curve::new(&constraint, &plain, &guarded, arguments.refusals)?;
    write(arguments, &curve)?;
    output::result(&curve)
}

fn prompts(arguments: &CalibrateArguments) -> anyhow::Result<Vec<Prompt>> {
    let dataset = match &arguments.prompts {
        Some(path) => Dataset::read(path)?,
        None => {
            ensure!(arguments.guard.model.is_none(), "name prompts that your users ask: --prompts FILE");
            eval::demo(eval::Split::Validation, &World::frozen())?
        }
    };
    Ok(dataset.limited(arguments.limit)?.prompts)
}

/// The constraint that is named, or the only one.
fn constraint(arguments: &CalibrateArguments, bundle: &Bundle) -> anyhow::Result<String> {
    let constraints = &bundle.manifest().constraints;
    let names = || constraints.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    match (&arguments.constraint, constraints.as_slice()) {
        (Some(name), _) => {
            ensure!(constraints.iter().any(|one| one.name == *name), "no constraint `{name}`; there is: {}", names());
            Ok(name.clone())
        }
        (None, [only]) => Ok(only.name.clone()),
        (None, _) => anyhow::bail!("name one constraint with --constraint; there is: {}", names()),
    }
}

fn budgets(arguments: &CalibrateArguments) -> anyhow::Result<Vec<f64>> {
    let fine = arguments.budgets.iter().all(|budget| budget.is_finite() && *budget > 0.0);
    ensure!(fine && !arguments.budgets.is_empty(), "--budgets: expected numbers above 0, such as 1,2,5,10");
    ensure!((0.0..=1.0).contains(&arguments.refusals), "--refusals: expected a share from 0 to 1");
    Ok(arguments.budgets.clone())
}

fn tried(engine: &Engine, prompt: &Prompt, method: &str, constraint: &str, budget: f64) -> anyhow::Result<Tried> {
    let mut request = Request::new(&prompt.text);
    (request.method, request.seed) = (Some(method.to_owned()), Some(prompt.id as u64));
    request.max_tokens = None;
    request.budgets.insert(constraint.to_owned(), budget);
    let asked = engine.generate(request).with_context(|| format!("prompt {}: {:?}", prompt.id + 1, prompt.text))?;
    let report = asked.constraints.iter().find(|one| one.name == constraint);
    let ending = match asked.status {
        Status::WithinBudget | Status::BudgetExceeded => Ending::Answered,
        Status::NoSafeCandidate => Ending::Refused,
        Status::Failed => Ending::Failed,
    };
    let cost = report.map_or(f64::INFINITY, |one| one.max_cost);
    let intent: Intent = prompt.intent;
    Ok(Tried { intent, ending, reward: asked.reward.filter(|_| ending == Ending::Answered), cost })
}

fn write(arguments: &CalibrateArguments, curve: &Curve) -> anyhow::Result<()> {
    let Some(folder) = &arguments.out else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let picture = plots::curve(curve)?;
    output::file(&folder.join("calibration.md"), format!("{curve}\n").as_bytes())?;
    output::file(&folder.join("calibration.json"), &serde_json::to_vec_pretty(curve)?)?;
    output::file(&folder.join("calibration.svg"), picture.svg.as_bytes())?;
    output::file(&folder.join("calibration.png"), &picture.png)
}
