//! The models of an evaluation: each opened once, with its score models, and shared by all its engines.

use super::{EvalArguments, Recipe, pricer::Pricer};
use crate::{
    bundle::{self, Fallback},
    embedded, engine,
    model::{self, Loading},
};
use anyhow::{Context, bail};
use inferenceguard_bundle::Bundle;
use inferenceguard_candle::ModelFiles;
use inferenceguard_host::{Engine, EngineBuilder};
use inferenceguard_model::{Model, ScoreModel, SharedModel, SharedScoreModel};
use inferenceguard_sandbox::Sandbox;
use std::{cell::RefCell, collections::BTreeMap, path::Path};

/// A model with everything that its engines share.
pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) language: SharedModel,
    pub(crate) scores: BTreeMap<String, SharedScoreModel>,
    /// The language model's template, and those of the score models.
    pub(crate) template: String,
    pub(crate) templates: BTreeMap<String, String>,
    pub(crate) bundle: Bundle,
    pub(crate) sandbox: Sandbox,
    pub(crate) pricer: RefCell<Pricer>,
}

/// Where one model lies, and its name.
struct Source {
    name: String,
    files: ModelFiles,
    fallback: Fallback,
}

/// Whether the demonstration's score models are taken: none are given, and its language model takes part.
pub(crate) fn is_demo(arguments: &EvalArguments) -> bool {
    let named = |model: &String| !model.contains('=') && embedded::model(model).is_some();
    let demo = match arguments.models.is_empty() {
        true => arguments.guard.model.is_none(),
        false => arguments.models.iter().any(named),
    };
    demo && arguments.guard.scores.is_empty()
}

/// Opens every model. `adjusted` makes the bundle of a model out of the one that was given.
pub(crate) fn open(
    arguments: &EvalArguments,
    adjusted: impl Fn(&Bundle) -> anyhow::Result<Bundle>,
) -> anyhow::Result<Vec<Bench>> {
    let sources = sources(arguments)?;
    let bundles = bundles(arguments, &sources)?;
    let scores = engine::score_files(&arguments.guard.scores, is_demo(arguments))?;
    sources
        .into_iter()
        .map(|source| {
            let given = bundles.get(&source.name).map(String::as_str).map(Path::new);
            let bundle = adjusted(&bundle::open(given.or(arguments.guard.bundle.as_deref()), source.fallback)?)?;
            bench(arguments, source, &scores, bundle)
        })
        .collect()
}

fn sources(arguments: &EvalArguments) -> anyhow::Result<Vec<Source>> {
    if arguments.models.is_empty() {
        let files = engine::language_files(arguments.guard.model.as_deref())?;
        let name = arguments.recipe.map_or_else(|| last(files.path()), |recipe| paper_name(recipe).to_owned());
        let fallback = fallback(arguments.guard.model.is_none());
        return Ok(vec![Source { name, files, fallback }]);
    }
    let sources: Vec<Source> = arguments.models.iter().map(|text| source(text)).collect::<Result<_, _>>()?;
    for (at, one) in sources.iter().enumerate() {
        if sources[..at].iter().any(|other| other.name == one.name) {
            bail!("--models: two are called `{}`; give each its own name, as NAME=DIR", one.name);
        }
    }
    Ok(sources)
}

fn paper_name(recipe: Recipe) -> &'static str {
    match recipe {
        Recipe::PaperAlpaca => inferenceguard_eval::paper::MODELS[0],
        Recipe::PaperBeaver => inferenceguard_eval::paper::MODELS[1],
    }
}

/// `NAME=DIR`, a folder or id, or a demonstration model by name.
fn source(text: &str) -> anyhow::Result<Source> {
    if let Some((name, place)) = text.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains('/')) {
        return Ok(Source {
            name: name.to_owned(),
            files: engine::language_files(Some(place))?,
            fallback: Fallback::Plain,
        });
    }
    if let Some(files) = embedded::model(text) {
        return Ok(Source { name: text.to_owned(), files, fallback: fallback(true) });
    }
    let files = engine::language_files(Some(text))?;
    Ok(Source { name: last(Path::new(text)), files, fallback: Fallback::Plain })
}

/// The demonstration model comes with its networks.
fn fallback(demo: bool) -> Fallback {
    if demo { Fallback::Networks } else { Fallback::Plain }
}

fn last(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// `--bundle-for`, by the name of a model that is there.
fn bundles(arguments: &EvalArguments, sources: &[Source]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut bundles = BTreeMap::new();
    for text in &arguments.bundles {
        let (name, folder) = text
            .split_once('=')
            .with_context(|| format!("--bundle-for {text}: expected NAME=DIR, NAME being a model's"))?;
        if !sources.iter().any(|source| source.name == name) {
            let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            bail!("--bundle-for {text}: no model is called `{name}`; there are: {}", known.join(", "));
        }
        bundles.insert(name.to_owned(), folder.to_owned());
    }
    Ok(bundles)
}

fn bench(
    arguments: &EvalArguments,
    source: Source,
    scores: &BTreeMap<String, ModelFiles>,
    bundle: Bundle,
) -> anyhow::Result<Bench> {
    let loading = Loading::new(&arguments.guard.device, Some(bundle.manifest()))?;
    loading.check(scores.keys())?;
    let model = model::language_model(&source.files, &loading.language())?;
    let (template, mut templates) = (model.template().choice().to_string(), BTreeMap::new());
    let language = SharedModel::new(Box::new(model));
    let tokenizer = language.tokenizer();
    let mut shared = BTreeMap::new();
    for (name, files) in scores {
        let model = model::score_model(files, &loading.score(name), &*tokenizer)?;
        templates.insert(name.clone(), model.template().choice().to_string());
        shared.insert(name.clone(), SharedScoreModel::new(Box::new(model)));
    }
    let sandbox = Sandbox::new(bundle.manifest().limits.clone(), engine::cache().as_deref())?;
    let eos = language.info().eos.first().copied();
    let pricer = Pricer::open(&bundle, &sandbox, &shared, tokenizer, eos)?;
    let (name, pricer) = (source.name, RefCell::new(pricer));
    Ok(Bench { name, language, scores: shared, template, templates, bundle, sandbox, pricer })
}

impl Bench {
    /// An engine for one method under one bundle.
    pub(crate) fn engine(&self, bundle: &Bundle, method: &str) -> anyhow::Result<Engine> {
        let builder = EngineBuilder::new().model(Box::new(self.language.clone())).bundle(bundle).method(method);
        let mut builder = engine::with_components(builder.sandbox(self.sandbox.clone()))?;
        for model in self.scores.values() {
            builder = builder.score_model(Box::new(model.clone()));
        }
        engine::build(builder)
    }

    /// The digests of the score models, by name.
    pub(crate) fn fingerprints(&self) -> BTreeMap<String, String> {
        self.scores.iter().map(|(name, model)| (name.clone(), model.info().fingerprint.clone())).collect()
    }

    /// Positions that each score model was given so far.
    pub(crate) fn positions(&self) -> BTreeMap<String, u64> {
        self.scores.iter().map(|(name, model)| (name.clone(), model.positions())).collect()
    }
}
