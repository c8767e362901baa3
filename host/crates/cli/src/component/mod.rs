//! `component new`, `build`, `encode` and `check`; `shown` has `inspect`, `list` and `export`.

mod shown;

use crate::output;
use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use inferenceguard_catalog::{cache, embedded};
use inferenceguard_componentize::{self as componentize, Build, Role};
use inferenceguard_console::{
    component::{describe, lines},
    escape,
};
use inferenceguard_sandbox::{Limits, Sandbox};
use shown::ExportArguments;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ComponentCommand {
    /// Writes the crate of a new component
    New(NewArguments),
    /// Compiles a component's crate and checks the result
    Build(BuildArguments),
    /// Makes a component out of a core module that another compiler built for a world of the contract
    Encode(EncodeArguments),
    /// Checks a component: contract, imports, and that it answers the same twice
    Check(CheckArguments),
    /// Shows what a component is, what it reads and which settings it takes, with an example
    Inspect(FileArguments),
    /// Lists the components that the program carries
    List,
    /// Writes components that the program carries into a folder, for bundles that other programs open
    Export(ExportArguments),
}

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// Its name: lower-case letters, digits and dashes
    name: String,
    /// policy, tracker, critic, cost or steering
    #[arg(long)]
    role: String,
    /// The folder to write; ./NAME if not given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The SDK's folder (`guest`); looked for above the current folder and the program if not given
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArguments {
    /// The crate's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The file to write; DIR/PACKAGE.wasm if not given
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EncodeArguments {
    /// The core module, with the world's metadata in it: what compiling and linking wit-bindgen's output gives
    module: PathBuf,
    /// The file to write
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// A component's file, or the name of a first-party component
    component: String,
    /// A limit as in a bundle's `[limits]`, such as fuel=1000000000; may be repeated
    #[arg(long = "limit", value_name = "NAME=VALUE")]
    limits: Vec<String>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FileArguments {
    /// A component's file, or the name of a first-party component
    component: String,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// `component …`.
pub(crate) fn command(command: &ComponentCommand) -> anyhow::Result<()> {
    match command {
        ComponentCommand::New(arguments) => new(arguments),
        ComponentCommand::Build(arguments) => build(arguments),
        ComponentCommand::Encode(arguments) => encode(arguments),
        ComponentCommand::Check(arguments) => check(arguments),
        ComponentCommand::Inspect(arguments) => shown::inspect(&arguments.component, arguments.json),
        ComponentCommand::List => shown::list(),
        ComponentCommand::Export(arguments) => shown::export(arguments),
    }
}

/// Writes the crate of a new component.
fn new(arguments: &NewArguments) -> anyhow::Result<()> {
    let role: Role = arguments.role.parse().map_err(|message: String| anyhow!(message))?;
    let dir = arguments.dir.clone().unwrap_or_else(|| PathBuf::from(&arguments.name));
    let sdk = match &arguments.sdk {
        Some(sdk) => sdk.clone(),
        None => componentize::find_sdk()
            .context("the SDK was not found; name its folder (`guest` of the project) with --sdk")?,
    };
    componentize::scaffold(&dir, &arguments.name, role, &sdk)?;
    output::note(format_args!("next: inferguard component build {}", dir.display()));
    output::result(dir.display())
}

/// Compiles a component's crate and describes the result.
fn build(arguments: &BuildArguments) -> anyhow::Result<()> {
    let crate_dir = arguments.dir.clone();
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => crate_dir.join(format!("{}.wasm", package(&crate_dir)?)),
    };
    let target_dir = std::path::absolute(crate_dir.join("target")).context("the target directory")?;
    let built = Build { crate_dir, target_dir, out }.run()?;
    output::note(describe(&built.inspection));
    output::result(built.path.display())
}

fn package(dir: &Path) -> anyhow::Result<String> {
    let path = dir.join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("{}: a component's crate has one", path.display()))?;
    let manifest: toml::Table = text.parse().with_context(|| format!("{}: malformed", path.display()))?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    Ok(name.with_context(|| format!("{}: no package name", path.display()))?.to_owned())
}

/// Makes a component out of a core module.
fn encode(arguments: &EncodeArguments) -> anyhow::Result<()> {
    let name = || arguments.module.display().to_string();
    let module = fs::read(&arguments.module).with_context(|| format!("{}: cannot be read", name()))?;
    let component = componentize::encode(&module).with_context(name)?;
    let inspection = componentize::inspect(&component).with_context(name)?;
    output::file(&arguments.out, &component)?;
    output::note(describe(&inspection));
    output::result(arguments.out.display())
}

/// Runs every function of a component twice on made-up rows.
fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let bytes = embedded::read_component(&arguments.component)?;
    let found = componentize::inspect(&bytes).with_context(|| arguments.component.clone())?;
    let sandbox = Sandbox::new(limits(&arguments.limits)?, cache().as_deref())?;
    let report = sandbox.check(&arguments.component, &bytes, &BTreeMap::new())?;
    if let Some(call) = report.calls.iter().find(|call| call.is_failed()) {
        let result = escape::line(&call.result);
        bail!("{}: `{}` fails on made-up rows: {result}", arguments.component, call.function);
    }
    if !report.needs.networks.is_empty() {
        let networks = report.needs.networks.join(", ");
        output::note(format_args!(
            "it opens networks that only a bundle has ({networks}); without them it has no answers"
        ));
    }
    if arguments.json {
        return output::json(&report);
    }
    output::result(escape::lines(lines(&report, &found)))
}

/// The limits of a bundle that sets only these, `NAME=VALUE` each; with memory for the few instances of a check.
fn limits(given: &[String]) -> anyhow::Result<Limits> {
    let plain = Limits { instances: 8, ..Limits::default() };
    let mut table = toml::Table::try_from(plain)?;
    for limit in given {
        let wrong = || format!("--limit {limit}: expected NAME=VALUE as in `[limits]`, such as fuel=1000000000");
        let (name, value) = limit.split_once('=').with_context(wrong)?;
        let value: i64 = value.trim().parse().with_context(wrong)?;
        table.insert(name.trim().to_owned(), value.into());
    }
    table.try_into().context("--limit")
}
