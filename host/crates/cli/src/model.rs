//! `model check`: what a model folder holds. `model probe`: by what the model is recognised in an engine.

use crate::{
    flags::{DeviceArguments, EngineArguments, Named, one_of},
    output,
};
use clap::{Args, Subcommand};
use inferenceguard_candle::{Fact, Facts};
use inferenceguard_catalog::{
    Choice, inspect,
    remote::{ProbeKind, probe_of},
};
use inferenceguard_console::escape;
use serde_json::Value;
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
    /// Writes a probe of a model, by which `--probe` recognises it in an engine
    Probe(Box<ProbeArguments>),
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArguments {
    /// A Hugging Face folder, a GGUF file, or an id: org/name[@revision][:FILE.gguf]
    #[arg(value_name = "DIR|ID")]
    model: String,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What is recognised by it
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
    #[arg(value_name = "DIR|ID")]
    model: String,
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
        ModelCommand::Probe(arguments) => probe(arguments),
    }
}

/// Loads the model, runs one word, and shows what the model is.
fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let (report, facts) = inspect(&arguments.model, &arguments.device.loading())?;
    print(report, &facts, arguments.json)
}

/// Lets the model write a few answers, and keeps their log-probabilities.
fn probe(arguments: &ProbeArguments) -> anyhow::Result<()> {
    let choice = Choice {
        model: Some(arguments.model.clone()),
        scores: Vec::new(),
        bundle: None,
        n: None,
        loading: arguments.device.loading(),
        engines: arguments.engines.options(),
    };
    output::file(&arguments.out, probe_of(&choice, arguments.kind)?.to_json().as_bytes())
}

fn print(mut report: Value, facts: &Facts, json: bool) -> anyhow::Result<()> {
    if json {
        report["facts"] = serde_json::to_value(facts.taken())?;
        return output::json(&report);
    }
    let lines = report.as_object().into_iter().flatten();
    let mut lines: Vec<String> = lines.map(|(name, value)| format!("{name:<12} {}", plain(value))).collect();
    lines.extend(facts.taken().iter().map(sourced));
    output::result(escape::lines(lines))
}

/// A fact, and the files that state it.
fn sourced(fact: &Fact) -> String {
    let from = if fact.from.is_empty() { "no file says".to_owned() } else { fact.from.join(", ") };
    format!("{:<12} {}  ({from})", fact.name, fact.value)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
