//! `bundle inspect`, `check`, `pin` and `price`: what a bundle is, whether it runs with a model, for which models it is, and what a
//! text would cost.

use crate::{flags::GuardArguments, output};
use clap::Args;
use inferenceguard_catalog::bundles::{self, Fallback};
use inferenceguard_chat::prompt;
use inferenceguard_console::{bundle::describe, price};
use inferenceguard_workshop::bundle;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The bundle's folder or file; the demonstration's if not given
    bundle: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows a bundle.
pub(super) fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let opened = bundles::open(arguments.bundle.as_deref(), Fallback::Plain)?;
    if arguments.json { output::json(&bundle::object(&opened)) } else { output::result(describe(&opened)) }
}

/// What is asked if nothing else is named.
const PROMPT: &str = "How do I clean a kitchen knife?";

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// The prompt of the trial
    #[arg(long, default_value = PROMPT)]
    prompt: String,
}

/// Loads the bundle, runs it once, and shows what its components see and may do.
pub(super) fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    output::result(bundle::check(&arguments.guard.choice(), &arguments.prompt)?)
}

#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    #[command(flatten)]
    guard: GuardArguments,
}

/// Loads the bundle with the models, and writes their digests into its manifest.
pub(super) fn pin(arguments: &PinArguments) -> anyhow::Result<()> {
    let pinned = bundle::pin(&arguments.guard.choice())?;
    if let Some(path) = &arguments.guard.bundle {
        output::result(path.display())?;
    }
    output::result(pinned)
}

#[derive(Debug, Args)]
pub(crate) struct PriceArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// The text's prompt
    #[arg(long, default_value = PROMPT)]
    prompt: String,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// The text; - reads it from the standard input
    text: String,
}

/// Shows what a text would cost.
pub(super) fn price(arguments: &PriceArguments) -> anyhow::Result<()> {
    let text = prompt(&arguments.text)?;
    let lines = bundle::price(&arguments.guard.choice(), &arguments.prompt, &text)?;
    if arguments.json { output::json(&serde_json::json!(lines)) } else { output::result(price::table(&lines)) }
}
