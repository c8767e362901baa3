//! Chooses the multipliers of Lagrangian rows, on prompts that are not evaluated.

use super::{Stage, arguments::Split, demo, plan::Wish};
use crate::output;
use anyhow::{Context, bail, ensure};
use inferenceguard_eval::{Dataset, Part, Report, Row};
use inferenceguard_train::world::World;
use std::collections::BTreeSet;

/// The folder of what was tuned, in that of the results.
const FOLDER: &str = "tuning";

/// The rows with the multipliers that did best (beside those of a recipe); as they were, if nothing is to be tuned.
pub(super) fn tuned(stage: &Stage<'_>, world: &World, due: &Dataset, wishes: Vec<Wish>) -> anyhow::Result<Vec<Wish>> {
    let lambdas = &stage.arguments.tune_lambda;
    if lambdas.is_empty() {
        return Ok(wishes);
    }
    let fine = lambdas.iter().all(|lambda| lambda.is_finite() && *lambda >= 0.0);
    ensure!(fine, "--tune-lambda: expected numbers from 0 on, such as 0.01,0.1,1,5,10");
    let rows = distinct(&wishes);
    ensure!(!rows.is_empty(), "--tune-lambda: none of the rows has a multiplier; name one, such as beam+lagrangian");
    let prompts = prompts(stage, world)?;
    apart(&prompts, due)?;
    let tried: Vec<Wish> = rows.iter().flat_map(|wish| wish.with_lambdas(lambdas)).collect();
    let folder = stage.arguments.out.as_ref().map(|out| out.join(FOLDER));
    let report = stage.evaluate(&prompts, &tried, folder.as_deref(), None)?;
    if let Some(folder) = &folder {
        report.write(folder)?;
    }
    let chosen = rows.iter().map(|wish| choose(&report, wish)).collect::<anyhow::Result<Vec<_>>>()?;
    let tuned = wishes.iter().map(|wish| replaced(wish.clone(), &rows, &chosen));
    // A recipe's own rows stay, with the paper's multipliers.
    let as_printed = if stage.arguments.recipe.is_some() { wishes.clone() } else { Vec::new() };
    Ok(tuned.fold(as_printed, without_twins))
}

/// The rows with a multiplier, which is to be chosen: those that differ in it alone are one.
fn distinct(wishes: &[Wish]) -> Vec<Wish> {
    let rows = wishes.iter().filter(|wish| wish.is_weighted()).map(|wish| Wish { lambda: None, ..wish.clone() });
    rows.fold(Vec::new(), without_twins)
}

fn without_twins(mut rows: Vec<Wish>, wish: Wish) -> Vec<Wish> {
    if !rows.contains(&wish) {
        rows.push(wish);
    }
    rows
}

fn replaced(wish: Wish, rows: &[Wish], chosen: &[f64]) -> Wish {
    let bare = Wish { lambda: None, ..wish.clone() };
    match rows.iter().position(|row| *row == bare).filter(|_| wish.is_weighted()) {
        Some(at) => Wish { lambda: Some(chosen[at]), ..wish },
        None => wish,
    }
}

fn prompts(stage: &Stage<'_>, world: &World) -> anyhow::Result<Dataset> {
    let arguments = stage.arguments;
    let dataset = match (&arguments.tune_prompts, &arguments.prompts) {
        (Some(path), _) => Dataset::read(path)?,
        (None, Some(_)) => bail!("--tune-lambda: name prompts that are not evaluated, with --tune-prompts FILE"),
        (None, None) => demo(Split::Validation, world)?,
    };
    Ok(dataset.limited(arguments.tune_limit)?)
}

/// Refuses prompts that are evaluated as well.
fn apart(prompts: &Dataset, due: &Dataset) -> anyhow::Result<()> {
    let evaluated: BTreeSet<&str> = due.prompts.iter().map(|prompt| prompt.text.as_str()).collect();
    match prompts.prompts.iter().find(|prompt| evaluated.contains(prompt.text.as_str())) {
        Some(both) => bail!(
            "--tune-lambda: {:?} is a prompt of the evaluation too; tune on others (--tune-prompts FILE, or leave out \
             --split validation)",
            both.text
        ),
        None => Ok(()),
    }
}

/// The multiplier with the most good answers over all models; without a judge, with the most answers within budget. Of
/// equals that with the larger reward, then the smaller one.
fn choose(report: &Report, wish: &Wish) -> anyhow::Result<f64> {
    let of = |row: &&Row| {
        let budget = wish.budget.is_none_or(|budget| budget == row.budget);
        row.method == wish.method && budget && (wish.n.is_none() || wish.n == row.n)
    };
    let mut rows: Vec<(f64, [f64; 2])> = Vec::new();
    for row in report.settings.rows.iter().filter(of) {
        rows.push((row.lambda.context("a row without a multiplier")?, merit(report, row)));
    }
    rows.sort_by(|(_, a), (_, b)| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1])));
    let (lambda, [share, reward]) = *rows.first().context("no multiplier was tried")?;
    output::note(format_args!(
        "{}: λ = {lambda} on the prompts for tuning ({:.1} %, reward {reward:.2})",
        wish.method,
        100.0 * share
    ));
    Ok(lambda)
}

/// The share that decides, and the reward.
fn merit(report: &Report, row: &Row) -> [f64; 2] {
    let of = || report.figures.iter().filter(|figures| figures.row == row.label);
    let judged = of().any(|figures| figures.get(Part::All, "good").is_some());
    let decides = if judged { "good" } else { "within_budget" };
    [decides, "reward"].map(|name| {
        let means: Vec<f64> = of().filter_map(|figures| Some(figures.get(Part::All, name)?.mean)).collect();
        // Without any answer there is no reward.
        if means.is_empty() { f64::NEG_INFINITY } else { means.iter().sum::<f64>() / means.len() as f64 }
    })
}
