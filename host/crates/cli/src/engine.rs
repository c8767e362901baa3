//! From the arguments to an engine: the model, its score models, the bundle.

use crate::{
    args::GuardArguments,
    bundle::{self, Fallback},
    embedded, hub,
    model::{self, Loading},
};
use anyhow::{Context, bail};
use inferenceguard_bundle::{Bundle, Manifest};
use inferenceguard_candle::{CandleModel, ModelFiles};
use inferenceguard_componentize as componentize;
use inferenceguard_host::{Engine, EngineBuilder, EngineError};
use inferenceguard_model::Model;
use inferenceguard_sandbox::Sandbox;
use std::{collections::BTreeMap, path::PathBuf};

/// Opens an engine with these methods (without any, with the bundle's own) and these budgets, as `[NAME=]D`.
pub(crate) fn open(arguments: &GuardArguments, methods: &[String], budgets: &[String]) -> anyhow::Result<Engine> {
    build(builder(arguments, methods, budgets)?.0)
}

/// The same before it is built, and the bundle.
pub(crate) fn builder(
    arguments: &GuardArguments,
    methods: &[String],
    budgets: &[String],
) -> anyhow::Result<(EngineBuilder, Bundle)> {
    let bundle = chosen(arguments, methods)?;
    let language = language(arguments, Some(bundle.manifest()))?;
    Ok((builder_of(language, &bundle, arguments, methods, budgets)?, bundle))
}

/// The language model that the arguments name, as the bundle wants it.
pub(crate) fn language(arguments: &GuardArguments, manifest: Option<&Manifest>) -> anyhow::Result<CandleModel> {
    let options = Loading::new(&arguments.device, manifest)?.language();
    model::language_model(&language_files(arguments.model.as_deref())?, &options)
}

/// The bundle that the arguments name.
pub(crate) fn chosen(arguments: &GuardArguments, methods: &[String]) -> anyhow::Result<Bundle> {
    let fallback = Fallback::of(arguments.model.is_none(), methods);
    let bundle = bundle::open(arguments.bundle.as_deref(), fallback)?;
    arguments.n.map_or(Ok(bundle.clone()), |n| bundle::with_candidates(&bundle, methods, n))
}

/// An engine before it is built: this model and bundle, and all else as the arguments say.
pub(crate) fn builder_of(
    language: CandleModel,
    bundle: &Bundle,
    arguments: &GuardArguments,
    methods: &[String],
    budgets: &[String],
) -> anyhow::Result<EngineBuilder> {
    let loading = Loading::new(&arguments.device, Some(bundle.manifest()))?;
    let (tokenizer, scores) = (language.tokenizer(), score_files(&arguments.scores, arguments.model.is_none())?);
    let sandbox = Sandbox::new(bundle.manifest().limits.clone(), cache().as_deref())?;
    let mut builder = EngineBuilder::new().model(Box::new(language)).bundle(bundle).sandbox(sandbox);
    loading.check(scores.keys())?;
    for (name, files) in &scores {
        builder = builder.score_model(Box::new(model::score_model(files, &loading.score(name), &*tokenizer)?));
    }
    for method in methods {
        builder = builder.method(method);
    }
    for (name, budget) in bundle::budgets(bundle, budgets)? {
        builder = builder.budget(name, budget);
    }
    with_components(builder)
}

/// Gives the components that methods are made of.
pub(crate) fn with_components(mut builder: EngineBuilder) -> anyhow::Result<EngineBuilder> {
    for (name, bytes) in embedded::components() {
        builder = match componentize::inspect(bytes)?.role {
            componentize::Role::Policy => builder.policy_component(*name, bytes.to_vec()),
            componentize::Role::Steering => builder.steering_component(*name, bytes.to_vec()),
            _ => builder,
        };
    }
    Ok(builder)
}

/// Builds, and says how score models are given if one is missing.
pub(crate) fn build(builder: EngineBuilder) -> anyhow::Result<Engine> {
    builder.build().map_err(|error| match error {
        EngineError::NoScoreModel { .. } => {
            anyhow::Error::from(error).context("give score models with --score NAME=DIR")
        }
        other => other.into(),
    })
}

/// The files of a folder, of a hub id, or without either of the demonstration model.
pub(crate) fn language_files(model: Option<&str>) -> anyhow::Result<ModelFiles> {
    match model {
        Some(model) => Ok(ModelFiles::folder(&hub::folder(model)?)),
        None => embedded::model("weak").context("this build carries no demonstration model; name one with --model"),
    }
}

/// Those given, as `NAME=DIR|ID`, and with the demonstration model its own.
pub(crate) fn score_files(given: &[String], demo: bool) -> anyhow::Result<BTreeMap<String, ModelFiles>> {
    let mut files = BTreeMap::new();
    if demo {
        let demo = ["reward", "cost"].into_iter().filter_map(|name| Some((name.to_owned(), embedded::model(name)?)));
        files.extend(demo);
    }
    for given in given {
        match given.split_once('=') {
            Some((name, model)) if !name.is_empty() => {
                files.insert(name.to_owned(), ModelFiles::folder(&hub::folder(model)?));
            }
            _ => bail!("--score {given}: expected NAME=DIR, such as cost=models/cost"),
        }
    }
    Ok(files)
}

/// Where compiled components are kept between runs, if there is such a place.
pub(crate) fn cache() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || named("HOME").map(|home| home.join(".cache"));
    let folder = named("XDG_CACHE_HOME").or_else(|| named("LOCALAPPDATA")).or_else(home)?.join("inferguard");
    let folder = folder.is_absolute().then_some(folder)?;
    std::fs::create_dir_all(&folder).ok().map(|()| folder)
}
