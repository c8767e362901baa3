//! `eval`: many prompts, several methods and models, one table; with a folder also figures and a report.

mod arguments;
mod guarded;
mod judged;
mod models;
mod origin;
mod plan;
mod pricer;
mod recipe;
mod tune;

pub(crate) use arguments::{EvalArguments, Split, Weighed};
use arguments::{JudgeChoice, Recipe};
pub(crate) use recipe::adjust as set_the_papers_settings;

use crate::output;
use anyhow::{Context, bail};
use guarded::{ALWAYS_REFUSE, AlwaysRefuse, Guarded};
use indicatif::{ProgressBar, ProgressStyle};
use inferenceguard_eval::{
    Baseline, Contestant, Dataset, DatasetId, Intent, Journal, Method, ModelId, Prompt, Report, Row, Settings, Skipped,
    evaluate,
};
use inferenceguard_host::EngineError;
use inferenceguard_model::Model;
use inferenceguard_train::world::{TOPICS, World};
use judged::DemoJudge;
use models::Bench;
use plan::{Planned, Wish};
use std::{collections::BTreeMap, path::Path};

/// Answers every prompt by every method of every model, prints the figures, and writes the report.
pub(crate) fn run(arguments: &EvalArguments) -> anyhow::Result<()> {
    check(arguments)?;
    let world = World::frozen();
    let dataset = dataset(arguments, &world)?;
    let wishes = plan::wishes(arguments)?;
    let benches = models::open(arguments, |bundle| plan::adjusted(arguments, bundle))?;
    if benches.iter().any(|bench| !bench.pricer.borrow().prices_costs()) {
        output::note("the cost cannot be priced in one piece, so no answer is priced a second time");
    }
    let judge = judge(arguments, &world);
    let stage = Stage { arguments, benches: &benches, judge: judge.as_ref() };
    let wishes = tune::tuned(&stage, &world, &dataset, wishes)?;
    let baseline = arguments.baseline.as_deref().filter(|_| !arguments.update);
    finish(arguments, &stage.evaluate(&dataset, &wishes, arguments.out.as_deref(), baseline)?)
}

/// What evaluations of different prompts and rows have in common.
struct Stage<'a> {
    arguments: &'a EvalArguments,
    benches: &'a [Bench],
    judge: Option<&'a DemoJudge>,
}

impl Stage<'_> {
    /// Answers these prompts by these rows; with a folder, goes on where an earlier run was. A baseline of other prompts is
    /// refused first.
    fn evaluate(
        &self,
        dataset: &Dataset,
        wishes: &[Wish],
        folder: Option<&Path>,
        baseline: Option<&Path>,
    ) -> anyhow::Result<Report> {
        let (arguments, benches) = (self.arguments, self.benches);
        let plans = benches.iter().map(|bench| plan::planned(bench, wishes)).collect::<Result<Vec<_>, _>>()?;
        let (mut skipped, mut ready) = (Vec::new(), Vec::new());
        for (bench, planned) in benches.iter().zip(&plans) {
            ready.extend(methods(bench, planned, plan::may_skip(arguments), &mut skipped)?);
        }
        let settings = settings(arguments, dataset, benches, &plans, self.judge.is_some())?;
        if let Some(path) = baseline {
            let baseline = Baseline::read(path).context("a baseline is recorded with --update")?;
            baseline.fits(&settings, path)?;
        }
        let origin = origin::origin(skipped);
        let mut journal = match folder {
            Some(folder) => Journal::open(folder, &settings, origin)?,
            None => Journal::memory(origin),
        };
        answer(dataset, &mut ready, &settings, self.judge, &mut journal)?;
        Ok(Report::new(&settings, &journal))
    }
}

/// What no option can say by itself.
fn check(arguments: &EvalArguments) -> anyhow::Result<()> {
    let given = |name: &str| arguments.guard.scores.iter().any(|score| score.starts_with(&format!("{name}=")));
    if let Some(recipe) = arguments.recipe {
        let complete =
            arguments.prompts.is_some() && arguments.guard.model.is_some() && given("reward") && given("cost");
        if !complete {
            bail!(
                "--recipe {} needs the folders of its models and the prompts: --model DIR --score reward=DIR --score \
                 cost=DIR --prompts FILE",
                recipe.name()
            );
        }
    }
    Ok(())
}

