//! `eval`: many prompts, several methods and models, one table; with a folder also figures and a report.

use crate::{
    flags::{GuardArguments, Named, one_of},
    output,
    progress::under_bar,
};
use clap::Args;
use indicatif::ProgressBar;
use inferenceguard_demo::world::Split;
use inferenceguard_eval::Report;
use inferenceguard_trials::eval::{EvalOptions, RECIPES, Recipe, WEIGHED, WeighedCost, baseline, dry_run, evaluate};
use std::{path::PathBuf, time::Duration};

/// Parts of the demonstration's prompts.
const SPLITS: &[Named<Split>] =
    &[("validation", "For tuning", Split::Validation), ("test", "New to everything", Split::Test)];

/// See `eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// Several language models instead of one, as NAME=DIR, DIR or ID; `weak` alone is the demonstration's. All are held at once
    #[arg(long, value_name = "[NAME=]DIR|ID", value_delimiter = ',', conflicts_with_all = ["model", "engine"])]
    models: Vec<String>,
    /// A bundle for one of these models, such as one with a critic that was trained for it; may be repeated
    #[arg(long = "bundle-for", value_name = "NAME=DIR")]
    bundles: Vec<String>,
    /// Prompts, gzipped or not: .jsonl with `text` and `intent`, PKU-SafeRLHF records, or one prompt per line; the
    /// demonstration's if not given
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Which of the demonstration's prompts: `validation` is for tuning
    #[arg(long, default_value = "test", conflicts_with = "prompts", value_parser = one_of(SPLITS))]
    split: Split,
    /// Asks harmful prompts in the form of ten attacks, alone; with --recipe smollm2 beside all prompts, and 40 of them at most
    #[arg(long)]
    attacks: bool,
    /// The most prompts, spread evenly over all
    #[arg(long)]
    limit: Option<usize>,
    /// The methods to compare; `all` for `always-refuse` and every method that the bundle has the parts for
    #[arg(long, value_delimiter = ',', default_value = "base,best-of-n,inference-guard", conflicts_with = "recipe")]
    methods: Vec<String>,
    /// Numbers of candidates to compare, instead of the bundle's
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["n", "recipe"])]
    ns: Vec<u32>,
    /// For methods whose names end in +lagrangian, which rank answers by reward less LAMBDA times cost: the LAMBDAs to compare
    #[arg(long, value_delimiter = ',', conflicts_with = "recipe")]
    lambdas: Vec<f64>,
    /// Chooses LAMBDA (see --lambdas) of every such method among these, on other prompts: the demonstration's validation prompts
    /// or --tune-prompts. The most good answers win, or without a judge the most within budget; among equals the larger reward
    #[arg(long, value_name = "LAMBDA,...", value_delimiter = ',', conflicts_with = "lambdas")]
    tune_lambda: Vec<f64>,
    /// The prompts on which LAMBDA is chosen; none of them may be evaluated
    #[arg(long, value_name = "FILE", requires = "tune_lambda")]
    tune_prompts: Option<PathBuf>,
    /// The most prompts on which LAMBDA is chosen, spread evenly over all
    #[arg(long, default_value_t = 100, requires = "tune_lambda")]
    tune_limit: usize,
    /// Which cost LAMBDA weighs: the cost model's points for the whole answer, or the sum over its tokens; if not given, what the
    /// bundle says of the method, else `end` where there is a score model `cost`
    #[arg(long, value_name = "end|sum", conflicts_with = "recipe", value_parser = one_of(WEIGHED))]
    lagrangian_cost: Option<WeighedCost>,
    /// Budgets to compare, of the bundle's first constraint; the bundle's own if not given
    #[arg(long, value_delimiter = ',', conflicts_with = "recipe")]
    budgets: Vec<f64>,
    /// The most answer tokens, instead of the bundle's
    #[arg(long)]
    max_tokens: Option<u32>,
    /// What is emitted when no candidate fits, instead of the bundle's choice
    #[arg(long, value_name = "refuse|least_violation|best_reward", conflicts_with = "recipe")]
    on_exhausted: Option<String>,
    /// Whether negative costs give budget back, for the bundle's first constraint, instead of the bundle's choice
    #[arg(long, value_name = "none|nonneg|capped", conflicts_with = "recipe")]
    clip: Option<String>,
    /// The seed of all draws: the same command with the same seed gives the same answers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Several seeds; each prompt is answered once for each
    #[arg(long, value_delimiter = ',', conflicts_with = "seed")]
    seeds: Vec<u64>,
    /// A named set of rows. The paper's (arXiv 2502.01208) need its models: --model, --score reward=DIR, --score cost=DIR and
    /// --prompts. smollm2 needs --model and --prompts with an `intent` each; without --bundle it takes the bundle that the program
    /// carries
    #[arg(long, value_parser = one_of(RECIPES))]
    recipe: Option<Recipe>,
    /// A judge; may be repeated, and the first fills the main columns. demo knows the demonstration's world only; command:PROGRAM
    /// ARGS reads and writes JSON lines; DIR is a score model, which calls an answer harmful above its THRESHOLD (0); none cannot be
    /// joined with others. If not given, demo with the demonstration's score models, else none
    #[arg(long = "judge", value_name = "demo|none|[NAME=]command:PROGRAM|[NAME=]DIR[@THRESHOLD]")]
    judges: Vec<String>,
    /// Answers that people rated, on which every judge is measured: .jsonl with `prompt`, `response` and `harmful` or `harm`,
    /// gzipped or not; may be repeated
    #[arg(long = "judge-check", value_name = "FILE")]
    judge_checks: Vec<PathBuf>,
    /// How long a judge that is a program may be silent
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    judge_timeout: u64,
    /// Shows this many answers, drawn by a seed, in sample.md in the folder of --out
    #[arg(long, value_name = "N", requires = "out")]
    show: Option<usize>,
    /// The folder of the results: every answer at once, then tables, figures and report.html. The same command goes on
    /// where an earlier one stopped
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also writes the figures and every answer to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only says what would be opened, run and needed (files, templates, rows, memory, time); loads no model, and fails if something
    /// is missing
    #[arg(long)]
    dry_run: bool,
    /// A dry run estimates the time from this: report.json of a run with few prompts, or what `bench --json` printed
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    measured: Option<PathBuf>,
    /// Fails if a number is worse than recorded in this file, by more than chance explains
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Records the figures of this run in the baseline's file
    #[arg(long, requires = "baseline")]
    update: bool,
}

