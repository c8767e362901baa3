//! `model check`: what a model folder holds. `model probe`: a probe file that the model of an engine must match. `model pull`,
//! `list` and `remove`: the models of the hub on this machine.

use crate::{
    flags::{DeviceArguments, EngineArguments, Named, one_of},
    output,
};
use clap::{Args, Subcommand};
use inferenceguard_catalog::{Choice, ProbeKind, hub, inspect, remote::probe_of};
use inferenceguard_console::escape;
use std::path::PathBuf;

/// What a probe is made of.
const KINDS: &[Named<ProbeKind>] = &[
    ("language", "Log-probabilities of a language model", ProbeKind::Language),
    ("latents", "Latents of a language model, for the servers of --latents", ProbeKind::Latents),
    ("score", "Scores of a score model", ProbeKind::Score),
];

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Loads a model, runs one word, and shows what it is
    Check(CheckArguments),
    /// Fetches a model from the Hugging Face hub, so that it is there when it is needed
    Pull(IdArguments),
    /// Shows the models fetched from the hub, and their sizes
    #[command(visible_alias = "ls")]
    List,
    /// Removes a model that was fetched from the hub
    #[command(visible_alias = "rm")]
    Remove(IdArguments),
    /// Writes a probe of a model, by which `--probe` recognises it in an engine
    Probe(Box<ProbeArguments>),
}

#[derive(Debug, Args)]
pub(crate) struct IdArguments {
    /// The model's id: org/name; pull also takes org/name[@revision][:FILE.gguf]
    #[arg(value_name = "ID")]
    model: String,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]
    #[arg(value_name = "DIR|ID")]
    model: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What the probe identifies: language model, latents or scores
    #[arg(long, default_value = "language", value_parser = one_of(KINDS))]
    kind: ProbeKind,
    #[command(flatten)]
    device: DeviceArguments,
    #[command(flatten)]
    engines: EngineArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]
    #[arg(value_name = "DIR|ID", required_unless_present = "named")]
    model: Option<String>,
    /// The same, as other commands take it
    #[arg(long = "model", value_name = "DIR|ID", conflicts_with = "model")]
    named: Option<String>,
    #[command(flatten)]
    device: DeviceArguments,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// `model …`.
pub(crate) fn command(command: &ModelCommand) -> anyhow::Result<()> {
    match command {
        ModelCommand::Check(arguments) => check(arguments),
        ModelCommand::Pull(arguments) => pull(&arguments.model),
        ModelCommand::List => list(),
        ModelCommand::Remove(arguments) => remove(&arguments.model),
        ModelCommand::Probe(arguments) => probe(arguments),
    }
}

/// Fetches a model, and shows where it lies.
fn pull(model: &str) -> anyhow::Result<()> {
    let path = hub::folder(model, |text| output::note(text))?;
    output::result(path.display())
}

/// Shows the models in the hub's cache.
fn list() -> anyhow::Result<()> {
    let all = hub::cached_models()?;
    if all.is_empty() {
        output::note("no model was fetched yet; `inferguard model pull ID` fetches one");
    }
    all.iter().try_for_each(|one| output::result(escape::line(&one.to_string())))
}

/// Removes a model from the hub's cache.
fn remove(model: &str) -> anyhow::Result<()> {
    let bytes = hub::remove(model)?;
    output::result(format_args!("{model} removed, {}", hub::megabytes(bytes)))
}

/// Loads the model, runs one word, and shows what the model is.
fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let model = arguments.model.as_ref().or(arguments.named.as_ref());
    let report = inspect(model.map_or("", String::as_str), &arguments.device.loading())?;
    if arguments.json { output::json(&report.json()) } else { output::result(escape::lines(report.lines())) }
}

/// Lets the model write a few answers, and keeps their log-probabilities.
fn probe(arguments: &ProbeArguments) -> anyhow::Result<()> {
    let choice = Choice::of_model(&arguments.model, arguments.device.loading(), arguments.engines.options());
    output::file(&arguments.out, probe_of(&choice, arguments.kind)?.as_bytes())
}
