//! The arguments of commands about records.

use crate::args::GuardArguments;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Files of records
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Refuses records that this key (its public half) did not sign; may be repeated, then one of them
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,
    /// Prints one JSON object per file
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    pub(crate) guard: GuardArguments,
    /// A server's folder (`serve --state`) where the bundles that decided may be found
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Also lets the model read every answer again, and the costs price it from scratch
    #[arg(long)]
    pub(crate) with_model: bool,
    /// A file of records
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The number of a record; all if not given
    #[arg(long, short)]
    pub(crate) record: Option<u64>,
    /// The model that answered, for the spelling of its tokens; the demonstration's if not given
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) model: Option<String>,
    /// Prints one JSON object per record
    #[arg(long)]
    pub(crate) json: bool,
    /// A file of records
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ForgetArguments {
    /// Keeps the prompts and answers of so many days; 0 keeps none
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep: u64,
    /// Files of records that nobody writes to
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}
