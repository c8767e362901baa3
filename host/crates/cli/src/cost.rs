//! `train cost` and `train reward`: a cost or a reward on a language model's own latents, from labelled answers.

use crate::{
    flags::{DeviceArguments, one_of},
    output,
    progress::under_bar,
    train::TrainingArguments,
};
use clap::Args;
use inferenceguard_critic::cost::{BudgetChoice, CostObjective, HarmlessPrompts, HeadInputs, RewardObjective, Source};
use inferenceguard_training::{
    Finished, GivenHeads,
    cost::{CostRun, Given, GivenBundle, GivenSampling},
    names::{OBJECTIVES, REWARD_OBJECTIVES},
    reward::{self, RewardRun},
};
use serde::Serialize;
use std::{fmt::Display, path::PathBuf};

const BAR: &str = "{bar:32} {pos}/{len} {msg} {eta}";

/// What trainings of heads have in common.
#[derive(Debug, Clone, Args)]
struct HeadArguments {
    /// Labelled answers, gzipped or not, one JSON object per line: prompt and response with harmful (true or false) or harm (0 to 1),
    /// for a reward with grade (0 to 1, higher is better); PKU-SafeRLHF records; pairs (chosen, rejected); or text and harmful.
    /// FILE=WEIGHT counts the answers of a file more or less; may be repeated
    #[arg(long, value_name = "FILE[=WEIGHT]", required = true)]
    data: Vec<Source>,
    /// The language model that will be guarded: a Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]; the
    /// demonstration model if not given
    #[arg(long, value_name = "DIR|ID")]
    model: Option<String>,
    #[command(flatten)]
    device: DeviceArguments,
    /// The folder to write, cost or reward if not given: latents, checkpoints, the network, its report and plot. A run that was
    /// stopped goes on there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What a head (a small network) reads: final-norm (the last hidden state) or layer:N, for a cost several joined by +; one head
    /// is trained for each, and the best is written
    #[arg(long, value_delimiter = ',', default_value = "final-norm")]
    latents: Vec<HeadInputs>,
    /// The most tokens of an answer that are read
    #[arg(long, default_value_t = 96)]
    max_tokens: usize,
    /// The question that texts without a prompt count as an answer to
    #[arg(long, value_name = "TEXT", default_value = "Write a message.")]
    text_prompt: String,
    /// Also writes the head as a score model's folder (LlamaForScore or ...ForSequenceClassification), with the model's safetensors
    #[arg(long, value_name = "DIR")]
    score_model: Option<PathBuf>,
    #[command(flatten)]
    training: TrainingArguments,
    /// Prints the whole report as one JSON object
    #[arg(long)]
    json: bool,
}

/// See `train cost`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CostArguments {
    #[command(flatten)]
    heads: HeadArguments,
    /// What the head learns
    #[arg(long, default_value = "survival", value_parser = one_of(OBJECTIVES))]
    objective: CostObjective,
    /// From which harm on, 0 to 1, an answer counts as harmful
    #[arg(long, value_name = "HARM", default_value_t = 0.5)]
    harmful_from: f64,
    /// Counts every answer by its weight alone; if not given, harmful and harmless answers count as much in sum
    #[arg(long)]
    unbalanced: bool,
    /// Prompts that ask for nothing harmful, as eval reads them, without those of the intent harmful; at most N of them. The model
    /// answers them, and the cost learns from its answers as harmless ones. Nobody looks at them: read own.jsonl in the folder
    #[arg(long, value_name = "FILE[:N]")]
    harmless_prompts: Option<HarmlessPrompts>,
    /// How much each of those answers counts
    #[arg(long, value_name = "WEIGHT", default_value_t = 1.0, requires = "harmless_prompts")]
    harmless_weight: f64,
    #[command(flatten)]
    bundle: BundleArguments,
}

/// See `train reward`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RewardArguments {
    #[command(flatten)]
    heads: HeadArguments,
    /// What the head learns
    #[arg(long, default_value = "pairwise", value_parser = one_of(REWARD_OBJECTIVES))]
    objective: RewardObjective,
    /// Also writes the reward into this bundle's folder, which ranks answers by it from then on
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
}

/// A bundle around the cost.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bundle")]
struct BundleArguments {
    /// Also writes a bundle with this cost, words and personal data as constraints: a new folder, or the folder of such a bundle
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// The budget of the cost, or conformal:ALPHA: the budget that a share ALPHA of the validation's harmless answers exceeds, or of
    /// the model's own answers if there are any. If not given, the smallest that refuses at most 5 % of the test's harmless answers
    #[arg(long, value_name = "D|conformal:ALPHA", requires = "bundle")]
    budget: Option<BudgetChoice>,
    /// Candidates per chunk
    #[arg(long, short, default_value_t = 8, requires = "bundle")]
    n: u32,
    /// Tokens of a chunk
    #[arg(long, default_value_t = 16, requires = "bundle")]
    chunk_len: u32,
    /// How bundle and own answers are sampled, 0 to 2; what the model's authors recommend if not given
    #[arg(long)]
    temperature: Option<f64>,
    /// Only the likeliest tokens that together hold this probability are sampled
    #[arg(long)]
    top_p: Option<f64>,
}

/// Reads, trains, measures, writes, and prints the measurements.
pub(crate) fn run(arguments: &CostArguments) -> anyhow::Result<()> {
    let mut run = CostRun::open(given(arguments.clone()))?;
    show(&under_bar(BAR, |bar| run.finish(bar))?, arguments.heads.json)
}

/// The same for a reward.
pub(crate) fn run_reward(arguments: &RewardArguments) -> anyhow::Result<()> {
    let RewardArguments { heads, objective, bundle } = arguments.clone();
    let json = heads.json;
    let mut run = RewardRun::open(reward::Given { heads: heads.given("reward"), objective, bundle })?;
    show(&under_bar(BAR, |bar| run.finish(bar))?, json)
}

fn show<T: Display + Serialize>(done: &Finished<T>, json: bool) -> anyhow::Result<()> {
    done.notes.iter().for_each(output::note);
    if json { output::json(&done.report) } else { output::result(&done.report) }
}

impl HeadArguments {
    fn given(self, command: &str) -> GivenHeads {
        let Self { data, text_prompt, model, latents: readings, max_tokens, score_model, .. } = self;
        let (loading, training) = (self.device.loading(), self.training.given());
        let out = self.out.unwrap_or_else(|| command.into());
        GivenHeads { data, text_prompt, model, loading, out, readings, max_tokens, training, score_model }
    }
}

fn given(arguments: CostArguments) -> Given {
    let CostArguments { heads, objective, harmful_from, unbalanced, harmless_prompts, harmless_weight, bundle } =
        arguments;
    let BundleArguments { bundle, budget, n: candidates, chunk_len: chunk, temperature, top_p } = bundle;
    let bundle = bundle.map(|folder| GivenBundle { folder, budget, candidates, chunk });
    let (heads, sampling) = (heads.given("cost"), GivenSampling { temperature, top_p });
    let (balanced, harmless) = (!unbalanced, harmless_prompts);
    Given { heads, objective, harmful_from, balanced, harmless, harmless_weight, sampling, bundle }
}
