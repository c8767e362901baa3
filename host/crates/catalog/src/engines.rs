//! From a choice of model, score models and bundle to an engine.

use crate::{
    CatalogError, EngineOptions, Language, Loading, LoadingOptions, Note,
    bundles::{self, Fallback},
    embedded,
    engine_options::is_remote,
    hub, language_model, score_model,
};
use inferenceguard_bundle::{Bundle, Manifest};
use inferenceguard_candle::ModelFiles;
use inferenceguard_host::{Engine, EngineBuilder, EngineError};
use inferenceguard_model::Tokenizer;
use inferenceguard_sandbox::Sandbox;
use std::{collections::BTreeMap, path::PathBuf};

/// What answers, and what guards it, as the command line names them.
#[derive(Debug, Clone)]
pub struct Choice {
    /// A folder, a GGUF file or a hub id; the demonstration model if `None`.
    pub model: Option<String>,
    /// `NAME=DIR` or `NAME=vllm:URL[,URL...],DIR`, each a score model under the name that costs use.
    pub scores: Vec<String>,
    /// A bundle's folder or file; the demonstration's if `None`.
    pub bundle: Option<PathBuf>,
    /// The number of candidates per chunk; the bundle's if `None`.
    pub n: Option<u32>,
    /// How models are loaded.
    pub loading: LoadingOptions,
    /// Which models run in engines elsewhere.
    pub engines: EngineOptions,
}

impl Choice {
    /// A language model alone, with the demonstration's bundle.
    #[must_use]
    pub fn of_model(model: &str, loading: LoadingOptions, engines: EngineOptions) -> Self {
        Self { model: Some(model.to_owned()), scores: Vec::new(), bundle: None, n: None, loading, engines }
    }

    /// What users should know about the model where they name none.
    #[must_use]
    pub fn whose_model(&self) -> Option<&'static str> {
        self.model.is_none().then_some("with the demonstration's model; --model names another")
    }

    /// Opens an engine with these methods (the bundle's own if there are none) and these budgets, `[NAME=]D`.
    ///
    /// # Errors
    /// Whatever cannot be opened, or does not fit together.
    pub fn engine(&self, methods: &[String], budgets: &[String]) -> Result<Engine, CatalogError> {
        build(self.builder(methods, budgets)?.0)
    }

    /// The builder of this engine, and its bundle.
    ///
    /// # Errors
    /// Whatever cannot be opened.
    pub fn builder(&self, methods: &[String], budgets: &[String]) -> Result<(EngineBuilder, Bundle), CatalogError> {
        let bundle = self.bundle(methods)?;
        let language = self.language(Some(bundle.manifest()))?;
        Ok((self.builder_of(language, &bundle, methods, budgets)?, bundle))
    }

    /// The language model, with the template that the bundle names.
    ///
    /// # Errors
    /// A model that cannot be found or loaded, or an engine that cannot be used.
    pub fn language(&self, manifest: Option<&Manifest>) -> Result<Language, CatalogError> {
        let loading = Loading::new(&self.loading, manifest)?;
        if let Some(back_end) = self.engines.language(self.model.as_deref(), &loading)? {
            return Ok(Language::Elsewhere(back_end));
        }
        let files = language_files(self.model.as_deref(), self.loading.note)?;
        let model = language_model(&files, &loading.language(), self.loading.note)?;
        Ok(Language::Here(Box::new(model)))
    }

    /// The bundle, with the number of candidates that was chosen.
    ///
    /// # Errors
    /// A bundle that cannot be opened.
    pub fn bundle(&self, methods: &[String]) -> Result<Bundle, CatalogError> {
        let fallback = Fallback::of(self.model.is_none(), methods);
        let bundle = bundles::open(self.bundle.as_deref(), fallback)?;
        match self.n {
            Some(n) => bundles::with_candidates(&bundle, methods, n),
            None => Ok(bundle),
        }
    }

    /// An engine before it is built, of this model and bundle and the chosen score models.
    ///
    /// # Errors
    /// A score model that cannot be loaded, or a budget that cannot be read.
    pub fn builder_of(
        &self,
        language: Language,
        bundle: &Bundle,
        methods: &[String],
        budgets: &[String],
    ) -> Result<EngineBuilder, CatalogError> {
        let loading = Loading::new(&self.loading, Some(bundle.manifest()))?;
        let sandbox = Sandbox::new(bundle.manifest().limits.clone(), cache().as_deref())?;
        let tokenizer = language.tokenizer();
        let mut builder = language.given_to(EngineBuilder::new()).bundle(bundle).sandbox(sandbox);
        builder = self.with_scores(builder, &loading, &*tokenizer)?;
        for method in methods {
            builder = builder.method(method);
        }
        for (name, budget) in bundles::budgets(bundle, budgets)? {
            builder = builder.budget(name, budget);
        }
        Ok(with_components(builder))
    }

    /// Adds the score models, here and elsewhere.
    fn with_scores(
        &self,
        mut builder: EngineBuilder,
        loading: &Loading,
        tokenizer: &dyn Tokenizer,
    ) -> Result<EngineBuilder, CatalogError> {
        let (here, elsewhere) = score_places(&self.scores);
        self.engines.check_probes(elsewhere.keys())?;
        let files = score_files(&here, self.model.is_none(), loading.note())?;
        loading.check(files.keys().chain(elsewhere.keys()))?;
        for (name, files) in files.iter().filter(|(name, _)| !elsewhere.contains_key(*name)) {
            let model = score_model(files, &loading.score(name), tokenizer, loading.note())?;
            builder = builder.score_model(Box::new(model));
        }
        for (name, place) in &elsewhere {
            if let Some(scores) = self.engines.score(name, place, loading, tokenizer)? {
                builder = builder.score_back_end(scores);
            }
        }
        Ok(builder)
    }
}

