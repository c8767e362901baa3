//! Other programs, measured in the same run on the same weights.

use super::{BenchOptions, measure::Row, shape::Folders};
use crate::TrialError;
use serde::{Deserialize, Serialize};
use std::{path::Path, process::Command};

/// What a peer measured, beside our row of the same case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeerRow {
    /// The peer's name.
    pub name: String,
    /// The method.
    pub method: String,
    /// Its number of candidates.
    pub n: u32,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Its seconds per prompt.
    pub seconds_per_prompt: f64,
    /// Its seconds over ours.
    pub times_ours: f64,
    /// The JSON object that it printed.
    pub printed: serde_json::Value,
}

impl PeerRow {
    /// Reads what the peer `name` printed on its standard output for the case of one of our rows.
    ///
    /// # Errors
    /// [`TrialError::PeerAnswer`] for something else than JSON; [`TrialError::Peer`] for something else than an object with a time
    /// above 0.
    pub fn read(name: &str, row: &Row, stdout: &[u8]) -> Result<Self, TrialError> {
        let wrong = |problem: String| TrialError::Peer { peer: name.to_owned(), problem };
        let no_json = |source| TrialError::PeerAnswer { peer: name.to_owned(), source };
        let printed: serde_json::Value = serde_json::from_slice(stdout).map_err(no_json)?;
        if !printed.is_object() {
            return Err(wrong("it printed JSON that is no object".to_owned()));
        }
        let Measured { seconds_per_prompt } =
            Measured::deserialize(&printed).map_err(|error| wrong(error.to_string()))?;
        let times_ours = seconds_per_prompt / row.seconds_per_prompt;
        if !(seconds_per_prompt > 0.0 && times_ours.is_finite()) {
            return Err(wrong(format!("found seconds_per_prompt = {seconds_per_prompt}; expected a time above 0")));
        }
        Ok(Self {
            name: name.to_owned(),
            method: row.method.clone(),
            n: row.n,
            prompt_tokens: row.prompt_tokens,
            seconds_per_prompt,
            times_ours,
            printed,
        })
    }

    /// A text that the peer printed about itself.
    pub(super) fn text(&self, name: &str) -> &str {
        self.printed.get(name).and_then(serde_json::Value::as_str).unwrap_or("not given")
    }
}

/// The number of threads that our own kernels use.
fn rayon_threads() -> usize {
    let set = std::env::var("RAYON_NUM_THREADS").ok().and_then(|number| number.parse().ok()).filter(|n| *n > 0);
    set.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// The part of a peer's JSON object that is required.
#[derive(Deserialize)]
struct Measured {
    seconds_per_prompt: f64,
}

/// Measures the peer `NAME=COMMAND` on the case of one of our rows.
pub(super) fn run(peer: &str, row: &Row, folders: &Folders, options: &BenchOptions) -> Result<PeerRow, TrialError> {
    let Some((name, command)) = peer.split_once('=') else {
        return Err(TrialError::Peer { peer: peer.to_owned(), problem: "expected NAME=COMMAND".to_owned() });
    };
    let wrong = |problem: String| TrialError::Peer { peer: name.to_owned(), problem };
    let no_program = || TrialError::Peer { peer: peer.to_owned(), problem: "names no program".to_owned() };
    let program = command.split_whitespace().next().ok_or_else(no_program)?;
    let output = process(command, row, folders, options).output();
    let output =
        output.map_err(|source| TrialError::PeerStart { peer: name.into(), program: program.into(), source })?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last = stderr.lines().last().unwrap_or_default();
        return Err(wrong(format!("{}; its last line: {last}", output.status)));
    }
    PeerRow::read(name, row, &output.stdout)
}

/// The peer's command with our options added, except those that the command names itself.
fn process(command: &str, row: &Row, folders: &Folders, options: &BenchOptions) -> Command {
    let folder = |path: &Path| path.display().to_string();
    let given = [
        ("--model", folder(&folders.language)),
        ("--reward", folder(&folders.reward)),
        ("--cost", folder(&folders.cost)),
        ("--method", row.method.clone()),
        ("--n", row.n.to_string()),
        ("--prompt-tokens", row.prompt_tokens.to_string()),
        ("--depth", options.depth.to_string()),
        ("--dtype", options.loading.precision.clone()),
        ("--device", options.loading.device.clone()),
        ("--threads", rayon_threads().to_string()),
    ];
    let mut words = command.split_whitespace();
    let mut process = Command::new(words.next().unwrap_or_default());
    process.args(words);
    for (name, value) in given {
        if !command.split_whitespace().any(|word| word == name) {
            process.args([name, value.as_str()]);
        }
    }
    process
}
