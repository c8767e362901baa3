//! One evaluation of some prompts by some rows, with models that are open already.

use super::{
    EvalOptions,
    contestants::{ALWAYS_REFUSE, AlwaysRefuse, Guarded},
    demonstration::{self, DemoJudge},
    origin,
    plan::{self, Planned, Wish},
    under_test::ModelUnderTest,
};
use crate::TrialError;
use inferenceguard_catalog::CatalogError;
use inferenceguard_eval::{
    Baseline, Contestant, Dataset, DatasetId, Journal, Method, ModelId, Prompt, Report, Row, Settings, Skipped,
    evaluate,
};
use inferenceguard_host::EngineError;
use std::{collections::BTreeMap, path::Path};

/// What evaluations of different prompts and rows have in common.
pub(super) struct Stage<'a> {
    pub(super) options: &'a EvalOptions,
    pub(super) models: &'a [ModelUnderTest],
    pub(super) judge: Option<&'a DemoJudge>,
}

impl Stage<'_> {
    /// Answers these prompts by these rows. With a folder, goes on where an earlier run stopped. Refuses a baseline of other
    /// prompts before the first question.
    pub(super) fn evaluate(
        &self,
        dataset: &Dataset,
        wishes: &[Wish],
        folder: Option<&Path>,
        baseline: Option<&Path>,
    ) -> Result<Report, TrialError> {
        let (settings, journal) = self.answered(dataset, wishes, folder, baseline)?;
        Ok(Report::new(&settings, &journal))
    }

    /// The same, before it is counted.
    pub(super) fn answered(
        &self,
        dataset: &Dataset,
        wishes: &[Wish],
        folder: Option<&Path>,
        baseline: Option<&Path>,
    ) -> Result<(Settings, Journal), TrialError> {
        let plans = self
            .models
            .iter()
            .map(|model| plan::planned(&model.bundle, &model.sandbox, wishes))
            .collect::<Result<Vec<_>, _>>()?;
        let (mut skipped, mut ready) = (Vec::new(), Vec::new());
        for (model, planned) in self.models.iter().zip(&plans) {
            ready.extend(self.methods(model, planned, &mut skipped)?);
        }
        if let Some(first) = skipped.first().filter(|_| ready.iter().all(|one| one.row.method == ALWAYS_REFUSE)) {
            let (rows, row, why) = (skipped.len(), first.row.clone(), first.why.clone());
            return Err(TrialError::NothingToRun { rows, row, why });
        }
        let settings = self.settings(dataset, &plans)?;
        if let Some(path) = baseline {
            Baseline::read(path).map_err(TrialError::Baseline)?.fits(&settings, path)?;
        }
        let origin = origin::origin(skipped);
        let mut journal = match folder {
            Some(folder) => Journal::open(folder, &settings, origin)?,
            None => Journal::memory(origin),
        };
        self.answer(dataset, &mut ready, &settings, &mut journal)?;
        Ok((settings, journal))
    }

    /// Builds the engine of every row, so that an engine that cannot be built is an error before the first question. A row
    /// whose bundle lacks a part is skipped with a note, where the plan allows it.
    fn methods<'m>(
        &self,
        model: &'m ModelUnderTest,
        planned: &'m [Planned],
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<Ready<'m>>, TrialError> {
        let mut ready = Vec::new();
        for Planned { row, bundle } in planned {
            if let Some(why) = plan::idle(self.options, &row.method, bundle) {
                skipped.push(self.not_run(model, row, why.to_owned()));
                continue;
            }
            let method: Box<dyn Method + 'm> = if row.method == ALWAYS_REFUSE {
                Box::new(AlwaysRefuse { model })
            } else {
                match model.engine(bundle, &row.method) {
                    Ok(engine) => Box::new(Guarded { model, engine }),
                    Err(error) if plan::may_skip(self.options) && is_of_the_bundle(&error) => {
                        skipped.push(self.not_run(model, row, error.to_string()));
                        continue;
                    }
                    Err(source) => {
                        let (row, model, source) = (row.label.clone(), model.name.clone(), Box::new(source.into()));
                        return Err(TrialError::Row { row, model, source });
                    }
                }
            };
            ready.push(Ready { model: &model.name, row, method });
        }
        Ok(ready)
    }

    /// Notes a row that is skipped, with the reason.
    fn not_run(&self, model: &ModelUnderTest, row: &Row, why: String) -> Skipped {
        let (model, row) = (model.name.clone(), row.label.clone());
        (self.options.choice.loading.note)(&format!("not run: {row} ({model}): {why}"));
        Skipped { model, row, why }
    }

    fn settings(&self, dataset: &Dataset, plans: &[Vec<Planned>]) -> Result<Settings, TrialError> {
        let (name, digest, prompts) = (dataset.name.clone(), dataset.digest(), dataset.prompts.len());
        let first = plans.first().ok_or(TrialError::NoModel)?;
        let loading = &self.options.choice.loading;
        Ok(Settings {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            recipe: self.options.recipe.map(|recipe| recipe.name().to_owned()),
            dataset: DatasetId { name, digest, prompts },
            seeds: self.options.seeds.clone(),
            models: self.models.iter().zip(plans).map(|(model, planned)| model_id(model, planned)).collect(),
            rows: first.iter().map(|planned| planned.row.clone()).collect(),
            guard: guard(first)?,
            judge: self.judge.map(|_| demonstration::JUDGE.to_owned()),
            device: format!("{}, {}", loading.device, loading.precision),
        })
    }

    fn answer(
        &self,
        dataset: &Dataset,
        ready: &mut [Ready<'_>],
        settings: &Settings,
        journal: &mut Journal,
    ) -> Result<(), TrialError> {
        let contestants =
            ready.iter_mut().map(|one| Contestant { model: one.model, row: one.row, method: &mut *one.method });
        let mut contestants: Vec<Contestant<'_>> = contestants.collect();
        let bar = &self.options.progress;
        bar.set_position(journal.answers().len() as u64);
        // The time left does not count the answers of an earlier run.
        bar.reset_eta();
        let verdict = |prompt: &Prompt, answer: &str| self.judge.map(|judge| judge.verdict(prompt, answer));
        evaluate(&dataset.prompts, &mut contestants, &settings.seeds, &verdict, journal, &mut |at| {
            bar.set_length(at.total as u64);
            bar.set_position(at.done as u64);
            bar.set_message(format!("{}, {}", at.model, at.row));
        })?;
        Ok(())
    }
}