/// Score models that are loaded here, as they were given, and those of engines elsewhere: each one's place by its name.
#[must_use]
pub fn score_places(given: &[String]) -> (Vec<String>, BTreeMap<String, String>) {
    let (mut here, mut elsewhere) = (Vec::new(), BTreeMap::new());
    for text in given {
        match text.split_once('=') {
            Some((name, place)) if is_remote(place) && !name.is_empty() => {
                elsewhere.insert(name.to_owned(), place.to_owned());
            }
            _ => here.push(text.clone()),
        }
    }
    (here, elsewhere)
}

/// Adds the first-party components that methods consist of.
#[must_use]
pub fn with_components(mut builder: EngineBuilder) -> EngineBuilder {
    for (name, bytes) in embedded::components() {
        builder = match embedded::role(name) {
            Some("policy") => builder.policy_component(*name, bytes.to_vec()),
            Some("steering") => builder.steering_component(*name, bytes.to_vec()),
            _ => builder,
        };
    }
    builder
}

/// Builds an engine. If a score model is missing, the error also says how to give one.
///
/// # Errors
/// [`CatalogError::NoScoreModel`], [`CatalogError::Engine`].
pub fn build(builder: EngineBuilder) -> Result<Engine, CatalogError> {
    builder.build().map_err(|error| match error {
        EngineError::NoScoreModel { .. } => CatalogError::NoScoreModel(Box::new(error)),
        other => other.into(),
    })
}

/// The files of a language model: a folder, a GGUF file, a hub id, or the demonstration model if `None`.
///
/// # Errors
/// [`CatalogError::Hub`], [`CatalogError::NoDemoModel`].
pub fn language_files(model: Option<&str>, note: Note) -> Result<ModelFiles, CatalogError> {
    match model {
        Some(model) => Ok(ModelFiles::folder(&hub::folder(model, note)?)),
        None => embedded::model("weak").ok_or(CatalogError::NoDemoModel),
    }
}

/// The files of score models by name, from texts `NAME=DIR|ID`; beside the demonstration model (`demo`) also its own.
///
/// # Errors
/// [`CatalogError::Score`], [`CatalogError::Hub`].
pub fn score_files(given: &[String], demo: bool, note: Note) -> Result<BTreeMap<String, ModelFiles>, CatalogError> {
    let mut files = BTreeMap::new();
    if demo {
        let demo = ["reward", "cost"].into_iter().filter_map(|name| Some((name.to_owned(), embedded::model(name)?)));
        files.extend(demo);
    }
    for given in given {
        match given.split_once('=') {
            Some((name, model)) if !name.is_empty() => {
                files.insert(name.to_owned(), ModelFiles::folder(&hub::folder(model, note)?));
            }
            _ => return Err(CatalogError::Score { found: given.clone() }),
        }
    }
    Ok(files)
}

/// The folder that keeps compiled components between runs; `None` if the system names none, or it cannot be made.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || named("HOME").map(|home| home.join(".cache"));
    let folder = named("XDG_CACHE_HOME").or_else(|| named("LOCALAPPDATA")).or_else(home)?.join("inferguard");
    let folder = folder.is_absolute().then_some(folder)?;
    std::fs::create_dir_all(&folder).ok().map(|()| folder)
}
