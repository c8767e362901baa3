//! How large files, pages and the program may be.

use super::{none, rust_files, text};

/// The most lines of the program, about 60 for each of its commands: what they do lies in libraries.
const PROGRAM_LINES: usize = 2500;

/// The most bytes of the README: a reader should see all of it in a minute.
const README_BYTES: usize = 8000;

#[test]
fn no_rust_file_is_too_long() {
    let long = rust_files().into_iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, n)| *n > 600);
    none(long.map(|(path, n)| format!("{path}: {n} lines; split it, 600 is the limit")).collect());
}

#[test]
fn the_program_is_small() {
    let program = rust_files().into_iter().filter(|(path, _)| path.starts_with("host/crates/cli/src/"));
    let lines: usize = program.map(|(_, text)| text.lines().count()).sum();
    assert!(lines > 100, "the program is gone: only {lines} lines found");
    assert!(
        lines <= PROGRAM_LINES,
        "host/crates/cli/src: {lines} lines; move logic into libraries, {PROGRAM_LINES} is the limit"
    );
}

#[test]
fn the_readme_is_short() {
    let bytes = text("README.md").len();
    assert!(
        bytes <= README_BYTES,
        "README.md: {bytes} bytes; {README_BYTES} is the limit, move the rest to a page of `host`"
    );
}
