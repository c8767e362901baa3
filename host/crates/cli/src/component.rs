//! `component`: makes, checks and shows components.

use crate::output;
use clap::{Args, Subcommand};
use inferenceguard_console::component::describe;
use inferenceguard_workshop::component;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ComponentCommand {
    /// Writes the crate of a new component
    New(NewArguments),
    /// Compiles a component's crate and checks the result
    Build(BuildArguments),
    /// Makes a component out of a WebAssembly module that another compiler built, such as one of C
    Encode(EncodeArguments),
    /// Checks a component: that it keeps the contract, asks for nothing it may not have, and answers the same twice
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
    /// What it does: cost (prices tokens), policy (decides what to sample and keep), tracker (adds up costs), critic (foresees how
    /// an answer ends) or steering (changes hidden states of the model)
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

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// The component; with --all the folder to write
    #[arg(value_name = "NAME|DIR")]
    what: String,
    /// The folder to write
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    dir: Option<PathBuf>,
    /// Writes all components
    #[arg(long)]
    all: bool,
}

/// `component …`.
pub(crate) fn command(command: &ComponentCommand) -> anyhow::Result<()> {
    match command {
        ComponentCommand::New(arguments) => new(arguments),
        ComponentCommand::Build(arguments) => build(arguments),
        ComponentCommand::Encode(arguments) => encode(arguments),
        ComponentCommand::Check(arguments) => check(arguments),
        ComponentCommand::Inspect(arguments) => inspect(arguments),
        ComponentCommand::List => output::result(component::list()?),
        ComponentCommand::Export(arguments) => export(arguments),
    }
}

fn new(arguments: &NewArguments) -> anyhow::Result<()> {
    let NewArguments { name, role, dir, sdk } = arguments;
    let dir = component::new(name, role, dir.as_deref(), sdk.as_deref())?;
    output::note(format_args!("next: inferguard component build {}", dir.display()));
    output::result(dir.display())
}

fn build(arguments: &BuildArguments) -> anyhow::Result<()> {
    let built = component::build(&arguments.dir, arguments.out.as_deref())?;
    output::note(describe(&built.inspection));
    output::result(built.path.display())
}

fn encode(arguments: &EncodeArguments) -> anyhow::Result<()> {
    output::note(describe(&component::encode(&arguments.module, &arguments.out)?));
    output::result(arguments.out.display())
}

fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let checked = component::check(&arguments.component, &arguments.limits)?;
    checked.note().into_iter().for_each(output::note);
    if arguments.json { output::json(&checked.report) } else { output::result(checked.words()) }
}

fn inspect(arguments: &FileArguments) -> anyhow::Result<()> {
    let inspected = component::inspect(&arguments.component)?;
    inspected.note().into_iter().for_each(output::note);
    if arguments.json { output::json(&inspected.json()) } else { output::result(inspected.words()) }
}

fn export(arguments: &ExportArguments) -> anyhow::Result<()> {
    let ExportArguments { what, dir, all } = arguments;
    let dir = dir.clone().unwrap_or_else(|| PathBuf::from(what));
    for one in component::exports((!all).then_some(what.as_str()), &dir)? {
        output::result(one.write()?.display())?;
    }
    Ok(())
}