/// A row of a model whose engine is built.
struct Ready<'a> {
    model: &'a str,
    row: &'a Row,
    method: Box<dyn Method + 'a>,
}

/// Whether a bundle lacks a part that other bundles have, or has a part for other models, constraints, budgets or sizes. The
/// other rows do not need that part.
fn is_of_the_bundle(error: &CatalogError) -> bool {
    use EngineError::{Dense, NoComponent, NoCritic, NoLayer, NoNetwork, UntrainedBudget, WrongNetwork};
    let CatalogError::Engine(error) = error else { return false };
    matches!(
        **error,
        NoCritic { .. }
            | NoNetwork { .. }
            | NoComponent { .. }
            | NoLayer { .. }
            | WrongNetwork { .. }
            | UntrainedBudget { .. }
            | Dense(_)
    )
}

fn model_id(model: &ModelUnderTest, planned: &[Planned]) -> ModelId {
    let digest = |one: &Planned| (one.row.label.clone(), one.bundle.digest().to_string());
    ModelId {
        name: model.name.clone(),
        fingerprint: model.language.info().fingerprint.clone(),
        scores: model.fingerprints(),
        template: model.template.clone(),
        templates: model.templates.clone(),
        bundles: planned.iter().map(digest).collect(),
    }
}

/// The parts of the manifest that hold for all rows: constraints, fallback, lengths, sampling.
fn guard(planned: &[Planned]) -> Result<BTreeMap<String, serde_json::Value>, TrialError> {
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
    let first = planned.first().ok_or(TrialError::NoMethods)?;
    let manifest = serde_json::to_value(first.bundle.manifest())?;
    Ok(KEYS.into_iter().map(|key| (key.to_owned(), manifest[key].clone())).collect())
}
