//! `bundle calibrate`: what budgets do, for this model and this bundle.

use crate::{flags::GuardArguments, output, progress::under_bar};
use clap::Args;
use indicatif::ProgressBar;
use inferenceguard_trials::calibrate::{self, CalibrateOptions};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct CalibrateArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// Prompts as `eval` reads them; the demonstration's validation split if not given
    #[arg(long, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// The most prompts
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// Whose budget is tried, by the name in `[[constraints]]`; the only one's if not given
    #[arg(long)]
    constraint: Option<String>,
    /// The budgets to try
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,20,50,100")]
    budgets: Vec<f64>,
    /// The share of harmless prompts that may be refused: 0.01 is one in a hundred
    #[arg(long, default_value_t = 0.01)]
    refusals: f64,
    /// A folder for the table and the plot
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Asks every prompt under every budget, shows the curve, and suggests a budget.
pub(super) fn calibrate(arguments: &CalibrateArguments) -> anyhow::Result<()> {
    let calibrated = |bar: &ProgressBar| {
        calibrate::calibrate(&CalibrateOptions {
            choice: arguments.guard.choice(),
            prompts: arguments.prompts.clone(),
            limit: arguments.limit,
            constraint: arguments.constraint.clone(),
            budgets: arguments.budgets.clone(),
            refusals: arguments.refusals,
            progress: bar.clone(),
        })
    };
    let curve = under_bar("{bar:32} {pos}/{len} {eta}", calibrated)?;
    if let Some(folder) = &arguments.out {
        calibrate::write(&curve, folder)?;
    }
    arguments.guard.choice().whose_model().into_iter().for_each(output::note);
    output::tables(&curve)
}
