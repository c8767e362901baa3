//! `train`: the demonstration's models, and critics and costs for any model.

use crate::{
    cost::{self, CostArguments},
    critic::{self, CriticArguments},
    output,
    progress::under_bar,
};
use anyhow::Context;
use clap::{Args, Subcommand};
use inferenceguard_demo::models::{Options, train};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// Trains the demonstration's models from text it generates itself, and measures them
    Demo(DemoArguments),
    /// Trains a critic, which foresees how an answer will end, from the model's own answers
    Critic(Box<CriticArguments>),
    /// Trains a cost for a bundle from answers that people labelled: it prices every token by the model's hidden states (latents)
    Cost(Box<CostArguments>),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// The folder to write: weak, tuned, reward, cost, world.toml, report.json, prompts.jsonl
    #[arg(long, value_name = "DIR", default_value = "demo")]
    out: PathBuf,
    /// Trains for seconds instead of an hour; the models are useless
    #[arg(long)]
    quick: bool,
    /// The seed of weights and examples
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// `train …`.
pub(crate) fn command(command: &TrainCommand) -> anyhow::Result<()> {
    match command {
        TrainCommand::Demo(arguments) => demo(arguments),
        TrainCommand::Critic(arguments) => critic::run(arguments),
        TrainCommand::Cost(arguments) => cost::run(arguments),
    }
}

/// Trains the demonstration's models, writes them, and prints the measurements.
fn demo(arguments: &DemoArguments) -> anyhow::Result<()> {
    let options = if arguments.quick { Options::quick(&arguments.out) } else { Options::new(&arguments.out) };
    let options = Options { seed: arguments.seed, ..options };
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{} could not be made", arguments.out.display()))?;
    output::result(under_bar("{bar:32} {pos}/{len} {msg} {eta}", |bar| train(&options, bar))?)
}
