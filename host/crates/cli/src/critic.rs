//! `train critic`: a critic, or RE-Control's value network, for a language model and a bundle.

use crate::{
    flags::{DeviceArguments, one_of},
    output,
    progress::under_bar,
    train::TrainingArguments,
};
use clap::Args;
use inferenceguard_critic::{Reading, objective::Weighed, targets::BudgetSeen};
use inferenceguard_search::{ConstraintMode, CostClip, SamplingSettings};
use inferenceguard_training::{
    critic::{CriticRun, Given, GivenAnswers, GivenTargets, Preset},
    names::{CLIPS, MODES, PRESETS, SEEN, WEIGHED},
};
use std::path::PathBuf;

/// See `train critic`. What is left out comes from the preset, and what the preset leaves out from the bundle.
#[derive(Debug, Args)]
pub(crate) struct CriticArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]; the demonstration model if not given
    #[arg(long, value_name = "DIR|ID")]
    model: Option<String>,
    /// A score model under the name that the bundle's costs use; may be repeated
    #[arg(long = "score", value_name = "NAME=DIR|ID")]
    scores: Vec<String>,
    /// A bundle's folder, whose costs price the answers and whose constraints are learnt; the demonstration's if not
    /// given
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArguments,
    /// The folder to write: trajectories, and per latent a network, plots and a checkpoint. A run that was stopped goes
    /// on there
    #[arg(long, value_name = "DIR", default_value = "critic")]
    out: PathBuf,
    /// Prompts, gzipped or not: .jsonl with `text`, PKU-SafeRLHF records, or one prompt per line; the demonstration's
    /// training prompts if not given
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// The most prompts, spread evenly over all
    #[arg(long)]
    limit: Option<usize>,
    /// Where values come from that are not given: `paper` takes those of table 3 of arXiv 2502.01208, with the constraints and the
    /// sampling of `eval --recipe`, whatever the bundle says
    #[arg(long, default_value = "default", value_parser = one_of(PRESETS))]
    preset: Preset,
    /// What a network reads, one for each: final-norm (the last hidden state), layer:N, or none (budgets and length, to compare)
    #[arg(long, value_delimiter = ',', default_value = "final-norm")]
    latents: Vec<Reading>,
    /// Trains a value network instead, by which the method re-control changes hidden states: it foresees the reward of the answer
    #[arg(long)]
    value: bool,
    /// Trains the value network of the method re-control+lagrangian: it foresees reward less LAMBDA times the safety cost
    #[arg(long, value_name = "LAMBDA", conflicts_with = "value")]
    lagrangian: Option<f64>,
    /// Which cost LAMBDA weighs: the cost at the answer's end, which is the cost model's points for the answer, or the sum over its
    /// tokens
    #[arg(long, value_name = "end|sum", default_value = "end", requires = "lagrangian", value_parser = one_of(WEIGHED))]
    lagrangian_cost: Weighed,
    #[command(flatten)]
    answers: AnswerArguments,
    #[command(flatten)]
    targets: TargetArguments,
    #[command(flatten)]
    training: TrainingArguments,
    /// Prints the whole report as one JSON object
    #[arg(long)]
    json: bool,
}

/// How answers are sampled.
#[derive(Debug, Args)]
#[command(next_help_heading = "Answers")]
struct AnswerArguments {
    /// Answers per prompt [default: 5]
    #[arg(long)]
    answers: Option<usize>,
    /// The most answer tokens [default: the bundle's]
    #[arg(long)]
    max_tokens: Option<usize>,
    /// Latents are kept at every multiple of this many tokens, and at the answer's end [default: 8; paper: 32]
    #[arg(long)]
    every: Option<usize>,
    /// Divides the logits; 0 = greedy [default: the bundle's]
    #[arg(long)]
    temperature: Option<f32>,
    /// Only this many most likely tokens; 0 = all [default: the bundle's]
    #[arg(long)]
    top_k: Option<u32>,
    /// Only the most likely tokens that together hold this probability [default: the bundle's]
    #[arg(long)]
    top_p: Option<f32>,
    /// Only tokens at least this share as probable as the most likely one; 0 = all [default: the bundle's]
    #[arg(long)]
    min_p: Option<f32>,
    /// Divides the positive logits of earlier tokens, and multiplies their negative logits; 1 = off
    /// [default: the bundle's]
    #[arg(long)]
    repetition_penalty: Option<f32>,
    /// Prompts answered at once, and kept in one file [default: 16]
    #[arg(long)]
    prompts_at_once: Option<usize>,
}

