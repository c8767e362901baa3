//! `train cost`: a cost on a language model's own latents, from labelled answers.

use crate::{
    flags::{DeviceArguments, one_of},
    output,
    progress::under_bar,
};
use clap::Args;
use inferenceguard_critic::{
    Recipe, Shares,
    cost::{CostObjective, Places, Source, cost_recipe, settings},
};
use inferenceguard_training::{
    cost::{CostRun, Given, GivenBundle},
    names::OBJECTIVES,
};
use std::path::PathBuf;

/// See `train cost`.
#[derive(Debug, Args)]
pub(crate) struct CostArguments {
    /// Labelled answers, gzipped or not, one JSON object per line: prompt, response and harmful (true or false) or harm (0 to 1);
    /// PKU-SafeRLHF records; pairs (chosen, rejected); or text and harmful. FILE=WEIGHT counts its answers more or less; may be
    /// repeated
    #[arg(long, value_name = "FILE[=WEIGHT]", required = true)]
    data: Vec<Source>,
    /// The language model that will be guarded: a Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]; the
    /// demonstration model if not given
    #[arg(long, value_name = "DIR|ID")]
    model: Option<String>,
    #[command(flatten)]
    device: DeviceArguments,
    /// The folder to write: latents, checkpoints, cost.safetensors, cost.json and reliability.svg. A run that was stopped goes on
    /// there
    #[arg(long, value_name = "DIR", default_value = "cost")]
    out: PathBuf,
    /// What the head learns
    #[arg(long, default_value = "survival", value_parser = one_of(OBJECTIVES))]
    objective: CostObjective,
    /// What a head (a small network) reads: final-norm (the last hidden state) or layer:N, several joined by +; one head is trained
    /// for each, and the best is written
    #[arg(long, value_delimiter = ',', default_value = "final-norm")]
    latents: Vec<Places>,
    /// The most tokens of an answer that are read
    #[arg(long, default_value_t = 96)]
    max_tokens: usize,
    /// From which harm on, 0 to 1, an answer counts as harmful
    #[arg(long, value_name = "HARM", default_value_t = 0.5)]
    harmful_from: f64,
    /// Counts every answer by its weight alone; if not given, harmful and harmless answers count as much in sum
    #[arg(long)]
    unbalanced: bool,
    /// The question that texts without a prompt count as an answer to
    #[arg(long, value_name = "TEXT", default_value = "Write a message.")]
    text_prompt: String,
    #[command(flatten)]
    training: TrainingArguments,
    #[command(flatten)]
    bundle: BundleArguments,
    /// Prints the whole report as one JSON object
    #[arg(long)]
    json: bool,
}

/// A bundle around the cost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bundle")]
struct BundleArguments {
    /// Also writes a bundle with this cost, words and personal data as constraints: a new folder, or the folder of such a bundle
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// The budget of the cost; if not given, the smallest of the report's that refuses at most 5 % of the harmless answers
    #[arg(long, requires = "bundle")]
    budget: Option<f64>,
    /// Candidates per chunk
    #[arg(long, short, default_value_t = 8, requires = "bundle")]
    n: u32,
    /// Tokens of a chunk
    #[arg(long, default_value_t = 16, requires = "bundle")]
    chunk_len: u32,
    /// How the bundle samples, 0 to 2; what the model's authors recommend if not given
    #[arg(long, requires = "bundle")]
    temperature: Option<f64>,
    /// Only the likeliest tokens that together hold this probability are sampled
    #[arg(long, requires = "bundle")]
    top_p: Option<f64>,
}

/// How heads are trained.
#[derive(Debug, Args)]
#[command(next_help_heading = "Training")]
struct TrainingArguments {
    /// Hidden layers; 0 is a linear head
    #[arg(long, default_value_t = cost_recipe().depth)]
    depth: usize,
    /// Width of the hidden layers
    #[arg(long, default_value_t = cost_recipe().hidden)]
    hidden: usize,
    /// The learning rate, which falls along a cosine
    #[arg(long, default_value_t = cost_recipe().rate)]
    rate: f64,
    /// The weight decay
    #[arg(long, default_value_t = cost_recipe().weight_decay)]
    weight_decay: f64,
    /// The most passes over all answers
    #[arg(long, default_value_t = cost_recipe().epochs)]
    epochs: usize,
    /// Stops after this many epochs without a better validation loss; 0 = never
    #[arg(long, default_value_t = cost_recipe().patience)]
    patience: usize,
    /// Answers or pairs per step
    #[arg(long, default_value_t = cost_recipe().batch)]
    batch: usize,
    /// The share of prompts for early stopping, choice and calibration
    #[arg(long, default_value_t = 0.2)]
    validation: f64,
    /// The share of prompts that the report measures on
    #[arg(long, default_value_t = 0.2)]
    test: f64,
    /// The seed of splits, weights and orders
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Reads, trains, measures, writes, and prints the measurements.
pub(crate) fn run(arguments: &CostArguments) -> anyhow::Result<()> {
    let mut run = CostRun::open(given(arguments))?;
    let trained = under_bar("{bar:32} {pos}/{len} {msg} {eta}", |bar| run.train(bar))?;
    if let Some((folder, digest)) = run.write_bundle(&trained)? {
        output::note(format_args!("{}: {digest}", folder.display()));
    }
    let settings = settings(&trained.report, "cost");
    output::note(format_args!("{}: settings of linear-cost.wasm: {settings}", run.network().display()));
    if arguments.json { output::json(&trained.report) } else { output::result(&trained.report) }
}

fn given(arguments: &CostArguments) -> Given {
    let TrainingArguments { depth, hidden, rate, weight_decay, epochs, patience, batch, validation, test, seed } =
        arguments.training;
    let BundleArguments { budget, n: candidates, chunk_len: chunk, temperature, top_p, .. } = arguments.bundle;
    let bundle = arguments.bundle.bundle.clone();
    Given {
        data: arguments.data.clone(),
        text_prompt: arguments.text_prompt.clone(),
        model: arguments.model.clone(),
        loading: arguments.device.loading(),
        out: arguments.out.clone(),
        objective: arguments.objective,
        readings: arguments.latents.clone(),
        max_tokens: arguments.max_tokens,
        harmful_from: arguments.harmful_from,
        balanced: !arguments.unbalanced,
        shares: Shares { validation, test, seed },
        recipe: Recipe { hidden, depth, rate, weight_decay, epochs, patience, batch, seed, ..cost_recipe() },
        bundle: bundle.map(|folder| GivenBundle { folder, budget, candidates, chunk, temperature, top_p }),
    }
}
