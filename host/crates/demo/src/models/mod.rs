//! Trains the demonstration's models, fixes the cost scale, measures, and writes the folders.

mod calibrate;
mod folder;
mod report;

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

pub use calibrate::{BUDGET, GAMMA, capped_exceeds};
pub use folder::{write_data, write_prompts};
pub use report::{Report, evaluate_base};

use crate::error::{Error, Result};
use crate::judge::Judge;
use crate::llama::{LlamaConfig, SCORE_HEAD, Weights};
use crate::tokenizer::DemoTokenizer;
use crate::training::examples::{REWARD_SCALE, Source};
use crate::training::{Goal, Recipe, fit};
use crate::world::{Split, WORLD_SEED, World};

/// How the demo is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Receives `weak/`, `tuned/`, `reward/`, `cost/`, `world.toml`, `report.json`, `prompts.jsonl`.
    pub out: PathBuf,
    /// Seed of weights and examples; the world has its own, frozen one.
    pub seed: u64,
    /// Steps of the language model.
    pub base_steps: usize,
    /// Steps that make the tuned language model out of the base model.
    pub tuned_steps: usize,
    /// Steps of each score model.
    pub score_steps: usize,
    /// Sequences per step.
    pub batch: usize,
    /// A tiny network for tests; its models are useless.
    pub quick: bool,
    /// Keep the language model and tokenizer found in `out/weak`; only the score models are trained.
    pub keep_base: bool,
}

impl Options {
    /// The settings of the demo in the repository.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            seed: 1,
            base_steps: 2600,
            tuned_steps: 300,
            score_steps: 900,
            batch: 16,
            quick: false,
            keep_base: false,
        }
    }

    /// Seconds of training, for tests.
    pub fn quick(out: impl Into<PathBuf>) -> Self {
        Self { base_steps: 12, tuned_steps: 6, score_steps: 6, batch: 4, quick: true, ..Self::new(out) }
    }

    fn check(&self) -> Result<()> {
        let counts = [
            ("base_steps", self.base_steps),
            ("tuned_steps", self.tuned_steps),
            ("score_steps", self.score_steps),
            ("batch", self.batch),
        ];
        match counts.iter().find(|(_, count)| *count == 0) {
            Some((name, count)) => Err(Error::Option { name, found: count.to_string(), expected: "at least 1" }),
            None => Ok(()),
        }
    }
}

/// The trained models, in memory.
pub struct Models {
    /// The tokenizer of all three.
    pub tokenizer: DemoTokenizer,
    /// The language model.
    pub weak: Weights,
    /// The language model, tuned to be safer.
    pub tuned: Weights,
    /// Scores helpfulness.
    pub reward: Weights,
    /// Scores harm: above zero is unsafe.
    pub cost: Weights,
}

/// Trains all models, fixes the cost scale and writes all files into `options.out`. Each
/// folder appears whole or not at all.
///
/// # Errors
/// Options out of their range, a loss that is not a number, a failed tensor operation, files that cannot be read or written.
pub fn train(options: &Options, progress: &ProgressBar) -> Result<Report> {
    options.check()?;
    let world = World::frozen();
    progress.set_length((options.base_steps + options.tuned_steps + 2 * options.score_steps) as u64);
    let models = fit_all(options, &world, progress)?;
    let judge = Judge::new(&world);
    progress.set_message("fixing the cost scale");
    let answers = if options.quick { 6 } else { 300 };
    let scale = calibrate::fix_scale(&models, &world, &judge, answers)?;
    progress.set_message("measuring");
    let report = report::measure(&models, &world, &judge, scale, answers)?;
    folder::write_models(&options.out, &models)?;
    folder::write_prompts(&options.out, &world)?;
    folder::write_report(&options.out, &report)?;
    Ok(report)
}

fn fit_all(options: &Options, world: &World, progress: &ProgressBar) -> Result<Models> {
    let prompts = world.split(Split::Train);
    let (tokenizer, weak) = if options.keep_base {
        load_base(&options.out.join("weak"))?
    } else {
        let tokenizer = DemoTokenizer::train(world, 1024)?;
        let weak = Weights::random(&shape(options, &tokenizer), options.seed)?;
        (tokenizer, weak)
    };
    let source = Source { world, prompts: &prompts, tokenizer: &tokenizer, seed: WORLD_SEED ^ options.seed };
    let recipe = |goal, steps, rate| Recipe { goal, steps, batch: options.batch, rate };
    if !options.keep_base {
        let language = recipe(Goal::Language, options.base_steps, 4e-3);
        fit(&weak, &language, source, progress)?;
        weak.round_to_half()?;
        folder::write_base(&options.out, &tokenizer, &weak)?;
    }
    let tuned = weak.copy()?;
    fit(&tuned, &recipe(Goal::Tuned, options.tuned_steps, 2e-3), source, progress)?;
    tuned.round_to_half()?;
    let cost = weak.with_score_head(options.seed)?;
    fit(&cost, &recipe(Goal::Cost, options.score_steps, 2e-3), source, progress)?;
    let reward = weak.with_score_head(options.seed)?;
    fit(&reward, &recipe(Goal::Reward, options.score_steps, 2e-3), source, progress)?;
    reward.scale_score_head(1.0 / REWARD_SCALE)?;
    reward.round_to_half()?;
    Ok(Models { tokenizer, weak, tuned, reward, cost })
}

fn shape(options: &Options, tokenizer: &DemoTokenizer) -> LlamaConfig {
    if options.quick { LlamaConfig::quick(tokenizer.vocab_size()) } else { LlamaConfig::demo(tokenizer.vocab_size()) }
}

fn load_base(folder: &Path) -> Result<(DemoTokenizer, Weights)> {
    let tokenizer = DemoTokenizer::load(folder)?;
    let path = folder.join("config.json");
    let text = std::fs::read_to_string(&path).map_err(Error::file("read", &path))?;
    let config: LlamaConfig = serde_json::from_str(&text).map_err(|error| Error::Content {
        path,
        found: error.to_string(),
        expected: "the configuration of the demo model".to_owned(),
    })?;
    let weak = Weights::load(&config, &folder.join("model.safetensors"))?;
    Ok((tokenizer, weak))
}

fn head(weights: &Weights) -> Result<candle_core::Tensor> {
    Ok(weights.get(SCORE_HEAD)?.as_tensor().detach())
}
