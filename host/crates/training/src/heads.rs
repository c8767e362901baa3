//! What trainings of heads have in common: answers, the model, and how its latents are read.

use crate::{
    TrainingError,
    critic::{GivenParts, GivenTraining},
    files,
};
use inferenceguard_catalog::{Loading, LoadingOptions, language_model};
use inferenceguard_critic::{
    Recipe, Shares,
    cost::{HeadOptions, Places, Source, cost_recipe},
};
use inferenceguard_model::Native;
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
    pub readings: Vec<Places>,
    /// The most tokens of an answer that are read.
    pub max_tokens: usize,
    /// How heads are trained, and how prompts are split.
    pub training: GivenTraining,
}

impl GivenHeads {
    /// The model, and how its heads are trained.
    pub(crate) fn open(self) -> Result<(Native, HeadOptions), TrainingError> {
        let load = Loading::new(&self.loading, None)?;
        let files = files::of_language(self.model.as_deref(), load.note())?;
        let model = Native::new(Box::new(language_model(&files, &load.language(), load.note())?));
        let options = HeadOptions {
            shares: self.shares(),
            recipe: self.recipe(),
            out: self.out,
            readings: self.readings,
            max_tokens: self.max_tokens,
            device: load.language().device,
            memory: self.training.memory(),
        };
        Ok((model, options))
    }

    fn shares(&self) -> Shares {
        let GivenParts { validation, test, seed } = self.training.parts;
        Shares { validation: validation.unwrap_or(PART), test: test.unwrap_or(PART), seed }
    }

    fn recipe(&self) -> Recipe {
        self.training.recipe(cost_recipe())
    }
}

/// A finished training.
#[derive(Debug, Clone)]
pub struct Finished<T> {
    /// What it measured.
    pub report: T,
    /// What it wrote, for people: one line each.
    pub notes: Vec<String>,
}
