//! A critic, or RE-Control's value network, for a language model and a bundle.

mod given;
mod options;

pub use given::{Given, GivenAnswers, GivenParts, GivenSteps, GivenTargets, GivenTraining, Preset};

use crate::{TrainingError, files};
use indicatif::ProgressBar;
use inferenceguard_bundle::Bundle;
use inferenceguard_candle::{CandleModel, ModelFiles};
use inferenceguard_catalog::{
    Loading,
    bundles::{self, Fallback},
    cache, embedded, language_model, score_files, score_model,
};
use inferenceguard_critic::{
    self as critic, CriticOptions, Reading,
    labels::{BundleLabels, LabelError, Scores},
    network_path,
    objective::Objective,
    report::Report,
};
use inferenceguard_demo::world::{self, Split, World};
use inferenceguard_eval::{Dataset, Intent, Prompt};
use inferenceguard_host::{Models, check_models};
use inferenceguard_model::{Model, ModelIdentity, ScoreModel, Tokenizer};
use inferenceguard_sandbox::Sandbox;
use std::path::PathBuf;

/// A training whose models and bundle are open.
pub struct CriticRun {
    options: CriticOptions,
    language: CandleModel,
    labels: BundleLabels,
    prompts: Vec<String>,
    constraints: Vec<String>,
}

impl CriticRun {
    /// Opens the bundle, the models and the prompts.
    ///
    /// # Errors
    /// Options out of their range; models, bundles and prompts that cannot be opened, or do not fit together.
    pub fn open(given: &Given) -> Result<Self, TrainingError> {
        let bundle = bundles::open(given.bundle.as_deref(), Fallback::Plain)?;
        let mut options = options::options(given, bundle.manifest())?;
        if matches!(options.objective, Objective::Value { .. }) && bundle.manifest().task.is_none() {
            return Err(LabelError::NoTask.into());
        }
        let prompts = prompts(given)?;
        let load = Loading::new(&given.loading, Some(bundle.manifest()))?;
        let files = files::of_language(given.model.as_deref(), load.note())?;
        let language = language_model(&files, &load.language(), load.note())?;
        options.collect.sampling = options::sampling(&given.answers, bundle.manifest(), language.info().sampling);
        let labels = labels(given, &load, &bundle, &language)?;
        let constraints = bundle.manifest().constraints.iter().map(|one| one.name.clone()).collect();
        Ok(Self { options, language, labels, prompts, constraints })
    }

    /// Samples, trains, measures and writes.
    ///
    /// # Errors
    /// [`TrainingError::Critic`].
    pub fn train(&mut self, progress: &ProgressBar) -> Result<Report, TrainingError> {
        let Self { options, language, labels, prompts, constraints } = self;
        Ok(critic::train(options, language, labels, prompts, constraints, progress)?)
    }

    /// The networks that the training writes: what each reads, and its file.
    #[must_use]
    pub fn networks(&self) -> Vec<(Reading, PathBuf)> {
        let (out, objective) = (&self.options.out, &self.options.objective);
        let written = self.options.readings.iter().filter(|reading| **reading != Reading::Nothing);
        written.map(|reading| (*reading, network_path(out, *reading, objective))).collect()
    }
}

/// The bundle's costs and its score models, if these are the models that the bundle was made for.
fn labels(
    given: &Given,
    load: &Loading,
    bundle: &Bundle,
    language: &CandleModel,
) -> Result<BundleLabels, TrainingError> {
    let tokenizer = language.tokenizer();
    let scores = scores(given, load, &*tokenizer)?;
    let scored = scores.iter().map(|(name, model)| (name.clone(), ModelIdentity::from(model.info()))).collect();
    let models = Models { model: ModelIdentity::from(language.info()), scores: scored };
    check_models(&models, bundle.manifest())?;
    let sandbox = Sandbox::new(bundle.manifest().limits.clone(), cache().as_deref())?;
    Ok(BundleLabels::open(bundle, &sandbox, scores, tokenizer)?)
}

fn scores(given: &Given, load: &Loading, language: &dyn Tokenizer) -> Result<Scores, TrainingError> {
    let demo = given.model.as_deref().is_none_or(|name| embedded::model(name).is_some());
    let files = score_files(&given.scores, demo, load.note())?;
    load.check(files.keys())?;
    let open = |(name, files): (String, ModelFiles)| {
        let model = score_model(&files, &load.score(&name), language, load.note())?;
        Ok((name, model))
    };
    files.into_iter().map(open).collect()
}

fn prompts(given: &Given) -> Result<Vec<String>, TrainingError> {
    let dataset = match &given.prompts {
        Some(path) => Dataset::read(path)?,
        None => {
            let plain = |prompt: &world::Prompt| Prompt {
                id: 0,
                text: prompt.text.clone(),
                intent: Intent::Unknown,
                topic: None,
                group: None,
            };
            Dataset::new("train", World::frozen().split(Split::Train).into_iter().map(plain).collect())?
        }
    };
    let dataset = dataset.limited(given.limit.unwrap_or(usize::MAX))?;
    Ok(dataset.prompts.into_iter().map(|prompt| prompt.text).collect())
}
