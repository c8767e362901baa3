//! The only place that prints: results to stdout, messages to stderr, and files, whole or not at all. Characters that a terminal
//! would obey are escaped.

use anyhow::Context;
use inferenceguard_console::escape;
#[cfg(feature = "evaluation")]
use inferenceguard_console::tables;
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

/// Shows why the command failed: the error, then each cause that the line above does not hold already.
pub(crate) fn report(error: &anyhow::Error) {
    let mut shown = error.to_string();
    // Lines of a message are indented, so that quoted lines cannot look like messages.
    let indented = |text: &str| text.trim_end().replace('\n', "\n    ");
    note(format_args!("error: {}", indented(&shown)));
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !shown.contains(&cause) {
            note(format_args!("  because: {}", indented(&cause)));
        }
        shown = cause;
    }
}

/// Whether the reader of stdout closed it, as `head` does. That is no error.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}

/// Writes a file whole or not at all.
pub(crate) fn file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = temporary(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().with_context(|| format!("{} could not be written", path.display()))
}

/// A temporary file with the usual rights, not only for its owner.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}
