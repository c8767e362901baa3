//! `replay`: components decide recorded answers again; with a model, it reads them again.

use crate::{flags::GuardArguments, output};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// A server's folder (`serve --state`) where the bundles that decided may be found
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Also lets the model read every answer again, and the costs price it from scratch
    #[arg(long)]
    with_model: bool,
    /// A file of records
    file: PathBuf,
}

/// Replays every record of a file that has a body.
pub(crate) fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let ReplayArguments { guard, state, with_model, file } = arguments;
    let summary = inferenceguard_replay::replay(&guard.choice(), state.as_deref(), *with_model, file)?;
    output::result(format_args!("{}: {summary}", file.display()))
}
