//! `completions` and `man`: what shells and their users read about this program.

use crate::output;
use anyhow::Context;
use clap::{Args, Command};
use clap_complete::Shell;
use std::{fs, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The folder to write, such as ~/.local/share/man/man1
    dir: PathBuf,
}

/// Prints the completions of a shell.
pub(crate) fn completions(arguments: &CompletionsArguments, mut program: Command) -> anyhow::Result<()> {
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    clap_complete::generate(arguments.shell, &mut program, name, &mut script);
    output::part(&String::from_utf8(script)?)
}

/// Writes a page for the program and for each of its commands.
pub(crate) fn man(arguments: &ManArguments, program: Command) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    clap_mangen::generate_to(program, dir).with_context(|| dir.display().to_string())?;
    output::result(dir.display())
}
