//! `inferguard`: guarded generation on the command line.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 answered or refused safely, 1 an error or a failed
//! request (status `failed`), 2 usage.
//! What components log goes to stderr too, warnings and worse unless `INFERGUARD_LOG` says otherwise (`debug`).
//! The only crate that chooses a back end, and the only one that touches the network (for `--model org/name`).

// Doc comments of arguments are the text of `--help`, not Markdown.
#![allow(rustdoc::broken_intra_doc_links, reason = "brackets in a help text are no links")]

mod args;
mod bench;
mod bundle;
mod component;
mod critic;
mod embedded;
mod engine;
mod eval;
mod hub;
mod model;
mod output;
mod probe;
mod records;
mod run;
mod serve;
mod show;
mod signals;
mod telemetry;
mod templates;
mod terminal;
mod train;
mod watch;

use args::{Command, ComponentCommand, ModelCommand, TrainCommand};
use clap::Parser;
use std::process::ExitCode;
use telemetry::Spans;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    match begin(arguments.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn begin(command: Command) -> anyhow::Result<()> {
    // A server answers signals before it does anything else, and begins its own.
    let own = matches!(command, Command::Serve(_));
    let _telemetry = if own { None } else { Some(telemetry::begin(Spans::None)?) };
    dispatch(command)
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Verify(arguments) => records::verify(&arguments),
        Command::Replay(arguments) => records::replay(&arguments),
        Command::Explain(arguments) => records::explain(&arguments),
        Command::Forget(arguments) => records::forget(&arguments),
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Train(TrainCommand::Demo(arguments)) => train::demo(&arguments),
        Command::Train(TrainCommand::Critic(arguments)) => critic::run(&arguments),
        Command::Bundle(command) => bundle::command(&command),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Model(ModelCommand::Check(arguments)) => model::check(&arguments),
        Command::Component(ComponentCommand::New(arguments)) => component::new(&arguments),
        Command::Component(ComponentCommand::Build(arguments)) => component::build(&arguments),
        Command::Component(ComponentCommand::Encode(arguments)) => component::encode(&arguments),
        Command::Component(ComponentCommand::Check(arguments)) => component::check(&arguments),
        Command::Component(ComponentCommand::Inspect(arguments)) => component::inspect(&arguments),
    }
}
