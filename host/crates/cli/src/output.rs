//! The only place that prints: results to stdout, messages to stderr, and files, whole or not at all. Characters that a terminal
//! would obey are escaped.

use inferenceguard_catalog::write_file;
#[cfg(feature = "evaluation")]
use inferenceguard_console::tables;
use inferenceguard_console::{escape, failure};
use serde::Serialize;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

/// Writes a result to stdout, with a line break at its end.
pub(crate) fn result(text: impl std::fmt::Display) -> anyhow::Result<()> {
    part(&format!("{text}\n"))
}

/// Writes a text with Markdown tables to stdout, as columns that fit every terminal.
#[cfg(feature = "evaluation")]
pub(crate) fn tables(text: impl std::fmt::Display) -> anyhow::Result<()> {
    result(tables::fitted(&text.to_string(), tables::WIDTH))
}

/// Writes a part of a result to stdout.
pub(crate) fn part(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(escape::text(text).as_bytes())?;
    Ok(out.flush()?)
}

/// Writes one JSON value to stdout.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    result(escape::json(&serde_json::to_string(value)?))
}

/// Writes a message to stderr. A failure is ignored: there is no other place to report it.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", escape::text(&text.to_string()));
}

/// Writes what a person is to answer to stderr, without a line break.
pub(crate) fn ask(text: &str) {
    let mut err = io::stderr();
    let _ = err.write_all(escape::text(text).as_bytes()).and_then(|()| err.flush());
}

/// Whether a person at a terminal reads what is written to stderr.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Shows why the command failed.
pub(crate) fn report(error: &anyhow::Error) {
    failure::lines(&**error).into_iter().for_each(note);
}

/// Whether the reader of stdout closed it, as `head` does. That is not an error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}

/// Writes a file whole or not at all.
pub(crate) fn file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    Ok(write_file(path, bytes)?)
}
