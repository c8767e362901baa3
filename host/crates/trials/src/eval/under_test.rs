//! The models of an evaluation: each opened once with its score models, and shared by the engines of all rows.

use super::{EvalOptions, Recipe, adjusted::adjusted, judge_choice::judge_choices, pricer::Pricer};
use crate::TrialError;
use inferenceguard_bundle::Bundle;
use inferenceguard_candle::ModelFiles;
use inferenceguard_catalog::{
    CatalogError, Loading, build,
    bundles::{self, Fallback},
    cache, embedded, language_model, score_files, score_model, with_components,
};
use inferenceguard_host::{
    Engine, EngineBuilder,
    schedule::{Limits, Scheduler},
};
use inferenceguard_model::{BackEnd, Model, ScoreBackEnd, ScoreModel};
use inferenceguard_sandbox::Sandbox;
use std::{cell::RefCell, collections::BTreeMap, path::Path, sync::Arc};

/// A model, and everything that the engines of its rows share.
pub(super) struct ModelUnderTest {
    pub(super) name: String,
    pub(super) language: Arc<dyn BackEnd>,
    pub(super) scores: BTreeMap<String, Arc<dyn ScoreBackEnd>>,
    /// The language model's template, and those of the score models.
    pub(super) template: String,
    pub(super) templates: BTreeMap<String, String>,
    pub(super) bundle: Bundle,
    pub(super) sandbox: Sandbox,
    pub(super) pricer: RefCell<Pricer>,
}

/// The files of one model, its name, and its bundle if none is given.
struct Source {
    name: String,
    files: ModelFiles,
    fallback: Fallback,
}

/// The files of one model, and its bundle.
pub(super) struct Bundled {
    source: Source,
    pub(super) bundle: Bundle,
}

/// Finds the files of a model by its name; the demonstration's for none.
pub(super) type Find<'a> = dyn Fn(Option<&str>) -> Result<ModelFiles, CatalogError> + 'a;

/// Opens the bundle of every model, changed as the options say.
pub(super) fn bundled(options: &EvalOptions, find: &Find<'_>) -> Result<Vec<Bundled>, TrialError> {
    let sources = sources(options, find)?;
    let given = bundles_by_model(options, &sources)?;
    let open = |source: Source| {
        let given = given.get(&source.name).map(String::as_str).map(Path::new);
        let bundle = bundles::open(given.or(options.choice.bundle.as_deref()), source.fallback)?;
        Ok(Bundled { source, bundle: adjusted(options, &bundle)? })
    };
    sources.into_iter().map(open).collect()
}

/// Opens every model.
pub(super) fn open(options: &EvalOptions, bundled: Vec<Bundled>) -> Result<Vec<ModelUnderTest>, TrialError> {
    let scores = score_files(&options.choice.scores, options.is_demo(), options.choice.loading.note)?;
    bundled.into_iter().map(|one| model(options, one.source, &scores, one.bundle)).collect()
}

impl Bundled {
    /// The model's name and files.
    pub(super) fn model(&self) -> (&str, &ModelFiles) {
        (&self.source.name, &self.source.files)
    }
}

fn sources(options: &EvalOptions, find: &Find<'_>) -> Result<Vec<Source>, TrialError> {
    if options.models.is_empty() {
        let files = find(options.choice.model.as_deref())?;
        let name = options.recipe.map_or_else(|| last(files.path()), |recipe| recipe.model().to_owned());
        let fallback = match options.recipe {
            Some(Recipe::Smollm2) => Fallback::Smollm2,
            _ => fallback(options.choice.model.is_none()),
        };
        return Ok(vec![Source { name, files, fallback }]);
    }
    let open = |text: &String| source(text, |name| find(Some(name)));
    let sources: Vec<Source> = options.models.iter().map(open).collect::<Result<_, _>>()?;
    for (at, one) in sources.iter().enumerate() {
        if sources[..at].iter().any(|other| other.name == one.name) {
            return Err(TrialError::ModelTwice { name: one.name.clone() });
        }
    }
    Ok(sources)
}