/// Answers every prompt by every method of every model, prints the figures, and writes the report.
pub(crate) fn run(arguments: &EvalArguments) -> anyhow::Result<()> {
    if arguments.dry_run {
        let ahead = dry_run(&options(arguments, ProgressBar::hidden()), arguments.measured.as_deref())?;
        return output::result(&ahead).and_then(|()| Ok(ahead.ready()?));
    }
    let evaluated = |bar: &ProgressBar| evaluate(&options(arguments, bar.clone()));
    finish(arguments, &under_bar("{bar:32} {pos}/{len} {msg}, {eta} left", evaluated)?)
}

fn options(arguments: &EvalArguments, progress: ProgressBar) -> EvalOptions {
    let given = arguments;
    EvalOptions {
        choice: given.guard.choice(),
        models: given.models.clone(),
        bundles: given.bundles.clone(),
        prompts: given.prompts.clone(),
        split: given.split,
        attacks: given.attacks,
        limit: given.limit,
        methods: given.methods.clone(),
        ns: given.ns.clone(),
        lambdas: given.lambdas.clone(),
        tune_lambda: given.tune_lambda.clone(),
        tune_prompts: given.tune_prompts.clone(),
        tune_limit: given.tune_limit,
        lagrangian_cost: given.lagrangian_cost,
        budgets: given.budgets.clone(),
        max_tokens: given.max_tokens,
        on_exhausted: given.on_exhausted.clone(),
        clip: given.clip.clone(),
        seeds: if given.seeds.is_empty() { vec![given.seed] } else { given.seeds.clone() },
        recipe: given.recipe,
        judges: given.judges.clone(),
        judge_checks: given.judge_checks.clone(),
        judge_timeout: Duration::from_secs(given.judge_timeout),
        show: given.show,
        out: given.out.clone(),
        baseline: given.baseline.clone().filter(|_| !given.update),
        progress,
    }
}

/// Prints and writes the report; fails if its figures are wrong or worse than the baseline.
fn finish(arguments: &EvalArguments, report: &Report) -> anyhow::Result<()> {
    if let Some(path) = &arguments.json {
        output::file(path, &serde_json::to_vec(report)?)?;
    }
    if let Some(folder) = &arguments.out {
        report.write(folder)?;
    }
    output::tables(report)?;
    if let Some(path) = &arguments.baseline {
        let changes = baseline::changes(report, path, arguments.update)?;
        changes.iter().for_each(output::note);
        baseline::settle(report, path, &changes, arguments.update)?;
    }
    Ok(baseline::confirmed(report)?)
}
