//! `train cost`: a cost on a language model's own latents, from labelled answers.

use crate::{
    critic,
    flags::{DeviceArguments, Named, one_of},
    output,
    progress::Shown,
};
use anyhow::{Context, ensure};
use clap::Args;
use inferenceguard_bundle::{Bundle, MANIFEST, network::Network};
use inferenceguard_catalog::{Loading, bundles, language_model};
use inferenceguard_critic::{
    Recipe, Shares,
    cost::{self, BundleOptions, CostObjective, CostOptions, CostReport, Places, Source, cost_recipe},
};
use inferenceguard_model::{Generator, ModelInfo, Native};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

const OBJECTIVES: &[Named<CostObjective>] = &[
    ("survival", "A hazard at every token; a budget bounds the modelled probability of harm", CostObjective::Survival),
    ("pairwise", "The same hazards, from pairs of a less and a more harmful answer", CostObjective::Pairwise),
    ("prefix", "The score of every beginning of an answer", CostObjective::Prefix),
    ("signed", "Costs of either sign, whose sum is the score", CostObjective::Signed),
];

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
    /// What a head reads: final-norm or layer:N, several joined by +; one head for each, the best on the validation is written
    #[arg(long, value_delimiter = ',', default_value = "final-norm")]
    latents: Vec<Places>,
    /// The most tokens of an answer that are read
    #[arg(long, default_value_t = 96)]
    max_tokens: usize,
    /// The least harm of a harmful answer
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
    arguments.bundle.bundle.as_deref().map_or(Ok(()), check_folder)?;
    let units = cost::read(&arguments.data, &arguments.text_prompt)?;
    let load = Loading::new(&arguments.device.loading(), None)?;
    let options = options(arguments, &load);
    let files = critic::files(arguments.model.as_deref(), load.note())?;
    let mut model = Native::new(Box::new(language_model(&files, &load.language(), load.note())?));
    let shown = Shown::begin("{bar:32} {pos}/{len} {msg} {eta}")?;
    let trained = cost::train(&options, &mut model, &units, shown.bar());
    drop(shown);
    let (network, report) = trained?;
    if let Some(folder) = &arguments.bundle.bundle {
        write_bundle(folder, arguments, &network, (&report, model.info()))?;
    }
    let settings = cost::settings(&report, "cost");
    output::note(format_args!(
        "{}: settings of linear-cost.wasm: {settings}",
        options.out.join(cost::NETWORK).display()
    ));
    if arguments.json { output::json(&report) } else { output::result(&report) }
}

fn options(arguments: &CostArguments, load: &Loading) -> CostOptions {
    let TrainingArguments { depth, hidden, rate, weight_decay, epochs, patience, batch, validation, test, seed } =
        arguments.training;
    CostOptions {
        out: arguments.out.clone(),
        objective: arguments.objective,
        readings: arguments.latents.clone(),
        max_tokens: arguments.max_tokens,
        threshold: arguments.harmful_from,
        balanced: !arguments.unbalanced,
        shares: Shares { validation, test, seed },
        recipe: Recipe { hidden, depth, rate, weight_decay, epochs, patience, batch, seed, ..cost_recipe() },
        device: load.language().device,
    }
}

/// Refuses a folder without a name, and one with a bundle that this did not write: before the training, not after it.
fn check_folder(folder: &Path) -> anyhow::Result<()> {
    bundle_name(folder)?;
    let path = folder.join(MANIFEST);
    let there = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        there => there.with_context(|| format!("--bundle {}", path.display()))?,
    };
    let manifest: toml::Table = toml::from_str(&there).with_context(|| format!("--bundle {}", path.display()))?;
    let is_trained = manifest.get("networks").is_some_and(|networks| networks.get("cost").is_some());
    ensure!(
        is_trained,
        "--bundle {}: found a bundle without [networks.cost]; expected a new folder, or a bundle of `train cost`",
        folder.display()
    );
    Ok(())
}

fn bundle_name(folder: &Path) -> anyhow::Result<String> {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    name.with_context(|| format!("--bundle {}: expected a folder with a name", folder.display()))
}

/// Writes manifest and network, if they make a bundle.
fn write_bundle(
    folder: &Path,
    arguments: &CostArguments,
    network: &Network,
    (report, model): (&CostReport, &ModelInfo),
) -> anyhow::Result<()> {
    let name = bundle_name(folder)?;
    let BundleArguments { budget, n, chunk_len, .. } = arguments.bundle;
    // Hazards of longer answers than those that were read are not calibrated.
    let max_tokens = u32::try_from(arguments.max_tokens).unwrap_or(u32::MAX);
    let options = BundleOptions { name, budget, candidates: n, chunk: chunk_len, max_tokens };
    let (text, bytes) = (cost::manifest(report, model, &options)?, network.to_bytes()?);
    let mut all = BTreeMap::from([(cost::NETWORK.to_owned(), bytes.clone())]);
    all.extend(bundles::first_party());
    let bundle = Bundle::from_parts(&text, &all)?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    output::file(&folder.join(cost::NETWORK), &bytes)?;
    output::file(&folder.join(MANIFEST), text.as_bytes())?;
    output::note(format_args!("{}: {}", folder.display(), bundle.digest()));
    Ok(())
}
