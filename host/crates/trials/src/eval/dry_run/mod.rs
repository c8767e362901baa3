//! What an evaluation would do and need, before anything heavy is loaded: of models the headers and the tokenizer are read, of the
//! bundle everything, and of time what an earlier bench measured.
//!
//! Whether a network was made for another model shows only when that model is loaded.

mod models;
mod report;
mod time;

pub use models::ModelAhead;
pub use report::{DryRun, Memory, PromptsAhead, RowAhead};
pub use time::TimeAhead;

use super::{
    EvalOptions, check, dataset,
    judge_choice::{JudgeChoice, judge_choices},
    judges,
    plan::{self, Planned, Wish},
    under_test::{self, Bundled},
};
use crate::TrialError;
use inferenceguard_bundle::Manifest;
use inferenceguard_catalog::{cache, language_files, score_places};
use inferenceguard_demo::world::World;
use inferenceguard_eval::Dataset;
use inferenceguard_model::with_causes;
use inferenceguard_sandbox::Sandbox;
use models::Looked;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Looks at everything that [`evaluate`](super::evaluate) would open. `measured` is what `inferguard bench --json` printed,
/// or the report.json of an earlier evaluation.
///
/// # Errors
/// Options that contradict each other, and a bundle that cannot be opened. What is missing beside that is a problem of the report:
/// see [`DryRun::ready`].
pub fn dry_run(options: &EvalOptions, measured: Option<&Path>) -> Result<DryRun, TrialError> {
    check(options)?;
    let judges = judge_choices(options)?;
    let mut problems = Vec::new();
    let prompts = prompts(options, &judges, &mut problems);
    let looked = Looked::default();
    let bundled = under_test::bundled(options, &|name| match name {
        None => language_files(None, options.choice.loading.note),
        Some(name) => Ok(looked.files(name)),
    })?;
    let manifests: Vec<&Manifest> = bundled.iter().map(|one| one.bundle.manifest()).collect();
    let wishes = plan::wishes(options, &manifests)?;
    let rows = rows(options, &bundled, &wishes, &mut problems)?;
    let mut models = looked.models(options, &bundled, &mut problems)?;
    models.extend(looked.judges(options, &judges, &mut problems)?);
    let prompts = prompts.map(|dataset| looked.prompts(&dataset, &models, options));
    let memory = Memory::of(&models, &rows, prompts.as_ref(), &bundled);
    let time = measured.map(|path| TimeAhead::read(path, &rows, prompts.as_ref(), options)).transpose()?;
    let mut seen = BTreeSet::new();
    problems.retain(|problem: &String| seen.insert(problem.clone()));
    Ok(DryRun { models: models.into_iter().map(|one| one.about).collect(), rows, prompts, memory, time, problems })
}

/// The prompts of the evaluation; every other file of texts is read as well, for its problems.
fn prompts(options: &EvalOptions, judges: &[JudgeChoice], problems: &mut Vec<String>) -> Option<Dataset> {
    if let Err(error) = judges::rated(options, judges) {
        problems.push(with_causes(&error));
    }
    if let Some(Err(error)) = options.tune_prompts.as_deref().map(Dataset::read) {
        problems.push(with_causes(&error));
    }
    dataset(options, &World::frozen()).map_err(|error| problems.push(with_causes(&error))).ok()
}

/// Every row of every model, with the reason if it would be skipped.
fn rows(
    options: &EvalOptions,
    bundled: &[Bundled],
    wishes: &[Wish],
    problems: &mut Vec<String>,
) -> Result<Vec<RowAhead>, TrialError> {
    let mut rows = Vec::new();
    for one in bundled {
        let sandbox = Sandbox::new(one.bundle.manifest().limits.clone(), cache().as_deref())?;
        let planned = plan::planned(&one.bundle, &sandbox, wishes)?;
        problems.extend(unread_scores(options, one, &sandbox)?);
        rows.extend(planned.iter().map(|planned| row(options, one.model().0, planned)));
    }
    Ok(rows)
}

fn row(options: &EvalOptions, model: &str, planned: &Planned) -> RowAhead {
    let (row, bundle) = (&planned.row, &planned.bundle);
    let idle = plan::idle(options, &row.method, bundle).map(str::to_owned);
    RowAhead {
        model: model.to_owned(),
        row: row.label.clone(),
        method: row.method.clone(),
        n: row.n,
        max_tokens: Some(bundle.manifest().max_tokens),
        not_run: idle.or_else(|| plan::lacks(row, bundle)),
    }
}

/// Score models that the bundle's costs read and nobody gave.
fn unread_scores(options: &EvalOptions, one: &Bundled, sandbox: &Sandbox) -> Result<Vec<String>, TrialError> {
    let (here, elsewhere) = score_places(&options.choice.scores);
    let given = |name: &str| {
        let is_given = here.iter().any(|text| text.split_once('=').is_some_and(|(known, _)| known == name));
        is_given || elsewhere.contains_key(name) || (options.is_demo() && ["reward", "cost"].contains(&name))
    };
    let mut problems = Vec::new();
    for (cost, entry) in &one.bundle.manifest().costs {
        let bytes = one.bundle.file(&entry.component).unwrap_or_default();
        let active = sandbox.load(cost, bytes)?.activate(&one.bundle.settings(entry))?;
        let absent = active.needs().scores.iter().filter(|name| !given(name));
        problems.extend(absent.map(|name| {
            format!(
                "the cost `{cost}` of the bundle reads the score model `{name}`, which is not given: --score {name}=DIR"
            )
        }));
    }
    Ok(problems)
}

/// A program that a judge names, if it is nowhere.
fn missing_program(words: &[String]) -> Option<String> {
    let program = words.first()?;
    let is_there = match program.contains('/') {
        true => Path::new(program).is_file(),
        false => std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder: PathBuf| folder.join(program).is_file())),
    };
    (!is_there).then(|| format!("--judge command:{}: {program}: no such program", words.join(" ")))
}
