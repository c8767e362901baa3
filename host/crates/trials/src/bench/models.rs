//! The models that a bench measures, and an engine for each row.

use super::{BenchOptions, shape::Folders};
use crate::TrialError;
use inferenceguard_bundle::Bundle;
use inferenceguard_candle::{CandleModel, Demand, ModelFiles};
use inferenceguard_catalog::{
    Loading, build,
    bundles::{self, Fallback},
    cache, language_files, score_files, score_model, with_components,
};
use inferenceguard_host::{
    Engine, EngineBuilder,
    schedule::{Limits, Scheduler},
};
use inferenceguard_model::{BackEnd, Caller, Message, Model, ScoreModel};
use inferenceguard_sandbox::Sandbox;
use inferenceguard_search::OnExhausted;
use std::{collections::BTreeMap, sync::Arc};

/// A budget that no answer exceeds.
const LOOSE: f64 = 1e12;

/// One language model and its score models, each loaded once for all rows.
pub(super) struct MeasuredModels {
    scheduler: Scheduler,
    /// Without end tokens.
    language: Arc<dyn BackEnd>,
    sandbox: Sandbox,
    /// What one pass of the language model reads and computes.
    pub(super) demand: Demand,
    /// What one pass of each score model reads and computes.
    pub(super) scoring: Vec<Demand>,
}

impl MeasuredModels {
    /// Loads the models in `folders`, or without folders those that the options name.
    pub(super) fn open(options: &BenchOptions, folders: Option<&Folders>) -> Result<Self, TrialError> {
        let loading = Loading::new(&options.loading, None)?;
        let load = loading.language();
        let (files, scores) = files(options, folders)?;
        loading.check(scores.keys())?;
        // Warnings about the language model do not concern its speed, so none is shown.
        let language = CandleModel::load_files(&files, &load)?;
        let tokenizer = language.tokenizer();
        let demand = |files: &ModelFiles| Demand::of(files, load.precision);
        let opened = scores.iter().map(|(name, files)| {
            let model = score_model(files, &loading.score(name), &*tokenizer, options.loading.note)?;
            Ok((name.clone(), Box::new(model) as Box<dyn ScoreModel>))
        });
        let opened = opened.collect::<Result<_, TrialError>>()?;
        let scheduler = Scheduler::start(Some(Box::new(language)), opened, Limits::default())?;
        let limits = bundles::open(None, Fallback::Plain)?.manifest().limits.clone();
        Ok(Self {
            scoring: scores.values().map(demand).collect::<Result<_, _>>()?,
            demand: demand(&files)?,
            sandbox: Sandbox::new(limits, cache().as_deref())?,
            language: scheduler.endless().ok_or(TrialError::NoModel)?,
            scheduler,
        })
    }

    /// An engine for one method with `n` candidates, which runs `live` requests at the same time.
    pub(super) fn engine(
        &self,
        options: &BenchOptions,
        method: &str,
        n: u32,
        live: usize,
    ) -> Result<Engine, TrialError> {
        let bundle = adjusted(options, method, n)?;
        let builder = EngineBuilder::new().back_end(Arc::clone(&self.language)).bundle(&bundle).method(method);
        let builder = builder.sandbox(self.sandbox.clone()).max_live(live);
        let mut builder = with_components(builder);
        for scores in self.scheduler.score_back_ends().into_values() {
            builder = builder.score_back_end(scores);
        }
        Ok(build(builder)?)
    }

    /// A prompt of at most this many tokens, and its number of tokens.
    pub(super) fn prompt(&self, tokens: usize) -> Result<(String, usize), TrialError> {
        let text = |words: usize| (0..words).map(|i| format!("w{}", 3 + i * 7 % 300)).collect::<Vec<_>>().join(" ");
        let model = self.language.handle(&Caller::default());
        let length = |words: usize| Ok::<_, TrialError>(model.encode_chat(&[Message::user(text(words))])?.len());
        let (mut low, mut high) = (1, tokens.max(1) + 1);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if length(middle)? <= tokens { low = middle } else { high = middle }
        }
        Ok((text(low), length(low)?))
    }

    /// The most tokens of a request, prompt included.
    pub(super) fn context(&self) -> usize {
        self.language.info().context
    }
}

fn files(
    options: &BenchOptions,
    folders: Option<&Folders>,
) -> Result<(ModelFiles, BTreeMap<String, ModelFiles>), TrialError> {
    let Some(folders) = folders else {
        let (model, note) = (options.model.as_deref(), options.loading.note);
        return Ok((language_files(model, note)?, score_files(&options.scores, model.is_none(), note)?));
    };
    let scores = [("reward", &folders.reward), ("cost", &folders.cost)];
    let scores = scores.map(|(name, folder)| (name.to_owned(), ModelFiles::folder(folder)));
    Ok((ModelFiles::folder(&folders.language), scores.into()))
}

/// The default bundle with the paper's chunks, and a budget that no answer exceeds: no retries.
fn adjusted(options: &BenchOptions, method: &str, n: u32) -> Result<Bundle, TrialError> {
    let bundle = bundles::open(None, Fallback::Plain)?;
    let bundle = bundles::with_candidates(&bundle, &[method.to_owned()], n)?;
    let mut manifest = bundle.manifest().clone();
    manifest.max_tokens = options.depth;
    manifest.on_exhausted = OnExhausted::BestReward;
    manifest.backtrack = false;
    let first = manifest.constraints.first_mut().ok_or(TrialError::NoConstraint { bundle: "the default bundle" })?;
    first.budget = LOOSE;
    Ok(Bundle::from_parts(&toml::to_string(&manifest)?, bundle.files())?)
}
