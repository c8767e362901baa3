//! `inferguard`: guarded generation on the command line.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 answered or refused safely, 1 an error or a failed
//! request (status `failed`), 2 usage.
//! Log lines of components go to stderr, from level `warn` on; `INFERGUARD_LOG` sets another level (`debug`).
//!
//! Each command has a file or folder of its own, with its arguments. Options that several commands share lie in `flags`; only
//! `output` prints. What commands do is in libraries: models and bundles by name in `catalog`, the server's process in `service`,
//! conversations in `chat`, bundles and components in `workshop`, evaluations and benches in `trials`, critics and costs in
//! `training`, records in `replay`, registries in `registry`, and texts for people in `console`.

// Doc comments of arguments are the text of `--help`, not Markdown.
#![allow(rustdoc::broken_intra_doc_links, reason = "brackets in a help text are no links")]

#[cfg(feature = "evaluation")]
mod bench;
mod bundle;
mod chat;
mod component;
#[cfg(feature = "training")]
mod cost;
#[cfg(feature = "training")]
mod critic;
#[cfg(feature = "evaluation")]
mod eval;
mod flags;
mod model;
mod output;
mod probe;
mod progress;
mod prompt;
mod records;
mod run;
mod serve;
mod shell;
#[cfg(feature = "evaluation")]
mod simulate;
#[cfg(feature = "training")]
mod train;

#[cfg(feature = "evaluation")]
use bench::BenchArguments;
use bundle::BundleCommand;
use chat::ChatArguments;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use component::ComponentCommand;
#[cfg(feature = "evaluation")]
use eval::EvalArguments;
use inferenceguard_console::help;
use inferenceguard_server::REQUEST_SPANS;
use inferenceguard_telemetry::Spans;
use model::ModelCommand;
use probe::ProbeArguments;
use records::{ExplainArguments, ForgetArguments, ReplayArguments, VerifyArguments};
use run::RunArguments;
use serve::ServeArguments;
use shell::{CompletionsArguments, ManArguments};
#[cfg(feature = "evaluation")]
use simulate::SimulateArguments;
use std::process::ExitCode;
#[cfg(feature = "training")]
use train::TrainCommand;

/// Puts a budget on what a language model may say: components in a sandbox price every token, and only what they allow is written.
#[derive(Debug, Parser)]
#[command(name = "inferguard", version, about, after_help = help::GLOSSARY)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers a prompt under guard
    Run(Box<RunArguments>),
    /// Talks with a model under guard, turn by turn
    Chat(Box<ChatArguments>),
    /// Serves guarded answers over HTTP, for OpenAI's clients
    Serve(Box<ServeArguments>),
    #[cfg(feature = "evaluation")]
    /// Answers many prompts with and without guard, by several methods and models, and prints a table; with --out also a report
    Eval(Box<EvalArguments>),
    #[cfg(feature = "evaluation")]
    /// Measures how fast answers are, beside what the hardware allows and beside other programs
    Bench(Box<BenchArguments>),
    #[cfg(feature = "evaluation")]
    /// Computes from measured times how many answers a second many servers of models would give
    Simulate(SimulateArguments),
    #[cfg(feature = "training")]
    /// Trains what bundles read: costs from labelled answers, critics, the models of the demonstration
    #[command(subcommand)]
    Train(TrainCommand),
    /// Makes, checks, signs and activates bundles: what is guarded against, and how
    #[command(subcommand)]
    Bundle(BundleCommand),
    /// Checks records of answers: that none was changed or removed, and that the costs of each answer add up to its status
    Verify(VerifyArguments),
    /// Decides recorded answers again, and compares with what was decided
    #[command(mut_arg("n", |arg| arg.help("The number of `serve --n`, if the server had one: it makes another bundle")))]
    Replay(Box<ReplayArguments>),
    /// Explains recorded answers: what was dropped and why, what was found, and where the budget went
    Explain(Box<ExplainArguments>),
    /// Removes prompts and answers from old records, which still verify
    Forget(ForgetArguments),
    /// Shows what a model computes at every token of a text: likely next tokens, scores, hidden states
    Probe(ProbeArguments),
    /// Checks models, and fetches, lists and removes those of the hub
    #[command(subcommand)]
    Model(ModelCommand),
    /// Makes, checks and lists components, the plugins of bundles that price, search and decide
    #[command(subcommand)]
    Component(ComponentCommand),
    /// Prints what a shell needs to complete the commands of this program
    Completions(CompletionsArguments),
    /// Writes the manual pages of all commands into a folder
    Man(ManArguments),
}

fn main() -> ExitCode {
    let matches = folded(Arguments::command()).get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match begin(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report(&error);
            ExitCode::FAILURE
        }
    }
}

/// A command whose help fits 80 columns.
fn folded(command: clap::Command) -> clap::Command {
    let about = command.get_about().map(|text| help::folded(&text.to_string(), help::COMMANDS));
    let command = if let Some(text) = about { command.about(text) } else { command };
    let below = !command.has_subcommands();
    let command = command.next_line_help(below).mut_args(|arg| {
        let text = arg.get_help().map(|text| help::folded(&text.to_string(), help::OPTIONS));
        if let Some(text) = text { arg.help(text) } else { arg }
    });
    command.mut_subcommands(folded)
}

fn begin(command: Command) -> anyhow::Result<()> {
    // A server handles signals before anything else, and then starts its own telemetry.
    let is_server = matches!(command, Command::Serve(_));
    let _telemetry =
        if is_server { None } else { Some(inferenceguard_telemetry::begin(Spans::None, REQUEST_SPANS, "warn")?) };
    dispatch(command)
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Chat(arguments) => chat::chat(&arguments),
        Command::Completions(arguments) => shell::completions(&arguments, Arguments::command()),
        Command::Man(arguments) => shell::man(&arguments, Arguments::command()),
        Command::Verify(arguments) => records::verify(&arguments),
        Command::Replay(arguments) => records::replay(&arguments),
        Command::Explain(arguments) => records::explain(&arguments),
        Command::Forget(arguments) => records::forget(&arguments),
        Command::Serve(arguments) => serve::serve(*arguments),
        #[cfg(feature = "evaluation")]
        Command::Eval(arguments) => eval::run(&arguments),
        #[cfg(feature = "evaluation")]
        Command::Bench(arguments) => bench::run(&arguments),
        #[cfg(feature = "evaluation")]
        Command::Simulate(arguments) => simulate::run(&arguments),
        #[cfg(feature = "training")]
        Command::Train(command) => train::command(&command),
        Command::Bundle(command) => bundle::command(&command),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Model(command) => model::command(&command),
        Command::Component(command) => component::command(&command),
    }
}