fn dataset(arguments: &EvalArguments, world: &World) -> anyhow::Result<Dataset> {
    let dataset = match &arguments.prompts {
        Some(path) => Dataset::read(path)?,
        None => demo(arguments.split, world)?,
    };
    if dataset.repeated > 0 {
        output::note(format_args!("{} records repeat a prompt; each prompt is asked once", dataset.repeated));
    }
    let limit = arguments.limit.unwrap_or(usize::MAX);
    Ok(if arguments.attacks { dataset.attacked(limit)? } else { dataset.limited(limit)? })
}

/// The prompts of a split of the demonstration's world.
pub(crate) fn demo(split: Split, world: &World) -> anyhow::Result<Dataset> {
    let prompt = |prompt: &inferenceguard_train::world::Prompt| Prompt {
        id: 0,
        text: prompt.text.clone(),
        intent: if prompt.is_harmful() { Intent::Harmful } else { Intent::Benign },
        topic: TOPICS.get(prompt.topic).map(|topic| topic.name.to_owned()),
        group: None,
    };
    let prompts = world.split(split.into()).into_iter().map(prompt).collect();
    Ok(Dataset::new(&format!("the demonstration's world ({})", split.name()), prompts)?)
}

fn judge(arguments: &EvalArguments, world: &World) -> Option<DemoJudge> {
    let default = if models::is_demo(arguments) { JudgeChoice::Demo } else { JudgeChoice::None };
    match arguments.judge.unwrap_or(default) {
        JudgeChoice::Demo => Some(DemoJudge::new(world)),
        JudgeChoice::None => None,
    }
}

/// A row of a model that can be played.
struct Ready<'a> {
    model: &'a str,
    row: &'a Row,
    method: Box<dyn Method + 'a>,
}

/// Builds the engine of every row, so that whatever does not fit is told before the first question.
fn methods<'a>(
    bench: &'a Bench,
    planned: &'a [Planned],
    may_skip: bool,
    skipped: &mut Vec<Skipped>,
) -> anyhow::Result<Vec<Ready<'a>>> {
    let mut ready = Vec::new();
    for Planned { row, bundle } in planned {
        let method: Box<dyn Method + 'a> = if row.method == ALWAYS_REFUSE {
            Box::new(AlwaysRefuse { bench })
        } else {
            match bench.engine(bundle, &row.method) {
                Ok(engine) => Box::new(Guarded { bench, engine }),
                Err(error) if may_skip && is_of_the_bundle(&error) => {
                    let (model, row, why) = (bench.name.clone(), row.label.clone(), error.to_string());
                    output::note(format_args!("not run: {row} ({model}): {why}"));
                    skipped.push(Skipped { model, row, why });
                    continue;
                }
                Err(error) => return Err(error).with_context(|| format!("{} ({})", row.label, bench.name)),
            }
        };
        ready.push(Ready { model: &bench.name, row, method });
    }
    Ok(ready)
}

/// Whether a bundle lacks a part that other bundles have, or has one that does not fit: of other models, constraints,
/// budgets or sizes. The other rows do not need it.
fn is_of_the_bundle(error: &anyhow::Error) -> bool {
    use EngineError::{Dense, NoComponent, NoCritic, NoLayer, NoNetwork, UntrainedBudget, WrongNetwork};
    let unfit = |error: &EngineError| {
        matches!(
            error,
            NoCritic { .. }
                | NoNetwork { .. }
                | NoComponent { .. }
                | NoLayer { .. }
                | WrongNetwork { .. }
                | UntrainedBudget { .. }
                | Dense(_)
        )
    };
    error.downcast_ref().is_some_and(unfit)
}

