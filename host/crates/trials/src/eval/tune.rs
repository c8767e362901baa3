//! Chooses the multipliers of Lagrangian rows, on prompts that are not evaluated.

use super::{
    Recipe, demonstration,
    plan::{self, Wish},
    stage::Stage,
};
use crate::TrialError;
use inferenceguard_catalog::Note;
use inferenceguard_demo::world::{Split, World};
use inferenceguard_eval::{Dataset, Part, Report, Row};
use std::collections::BTreeSet;

/// The folder of the tuning, in the folder of the results.
const FOLDER: &str = "tuning";

/// The rows with the multipliers that did best, beside the rows of a recipe. Without multipliers to choose from, the same rows.
pub(super) fn tuned(
    stage: &Stage<'_>,
    world: &World,
    due: &Dataset,
    wishes: Vec<Wish>,
) -> Result<Vec<Wish>, TrialError> {
    let lambdas = &stage.options.tune_lambda;
    if lambdas.is_empty() {
        return Ok(wishes);
    }
    let rows: Vec<Wish> = weighted(lambdas, &wishes)?.into_iter().filter(|wish| is_played(stage, wish)).collect();
    if rows.is_empty() {
        return Ok(wishes);
    }
    let prompts = prompts(stage, world)?;
    apart(&prompts, due)?;
    let tried: Vec<Wish> = rows.iter().flat_map(|wish| wish.with_lambdas(lambdas)).collect();
    let folder = stage.options.out.as_ref().map(|out| out.join(FOLDER));
    let report = stage.evaluate(&prompts, &tried, folder.as_deref(), None)?;
    if let Some(folder) = &folder {
        report.write(folder)?;
    }
    let chosen = rows
        .iter()
        .map(|wish| choose(&report, wish, stage.options.choice.loading.note))
        .collect::<Result<Vec<_>, TrialError>>()?;
    let tuned = wishes.iter().map(|wish| replaced(wish.clone(), &rows, &chosen));
    // A recipe of the paper keeps its rows with the paper's multipliers.
    let as_printed = if stage.options.recipe.is_some_and(Recipe::is_papers) { wishes.clone() } else { Vec::new() };
    Ok(tuned.fold(as_printed, without_twins))
}

/// The rows whose multiplier is chosen among these numbers.
fn weighted(lambdas: &[f64], wishes: &[Wish]) -> Result<Vec<Wish>, TrialError> {
    if !lambdas.iter().all(|lambda| lambda.is_finite() && *lambda >= 0.0) {
        let problem = "--tune-lambda: expected numbers from 0 on, such as 0.01,0.1,1,5,10";
        return Err(TrialError::Option { problem });
    }
    let rows = distinct(wishes);
    if rows.is_empty() {
        let problem = "--tune-lambda: none of the rows has a multiplier; name one, such as beam+lagrangian";
        return Err(TrialError::Option { problem });
    }
    Ok(rows)
}

/// Whether the row does what its name says with the bundle of some model. The others are listed as not run, and not tuned.
fn is_played(stage: &Stage<'_>, wish: &Wish) -> bool {
    stage.models.iter().any(|model| plan::idle(stage.options, &wish.method, &model.bundle).is_none())
}

/// The rows whose multiplier is chosen. Rows that differ only in it count once.
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

fn prompts(stage: &Stage<'_>, world: &World) -> Result<Dataset, TrialError> {
    let options = stage.options;
    let dataset = match (&options.tune_prompts, &options.prompts) {
        (Some(path), _) => Dataset::read(path)?,
        (None, Some(_)) => {
            let problem = "--tune-lambda: name prompts that are not evaluated, with --tune-prompts FILE";
            return Err(TrialError::Option { problem });
        }
        (None, None) => demonstration::prompts(Split::Validation, world)?,
    };
    Ok(dataset.limited(options.tune_limit)?)
}

/// Refuses prompts that are evaluated as well.
fn apart(prompts: &Dataset, due: &Dataset) -> Result<(), TrialError> {
    let evaluated: BTreeSet<&str> = due.prompts.iter().map(|prompt| prompt.text.as_str()).collect();
    match prompts.prompts.iter().find(|prompt| evaluated.contains(prompt.text.as_str())) {
        Some(both) => Err(TrialError::TunedOnTest { prompt: both.text.clone() }),
        None => Ok(()),
    }
}

/// The multiplier with the most good answers over all models, or without a judge with the most answers within budget. Among
/// equals the one with the larger reward wins, then the smaller multiplier.
fn choose(report: &Report, wish: &Wish, note: Note) -> Result<f64, TrialError> {
    let of = |row: &&Row| {
        let budget = wish.budget.is_none_or(|budget| budget == row.budget);
        row.method == wish.method && budget && (wish.n.is_none() || wish.n == row.n)
    };
    let mut rows: Vec<(f64, [f64; 2])> = Vec::new();
    for row in report.settings.rows.iter().filter(of) {
        rows.push((row.lambda.ok_or_else(no_multiplier)?, merit(report, row)));
    }
    rows.sort_by(|(_, a), (_, b)| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1])));
    let (lambda, [share, reward]) = *rows.first().ok_or_else(no_multiplier)?;
    note(&format!(
        "{}: λ = {lambda} on the prompts for tuning ({:.1} %, reward {reward:.2})",
        wish.method,
        100.0 * share
    ));
    Ok(lambda)
}

fn no_multiplier() -> TrialError {
    TrialError::Option { problem: "--tune-lambda: a row has no multiplier to choose" }
}

/// The share by which multipliers are compared, and the mean reward.
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
