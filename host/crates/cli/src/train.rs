//! `train`: the demonstration's models, and critics, costs and rewards for any model.

use crate::{
    cost::{self, CostArguments, RewardArguments},
    critic::{self, CriticArguments},
    flags::one_of,
    output,
    progress::under_bar,
};
use anyhow::Context;
use clap::{Args, Subcommand};
use inferenceguard_bundle::network::LayerActivation;
use inferenceguard_critic::Schedule;
use inferenceguard_demo::models::{Options, train};
use inferenceguard_training::{
    critic::{GivenParts, GivenSteps, GivenTraining},
    names::{ACTIVATIONS, SCHEDULES},
};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// Trains the demonstration's models from text it generates itself, and measures them
    Demo(DemoArguments),
    /// Trains a critic, which foresees how an answer will end, from the model's own answers
    Critic(Box<CriticArguments>),
    /// Trains a cost for a bundle from answers that people labelled: it prices every token by the model's hidden states (latents)
    Cost(Box<CostArguments>),
    /// Trains a reward that ranks answers by the model's own latents, from pairs or graded answers, and measures it
    Reward(Box<RewardArguments>),
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

/// How networks are trained.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct TrainingArguments {
    /// Width of the hidden layers [default: 128; paper: 4096; costs and rewards: 64]
    #[arg(long)]
    hidden: Option<usize>,
    /// Hidden layers; 0 is a linear head [default: 1; paper: 1, values 2; costs and rewards: 0]
    #[arg(long)]
    depth: Option<usize>,
    /// What follows a hidden layer [default: silu; paper: relu]
    #[arg(long, value_parser = one_of(ACTIVATIONS))]
    activation: Option<LayerActivation>,
    /// The learning rate [default: 0.001; paper: 0.00001, values 0.0001]
    #[arg(long)]
    rate: Option<f64>,
    /// How the learning rate changes [default: cosine; paper: constant]
    #[arg(long, value_parser = one_of(SCHEDULES))]
    schedule: Option<Schedule>,
    /// The weight decay [default: 0.01; paper: 0; costs and rewards: 0.1]
    #[arg(long)]
    weight_decay: Option<f64>,
    /// The most passes over all answers [default: 40; paper: 50, values 100; costs and rewards: 60]
    #[arg(long)]
    epochs: Option<usize>,
    /// Stops after this many epochs without a better validation loss; 0 = never [default: 8; paper: 0;
    /// costs and rewards: 10]
    #[arg(long)]
    patience: Option<usize>,
    /// Answers or pairs per step [default: 32; paper: 8, values 512]
    #[arg(long)]
    batch: Option<usize>,
    /// The most MiB of latents in memory; the training reads the others from their files, and its numbers are the same. Beside them
    /// lie those of the answers that are read at once, and of one step [default: 2048]
    #[arg(long, value_name = "MIB")]
    memory: Option<usize>,
    /// The share of prompts for early stopping, choice and calibration [default: 0.15; costs and rewards: 0.2]
    #[arg(long)]
    validation: Option<f64>,
    /// The share of prompts that the report measures on [default: 0.15; costs and rewards: 0.2]
    #[arg(long)]
    test: Option<f64>,
    /// The seed of answers, splits, budgets, weights and orders
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl TrainingArguments {
    /// As the training takes it.
    pub(crate) fn given(&self) -> GivenTraining {
        let Self { hidden, depth, activation, rate, schedule, weight_decay, memory, .. } = *self;
        let Self { epochs, patience, batch, validation, test, seed, .. } = *self;
        let (steps, parts) = (GivenSteps { epochs, patience, batch }, GivenParts { validation, test, seed });
        GivenTraining { hidden, depth, activation, rate, schedule, weight_decay, memory, steps, parts }
    }
}

/// `train …`.
pub(crate) fn command(command: &TrainCommand) -> anyhow::Result<()> {
    match command {
        TrainCommand::Demo(arguments) => demo(arguments),
        TrainCommand::Critic(arguments) => critic::run(arguments),
        TrainCommand::Cost(arguments) => cost::run(arguments),
        TrainCommand::Reward(arguments) => cost::run_reward(arguments),
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
