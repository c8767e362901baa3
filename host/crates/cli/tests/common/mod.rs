//! Runs the program as a user would.
#![allow(dead_code, reason = "not every test file runs the program in every way")]

pub(crate) mod served;
pub(crate) mod stand_ins;

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one JSON object on stdout.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        let value: Value = serde_json::from_str(&self.stdout).expect("exactly one JSON value on stdout");
        assert!(value.is_object(), "{value}");
        value
    }

    /// Asserts an orderly failure: exit code 1, nothing on stdout, these words on stderr, no panic.
    pub(crate) fn refuses(&self, words: &str) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(1), ""), "{}", self.stderr);
        // A slow machine also reads how far the work is.
        let first = self.stderr.lines().find(|line| !line.starts_with("... "));
        assert!(first.is_some_and(|line| line.starts_with("error: ")), "{}", self.stderr);
        assert!(self.stderr.contains(words), "{:?} is not in {:?}", words, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The program with these arguments. A server listens at free ports unless they name others.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_inferguard"));
    command.args(arguments).env("HF_HUB_OFFLINE", "1");
    if arguments.first() == Some(&"serve") {
        let named = |options: &[&str]| arguments.iter().any(|one| options.contains(one));
        if !named(&["--listen", "--host", "--port"]) {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        if !named(&["--admin-listen", "--no-admin"]) {
            command.args(["--admin-listen", "127.0.0.1:0"]);
        }
    }
    command
}

pub(crate) fn run(arguments: &[&str]) -> Ran {
    command(arguments).output().expect("the program starts").into()
}

/// Asserts that a run succeeded.
#[track_caller]
pub(crate) fn succeeds(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// The text of a file.
#[track_caller]
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The JSON of a file.
#[track_caller]
pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A small model of the tests, by name.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden").join(name)
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A copy of a golden folder that may be damaged.
pub(crate) fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(golden(name)).expect("a golden folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("a copy");
    }
    folder
}
