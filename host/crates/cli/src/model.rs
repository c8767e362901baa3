//! `model check`: what a model folder holds.

use crate::{flags::DeviceArguments, output};
use clap::{Args, Subcommand};
use inferenceguard_candle::{Fact, Facts};
use inferenceguard_catalog::inspect;
use inferenceguard_console::escape;
use serde_json::Value;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Loads a model, runs one word, and shows what it is
    Check(CheckArguments),
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
    }
}

/// Loads the model, runs one word, and shows what the model is.
fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let (report, facts) = inspect(&arguments.model, &arguments.device.loading())?;
    print(report, &facts, arguments.json)
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