/// What a critic learns.
#[derive(Debug, Args)]
#[command(next_help_heading = "Targets")]
struct TargetArguments {
    /// The range of budgets, one for all constraints or one each [default: a quarter to four times the bundle's budget;
    /// paper: 10..10]
    #[arg(long, value_name = "LOW..HIGH", value_delimiter = ',')]
    budgets: Vec<String>,
    /// The discount of all constraints [default: the bundle's; paper: 0.999 for the first]
    #[arg(long)]
    gamma: Option<f64>,
    /// When all constraints must hold: at every token, or at the end alone [default: the bundle's; paper: anytime for the first]
    #[arg(long, value_parser = one_of(MODES))]
    mode: Option<ConstraintMode>,
    /// What becomes of negative costs of all constraints [default: the bundle's; paper: none for the first]
    #[arg(long, value_parser = one_of(CLIPS))]
    clip: Option<CostClip>,
    /// Tokens of a chunk: the critic is asked at its end [default: 32]
    #[arg(long)]
    chunk_len: Option<usize>,
    /// The budget that a critic sees: at the chunk's start, as in the host, or after all costs up to the position, as in the
    /// paper's formula [default: chunk-start]
    #[arg(long, value_parser = one_of(SEEN))]
    z: Option<BudgetSeen>,
    /// Makes long answers count less: scales the task cost by gamma^T (T tokens), as the preset `paper` does
    #[arg(long)]
    discount_cost: bool,
}

/// Samples, trains, measures, writes, and prints the measurements.
pub(crate) fn run(arguments: &CriticArguments) -> anyhow::Result<()> {
    let mut run = CriticRun::open(&given(arguments))?;
    let report = under_bar("{bar:32} {pos}/{len} {msg} {eta}", |bar| run.train(bar))?;
    for (reading, path) in run.networks() {
        output::note(format_args!("{reading}: {}", path.display()));
    }
    if arguments.json { output::json(&report) } else { output::result(&report) }
}

fn given(arguments: &CriticArguments) -> Given {
    Given {
        model: arguments.model.clone(),
        scores: arguments.scores.clone(),
        bundle: arguments.bundle.clone(),
        loading: arguments.device.loading(),
        out: arguments.out.clone(),
        prompts: arguments.prompts.clone(),
        limit: arguments.limit,
        preset: arguments.preset,
        readings: arguments.latents.clone(),
        value: arguments.value,
        lagrangian: arguments.lagrangian,
        lagrangian_cost: arguments.lagrangian_cost,
        answers: arguments.answers.given(),
        targets: arguments.targets.given(),
        training: arguments.training.given(),
    }
}

impl AnswerArguments {
    fn given(&self) -> GivenAnswers {
        let Self { answers, max_tokens, every, prompts_at_once, .. } = *self;
        let Self { temperature, top_k, top_p, min_p, repetition_penalty, .. } = *self;
        let sampling = SamplingSettings { temperature, top_k, top_p, min_p, repetition_penalty };
        GivenAnswers { answers, max_tokens, every, sampling, prompts_at_once }
    }
}

impl TargetArguments {
    fn given(&self) -> GivenTargets {
        let Self { gamma, mode, clip, chunk_len, z: seen, discount_cost, .. } = *self;
        GivenTargets { budgets: self.budgets.clone(), gamma, mode, clip, chunk_len, seen, discount_cost }
    }
}