/// `NAME=DIR`, a demonstration model by name, or a folder or id.
fn source(text: &str, files: impl Fn(&str) -> Result<ModelFiles, CatalogError>) -> Result<Source, CatalogError> {
    if let Some((name, place)) = text.split_once('=').filter(|(name, _)| !name.is_empty() && !name.contains('/')) {
        return Ok(Source { name: name.to_owned(), files: files(place)?, fallback: Fallback::Plain });
    }
    if let Some(files) = embedded::model(text) {
        return Ok(Source { name: text.to_owned(), files, fallback: fallback(true) });
    }
    Ok(Source { name: last(Path::new(text)), files: files(text)?, fallback: Fallback::Plain })
}

/// The demonstration model has networks of its own.
fn fallback(demo: bool) -> Fallback {
    if demo { Fallback::Networks } else { Fallback::Plain }
}

/// The name of a model that is given by its folder, file or id alone.
pub(super) fn last(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The folders of `--bundle-for`, by the name of a model.
fn bundles_by_model(options: &EvalOptions, sources: &[Source]) -> Result<BTreeMap<String, String>, TrialError> {
    let mut bundles = BTreeMap::new();
    for text in &options.bundles {
        let (name, folder) = text.split_once('=').ok_or_else(|| TrialError::BundleFor { found: text.clone() })?;
        if !sources.iter().any(|source| source.name == name) {
            let known = sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(TrialError::BundleForUnknown { found: text.clone(), name: name.to_owned(), known });
        }
        bundles.insert(name.to_owned(), folder.to_owned());
    }
    Ok(bundles)
}

fn model(
    options: &EvalOptions,
    source: Source,
    scores: &BTreeMap<String, ModelFiles>,
    bundle: Bundle,
) -> Result<ModelUnderTest, TrialError> {
    let (loading, note) =
        (Loading::new(&options.choice.loading, Some(bundle.manifest()))?, options.choice.loading.note);
    // A judge's template may be given too.
    let judges = judge_choices(options)?;
    let known: Vec<String> = scores.keys().cloned().chain(judges.iter().map(|one| one.name().to_owned())).collect();
    loading.check(known.iter())?;
    let model = language_model(&source.files, &loading.language(), note)?;
    let (template, mut templates) = (model.template().choice().to_string(), BTreeMap::new());
    let tokenizer = model.tokenizer();
    let mut opened = BTreeMap::<String, Box<dyn ScoreModel>>::new();
    for (name, files) in scores {
        let model = score_model(files, &loading.score(name), &*tokenizer, note)?;
        templates.insert(name.clone(), model.template().choice().to_string());
        opened.insert(name.clone(), Box::new(model));
    }
    let scheduler = Scheduler::start(Some(Box::new(model)), opened, Limits::default())?;
    let (language, shared) = (scheduler.back_end().ok_or(TrialError::NoModel)?, scheduler.score_back_ends());
    let sandbox = Sandbox::new(bundle.manifest().limits.clone(), cache().as_deref())?;
    let eos = language.info().eos.first().copied();
    let pricer = RefCell::new(Pricer::open(&bundle, &sandbox, &shared, tokenizer, eos)?);
    Ok(ModelUnderTest { name: source.name, language, scores: shared, template, templates, bundle, sandbox, pricer })
}

impl ModelUnderTest {
    /// An engine for one method under one bundle.
    pub(super) fn engine(&self, bundle: &Bundle, method: &str) -> Result<Engine, CatalogError> {
        let builder = EngineBuilder::new().back_end(Arc::clone(&self.language)).bundle(bundle).method(method);
        let mut builder = with_components(builder.sandbox(self.sandbox.clone()));
        for model in self.scores.values() {
            builder = builder.score_back_end(Arc::clone(model));
        }
        build(builder)
    }

    /// The digests of the score models, by name.
    pub(super) fn fingerprints(&self) -> BTreeMap<String, String> {
        self.scores.iter().map(|(name, model)| (name.clone(), model.info().fingerprint.clone())).collect()
    }

    /// The number of positions that each score model has computed so far.
    pub(super) fn positions(&self) -> BTreeMap<String, u64> {
        self.scores.iter().map(|(name, model)| (name.clone(), model.positions())).collect()
    }
}
