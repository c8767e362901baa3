//! What is measured: the models, and an engine for each row.

use super::arguments::BenchArguments;
use super::shape::Folders;
use crate::{
    bundle, engine,
    model::{self, Loading},
};
use anyhow::Context;
use inferenceguard_bundle::Bundle;
use inferenceguard_candle::{CandleModel, Demand, ModelFiles};
use inferenceguard_host::{Engine, EngineBuilder};
use inferenceguard_model::{Model, SharedModel, SharedScoreModel};
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::OnExhausted;
use std::collections::BTreeMap;

/// A budget that no answer exceeds.
const LOOSE: f64 = 1e12;

/// One language model and its score models, each loaded once.
pub(crate) struct Models {
    language: SharedModel,
    scores: Vec<SharedScoreModel>,
    sandbox: Sandbox,
    /// Of the language model.
    pub(crate) demand: Demand,
    /// Of each score model.
    pub(crate) scoring: Vec<Demand>,
}

impl Models {
    /// Loads those of the arguments, or of these folders.
    pub(crate) fn open(arguments: &BenchArguments, folders: Option<&Folders>) -> anyhow::Result<Self> {
        let loading = Loading::new(&arguments.device, None)?;
        let options = loading.language();
        let (files, scores) = files(arguments, folders)?;
        loading.check(scores.keys())?;
        // What a person should know of a model does not matter to its speed: nothing is warned of.
        let language = CandleModel::load_files(&files, &options)?;
        let tokenizer = language.tokenizer();
        let demand = |files: &ModelFiles| Demand::of(files, options.precision);
        let opened = scores.iter().map(|(name, files)| {
            Ok(SharedScoreModel::new(Box::new(model::score_model(files, &loading.score(name), &*tokenizer)?)))
        });
        Ok(Self {
            scores: opened.collect::<anyhow::Result<_>>()?,
            scoring: scores.values().map(demand).collect::<Result<_, _>>()?,
            demand: demand(&files)?,
            sandbox: Sandbox::new(
                bundle::open(None, bundle::Fallback::Plain)?.manifest().limits.clone(),
                engine::cache().as_deref(),
            )?,
            language: SharedModel::new(Box::new(language)).endless(),
        })
    }

    /// An engine for one method with so many candidates.
    pub(crate) fn engine(
        &self,
        arguments: &BenchArguments,
        method: &str,
        n: u32,
        live: usize,
    ) -> anyhow::Result<Engine> {
        let bundle = adjusted(arguments, method, n)?;
        let builder = EngineBuilder::new().model(Box::new(self.language.clone())).bundle(&bundle).method(method);
        let builder = builder.sandbox(self.sandbox.clone()).max_live(live);
        let mut builder = engine::with_components(builder)?;
        for score in &self.scores {
            builder = builder.score_model(Box::new(score.clone()));
        }
        engine::build(builder)
    }

    /// A prompt of at most so many tokens, and how many it has.
    pub(crate) fn prompt(&self, tokens: usize) -> anyhow::Result<(String, usize)> {
        let text = |words: usize| (0..words).map(|i| format!("w{}", 3 + i * 7 % 300)).collect::<Vec<_>>().join(" ");
        let length = |words: usize| Ok::<_, anyhow::Error>(self.language.encode_prompt(&text(words))?.len());
        let (mut low, mut high) = (1, tokens.max(1) + 1);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if length(middle)? <= tokens { low = middle } else { high = middle }
        }
        Ok((text(low), length(low)?))
    }

    /// The most tokens that it takes, prompt included.
    pub(crate) fn context(&self) -> usize {
        self.language.info().context
    }
}

fn files(
    arguments: &BenchArguments,
    folders: Option<&Folders>,
) -> anyhow::Result<(ModelFiles, BTreeMap<String, ModelFiles>)> {
    let Some(folders) = folders else {
        let demo = arguments.model.is_none();
        return Ok((
            engine::language_files(arguments.model.as_deref())?,
            engine::score_files(&arguments.scores, demo)?,
        ));
    };
    let scores = [("reward", &folders.reward), ("cost", &folders.cost)];
    let scores = scores.map(|(name, folder)| (name.to_owned(), ModelFiles::folder(folder)));
    Ok((ModelFiles::folder(&folders.language), scores.into()))
}

/// The default bundle with the paper's chunks, and a budget that nothing exceeds: no retries.
fn adjusted(arguments: &BenchArguments, method: &str, n: u32) -> anyhow::Result<Bundle> {
    let bundle = bundle::open(None, bundle::Fallback::Plain)?;
    let bundle = bundle::with_candidates(&bundle, &[method.to_owned()], n)?;
    let mut manifest = bundle.manifest().clone();
    manifest.max_tokens = arguments.depth;
    manifest.on_exhausted = OnExhausted::BestReward;
    manifest.backtrack = false;
    let first = manifest.constraints.first_mut().context("the default bundle has no constraint")?;
    first.budget = LOOSE;
    Ok(Bundle::from_parts(&toml::to_string(&manifest)?, bundle.files())?)
}
