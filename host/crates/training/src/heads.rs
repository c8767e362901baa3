//! What trainings of heads have in common: answers, the model, and how its latents are read.

use crate::{
    TrainingError,
    critic::{GivenParts, GivenTraining},
    files,
};
use inferenceguard_bundle::Network;
use inferenceguard_catalog::{Loading, LoadingOptions, language_model};
use inferenceguard_critic::{
    Recipe, Shares,
    cost::{CostObjective, HeadInputs, HeadOptions, ScoreFolder, Source, cost_recipe},
};
use inferenceguard_model::{Generator, Native};
use std::path::PathBuf;

/// The share of prompts for early stopping, choice and calibration, and the one for the measurements, unless they are given.
const PART: f64 = 0.2;

/// A training of heads, as an operator names it.
#[derive(Debug, Clone)]
pub struct GivenHeads {
    /// Files of answers.
    pub data: Vec<Source>,
    /// The question that texts without a prompt count as an answer to.
    pub text_prompt: String,
    /// A folder, a GGUF file or a hub id; the demonstration model if `None`.
    pub model: Option<String>,
    /// How the model is loaded.
    pub loading: LoadingOptions,
    /// Receives latents, checkpoints, the network, the report and its plot.
    pub out: PathBuf,
    /// What each head reads.
    pub readings: Vec<HeadInputs>,
    /// The most tokens of an answer that are read.
    pub max_tokens: usize,
    /// How heads are trained, and how prompts are split.
    pub training: GivenTraining,
    /// A folder that the head is written to as a whole score model, too.
    pub score_model: Option<PathBuf>,
}

impl GivenHeads {
    /// The model, how its heads are trained, and the score model to write; `objective` is that of a cost.
    pub(crate) fn open(self, objective: Option<CostObjective>) -> Result<Opened, TrainingError> {
        let load = Loading::new(&self.loading, None)?;
        let files = files::of_language(self.model.as_deref(), load.note())?;
        let options = HeadOptions {
            shares: self.shares(),
            recipe: self.recipe(),
            out: self.out,
            readings: self.readings,
            max_tokens: self.max_tokens,
            device: load.language().device,
            memory: self.training.memory(),
        };
        let score_model = self.score_model.map(|folder| ScoreFolder::new(&files, folder, &options, objective));
        let score_model = score_model.transpose()?;
        let model = Native::new(Box::new(language_model(&files, &load.language(), load.note())?));
        Ok((model, options, score_model))
    }

    fn shares(&self) -> Shares {
        let GivenParts { validation, test, seed } = self.training.parts;
        Shares { validation: validation.unwrap_or(PART), test: test.unwrap_or(PART), seed }
    }

    fn recipe(&self) -> Recipe {
        self.training.recipe(cost_recipe())
    }
}

/// A model with the options of its heads, and the score model that is written with the best of them.
pub(crate) type Opened = (Native, HeadOptions, Option<ScoreFolder>);

/// Writes the head as a score model, if that was asked for, and says what a person must know of it.
pub(crate) fn write_score_model(
    score_model: Option<&ScoreFolder>,
    network: &Network,
    kind: &str,
    model: &Native,
) -> Result<Vec<String>, TrainingError> {
    let Some(folder) = score_model else { return Ok(Vec::new()) };
    let shift = folder.write(network, kind)?;
    let shift = shift.map(|shift| format!("; its layout has no bias: give score-cost shift = {shift}"));
    let template = model.templates().chosen.map(|template| format!("; trained under the template {template}"));
    let more = [template, shift].map(Option::unwrap_or_default).concat();
    Ok(vec![format!("{}: a score model, for --score {kind}={0}{more}", folder.path().display())])
}

/// A finished training.
#[derive(Debug, Clone)]
pub struct Finished<T> {
    /// What it measured.
    pub report: T,
    /// What it wrote, for people: one line each.
    pub notes: Vec<String>,
}
