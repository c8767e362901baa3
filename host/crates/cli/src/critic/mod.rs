//! `train critic`: a critic, or RE-Control's value network, for a language model and a bundle.

mod arguments;
mod options;

pub(crate) use arguments::CriticArguments;

use crate::{output, progress::Shown};
use inferenceguard_candle::ModelFiles;
use inferenceguard_catalog::{
    CatalogError, Loading, Note,
    bundles::{self, Fallback},
    cache, embedded, language_files, language_model, score_files, score_model,
};
use inferenceguard_critic::{
    self as critic, CriticOptions, Reading,
    labels::{BundleLabels, Scores},
    network_path,
};
use inferenceguard_demo::world::{Split, World};
use inferenceguard_eval::{Dataset, Intent, Prompt};
use inferenceguard_host::{Models, check_models};
use inferenceguard_model::{Model, ModelIdentity, ScoreModel, Tokenizer};
use inferenceguard_sandbox::Sandbox;

/// Samples, trains, measures, writes, and prints the measurements.
pub(crate) fn run(arguments: &CriticArguments) -> anyhow::Result<()> {
    let bundle = bundles::open(arguments.bundle.as_deref(), Fallback::Plain)?;
    let mut options = options::options(arguments, bundle.manifest())?;
    let prompts = prompts(arguments)?;
    let load = Loading::new(&arguments.device.loading(), Some(bundle.manifest()))?;
    let mut language = language_model(&files(arguments.model.as_deref(), load.note())?, &load.language(), load.note())?;
    options.collect.sampling = options::sampling(&arguments.answers, bundle.manifest(), language.info().sampling);
    let tokenizer = language.tokenizer();
    let scores = scores(arguments, &load, &*tokenizer)?;
    let scored = scores.iter().map(|(name, model)| (name.clone(), ModelIdentity::from(model.info()))).collect();
    let models = Models { model: ModelIdentity::from(language.info()), scores: scored };
    check_models(&models, bundle.manifest())?;
    let sandbox = Sandbox::new(bundle.manifest().limits.clone(), cache().as_deref())?;
    let mut labels = BundleLabels::open(&bundle, &sandbox, scores, tokenizer)?;
    let names: Vec<String> = bundle.manifest().constraints.iter().map(|one| one.name.clone()).collect();
    let shown = Shown::begin("{bar:32} {pos}/{len} {msg} {eta}")?;
    let report = critic::train(&options, &mut language, &mut labels, &prompts, &names, shown.bar());
    drop(shown);
    let report = report?;
    show_paths(&options);
    if arguments.json { output::json(&report) } else { output::result(&report) }
}

/// Shows where the networks are.
fn show_paths(options: &CriticOptions) {
    for reading in options.readings.iter().filter(|reading| **reading != Reading::Nothing) {
        let path = network_path(&options.out, *reading, &options.objective);
        output::note(format_args!("{reading}: {}", path.display()));
    }
}

/// A folder, a hub id, or a demonstration model by name.
pub(crate) fn files(model: Option<&str>, note: Note) -> Result<ModelFiles, CatalogError> {
    model.and_then(embedded::model).map_or_else(|| language_files(model, note), Ok)
}

fn scores(arguments: &CriticArguments, load: &Loading, language: &dyn Tokenizer) -> anyhow::Result<Scores> {
    let demo = arguments.model.as_deref().is_none_or(|name| embedded::model(name).is_some());
    let files = score_files(&arguments.scores, demo, load.note())?;
    load.check(files.keys())?;
    let open = |(name, files): (String, ModelFiles)| {
        let model = score_model(&files, &load.score(&name), language, load.note())?;
        Ok((name, model))
    };
    files.into_iter().map(open).collect()
}

fn prompts(arguments: &CriticArguments) -> anyhow::Result<Vec<String>> {
    let dataset = match &arguments.prompts {
        Some(path) => Dataset::read(path)?,
        None => {
            let plain = |prompt: &inferenceguard_demo::world::Prompt| Prompt {
                id: 0,
                text: prompt.text.clone(),
                intent: Intent::Unknown,
                topic: None,
                group: None,
            };
            Dataset::new("train", World::frozen().split(Split::Train).into_iter().map(plain).collect())?
        }
    };
    let dataset = dataset.limited(arguments.limit.unwrap_or(usize::MAX))?;
    Ok(dataset.prompts.into_iter().map(|prompt| prompt.text).collect())
}