fn settings(
    arguments: &EvalArguments,
    dataset: &Dataset,
    benches: &[Bench],
    plans: &[Vec<Planned>],
    judged: bool,
) -> anyhow::Result<Settings> {
    let (name, digest, prompts) = (dataset.name.clone(), dataset.digest(), dataset.prompts.len());
    let first = plans.first().context("there is no model to evaluate")?;
    let device = &arguments.guard.device;
    Ok(Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        recipe: arguments.recipe.map(|recipe| recipe.name().to_owned()),
        dataset: DatasetId { name, digest, prompts },
        seeds: if arguments.seeds.is_empty() { vec![arguments.seed] } else { arguments.seeds.clone() },
        models: benches.iter().zip(plans).map(|(bench, planned)| model_id(bench, planned)).collect(),
        rows: first.iter().map(|planned| planned.row.clone()).collect(),
        guard: guard(first)?,
        judge: judged.then(|| judged::NAME.to_owned()),
        device: format!("{}, {}", device.device, device.precision),
    })
}

fn model_id(bench: &Bench, planned: &[Planned]) -> ModelId {
    let digest = |one: &Planned| (one.row.label.clone(), one.bundle.digest().to_string());
    ModelId {
        name: bench.name.clone(),
        fingerprint: bench.language.info().fingerprint.clone(),
        scores: bench.fingerprints(),
        template: bench.template.clone(),
        templates: bench.templates.clone(),
        bundles: planned.iter().map(digest).collect(),
    }
}

/// What the manifest says of all rows: constraints, fallback, lengths, sampling.
fn guard(planned: &[Planned]) -> anyhow::Result<BTreeMap<String, serde_json::Value>> {
    const KEYS: [&str; 10] = [
        "name",
        "version",
        "task",
        "max_tokens",
        "on_exhausted",
        "refusal",
        "backtrack",
        "constraints",
        "costs",
        "sampling",
    ];
    let first = planned.first().context("there is no method to evaluate")?;
    let manifest = serde_json::to_value(first.bundle.manifest())?;
    Ok(KEYS.into_iter().map(|key| (key.to_owned(), manifest[key].clone())).collect())
}

fn answer(
    dataset: &Dataset,
    ready: &mut [Ready<'_>],
    settings: &Settings,
    judge: Option<&DemoJudge>,
    journal: &mut Journal,
) -> anyhow::Result<()> {
    let contestants =
        ready.iter_mut().map(|one| Contestant { model: one.model, row: one.row, method: &mut *one.method });
    let mut contestants: Vec<Contestant<'_>> = contestants.collect();
    let bar = bar(journal.answers().len())?;
    let verdict = |prompt: &Prompt, answer: &str| judge.map(|judge| judge.verdict(prompt, answer));
    evaluate(&dataset.prompts, &mut contestants, &settings.seeds, &verdict, journal, &mut |at| {
        bar.set_length(at.total as u64);
        bar.set_position(at.done as u64);
        bar.set_message(format!("{}, {}", at.model, at.row));
    })?;
    bar.finish_and_clear();
    Ok(())
}

/// A bar whose time left does not count what an earlier run answered.
fn bar(answered: usize) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg}, {eta} left")?;
    let bar = ProgressBar::new(0).with_style(style).with_position(answered as u64);
    bar.reset_eta();
    Ok(bar)
}

/// Prints and writes, then says whether something is wrong with the figures.
fn finish(arguments: &EvalArguments, report: &Report) -> anyhow::Result<()> {
    if let Some(path) = &arguments.json {
        output::file(path, &serde_json::to_vec(report)?)?;
    }
    if let Some(folder) = &arguments.out {
        report.write(folder)?;
    }
    output::result(report)?;
    if let Some(path) = &arguments.baseline {
        compare(report, path, arguments.update)?;
    }
    match report.violations() {
        0 => Ok(()),
        count => bail!("{count} answers with status within_budget exceed it when priced from scratch; this is a bug"),
    }
}

/// Tells what got better; fails if something got worse, unless that is to be recorded.
fn compare(report: &Report, path: &Path, update: bool) -> anyhow::Result<()> {
    let changes = match Baseline::read(path).and_then(|baseline| baseline.compare(report, path)) {
        Ok(changes) => changes,
        // What is written anew need not be there, nor be of the same prompts.
        Err(_) if update => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    changes.iter().for_each(output::note);
    if update {
        Baseline::of(report).write(path)?;
        return Ok(());
    }
    let worse: Vec<String> = changes.iter().filter(|change| change.worse).map(|change| change.what.clone()).collect();
    if worse.is_empty() {
        return Ok(());
    }
    bail!("worse than recorded in {}: {}", path.display(), worse.join("; "))
}
