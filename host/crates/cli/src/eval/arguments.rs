//! What can be said to `eval`.

use crate::args::GuardArguments;
use clap::{Args, ValueEnum};
use inferenceguard_train::world;
use std::path::PathBuf;

/// See `eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    /// Several models instead of one, as NAME=DIR, DIR or ID; `weak` alone is the demonstration's. All are held at once
    #[arg(long, value_name = "[NAME=]DIR|ID", value_delimiter = ',', conflicts_with = "model")]
    pub(crate) models: Vec<String>,
    /// A bundle for one of the models, such as one with its critic; may be repeated
    #[arg(long = "bundle-for", value_name = "NAME=DIR")]
    pub(crate) bundles: Vec<String>,
    /// Prompts, gzipped or not: .jsonl with `text` and `intent`, PKU-SafeRLHF records, or one prompt per line; the
    /// demonstration's if not given
    #[arg(long, value_name = "FILE")]
    pub(crate) prompts: Option<PathBuf>,
    /// Which of the demonstration's prompts: `validation` is for tuning
    #[arg(long, default_value = "test", conflicts_with = "prompts")]
    pub(crate) split: Split,
    /// Also asks every harmful prompt in the dress of ten attacks
    #[arg(long)]
    pub(crate) attacks: bool,
    /// The most prompts, spread evenly over all
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// The methods to compare; `all` for every one that the bundle has the parts for, and `always-refuse`
    #[arg(long, value_delimiter = ',', default_value = "base,best-of-n,inference-guard", conflicts_with = "recipe")]
    pub(crate) methods: Vec<String>,
    /// Numbers of candidates to go through, instead of the bundle's
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["n", "recipe"])]
    pub(crate) ns: Vec<u32>,
    /// Multipliers of the Lagrangian rows to go through, instead of the bundle's
    #[arg(long, value_delimiter = ',', conflicts_with = "recipe")]
    pub(crate) lambdas: Vec<f64>,
    /// Chooses the multiplier of every Lagrangian row among these, on other prompts: the demonstration's validation
    /// prompts, or --tune-prompts. Good answers decide, without a judge those within budget; of equals the reward
    #[arg(long, value_name = "LAMBDA,...", value_delimiter = ',', conflicts_with = "lambdas")]
    pub(crate) tune_lambda: Vec<f64>,
    /// The prompts that multipliers are chosen on; none of them may be evaluated
    #[arg(long, value_name = "FILE", requires = "tune_lambda")]
    pub(crate) tune_prompts: Option<PathBuf>,
    /// The most prompts that multipliers are chosen on, spread evenly over all
    #[arg(long, default_value_t = 100, requires = "tune_lambda")]
    pub(crate) tune_limit: usize,
    /// What a multiplier weighs: the cost model's score of the answer, as in the paper, or the sum over its tokens; if
    /// not given, what the bundle says of the method, else `end` where there is a score model `cost`
    #[arg(long, value_name = "end|sum", conflicts_with = "recipe")]
    pub(crate) lagrangian_cost: Option<Weighed>,
    /// Budgets of the first constraint to go through; the bundle's if not given
    #[arg(long, value_delimiter = ',', conflicts_with = "recipe")]
    pub(crate) budgets: Vec<f64>,
    /// The most answer tokens, instead of the bundle's
    #[arg(long)]
    pub(crate) max_tokens: Option<u32>,
    /// What is emitted when nothing fit is found, instead of the bundle's choice
    #[arg(long, value_name = "refuse|least_violation|best_reward", conflicts_with = "recipe")]
    pub(crate) on_exhausted: Option<String>,
    /// What becomes of negative costs of the first constraint, instead of the bundle's choice
    #[arg(long, value_name = "none|nonneg|capped", conflicts_with = "recipe")]
    pub(crate) clip: Option<String>,
    /// The seed
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Several seeds; each prompt is answered once for each
    #[arg(long, value_delimiter = ',', conflicts_with = "seed")]
    pub(crate) seeds: Vec<u64>,
    /// The paper's settings and rows, for its models: give --model, --score reward=DIR, --score cost=DIR and --prompts
    #[arg(long)]
    pub(crate) recipe: Option<Recipe>,
    /// Who judges: the demonstration's judge, which knows its world only, or nobody; `demo` with the demonstration's
    /// score models, else nobody
    #[arg(long)]
    pub(crate) judge: Option<JudgeChoice>,
    /// The folder of the results: every answer as it comes, then tables, figures and report.html. The same command goes
    /// on where a killed one was
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Also writes the figures and every answer to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Fails if a figure is worse than recorded in this file, beyond its interval
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Records the figures of this run in the baseline's file
    #[arg(long, requires = "baseline")]
    pub(crate) update: bool,
}

/// A part of the demonstration's prompts.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Split {
    /// For tuning.
    Validation,
    /// New to everything.
    Test,
}

impl Split {
    /// As it is named on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl From<Split> for world::Split {
    fn from(split: Split) -> Self {
        match split {
            Split::Validation => Self::Validation,
            Split::Test => Self::Test,
        }
    }
}

/// What the multiplier of a Lagrangian row weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Weighed {
    /// The cost model's score of the answer.
    End,
    /// The sum of the costs of its tokens.
    Sum,
}

impl Weighed {
    /// As the policies' setting has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Sum => "sum",
        }
    }
}

/// A row set of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recipe {
    /// Alpaca-7B.
    PaperAlpaca,
    /// Beaver-7B-v3.
    PaperBeaver,
}

impl Recipe {
    /// As it is named on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PaperAlpaca => "paper-alpaca",
            Self::PaperBeaver => "paper-beaver",
        }
    }
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JudgeChoice {
    /// The judge of the demonstration's world.
    Demo,
    /// Nobody.
    None,
}
