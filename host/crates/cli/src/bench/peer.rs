//! Other programs, measured in the same run on the same weights.

use super::{arguments::BenchArguments, measure::Row, shape::Folders};
use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::{path::Path, process::Command};

/// What a peer printed, beside the row it is compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PeerRow {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) n: u32,
    pub(crate) prompt_tokens: usize,
    pub(crate) seconds_per_prompt: f64,
    /// Its seconds over ours.
    pub(crate) times_ours: f64,
    /// Everything it said.
    pub(crate) said: serde_json::Value,
}

impl PeerRow {
    /// What it said of itself.
    pub(crate) fn told(&self, name: &str) -> &str {
        self.said.get(name).and_then(serde_json::Value::as_str).unwrap_or("not said")
    }
}

/// As many as our own kernels use.
fn rayon_threads() -> usize {
    let told = std::env::var("RAYON_NUM_THREADS").ok().and_then(|told| told.parse().ok()).filter(|n| *n > 0);
    told.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

#[derive(Deserialize)]
struct Said {
    seconds_per_prompt: f64,
}

/// Measures the peer `NAME=COMMAND` on the same case as one of our rows. The methods it knows are its own business.
pub(crate) fn run(peer: &str, row: &Row, folders: &Folders, arguments: &BenchArguments) -> anyhow::Result<PeerRow> {
    let Some((name, command)) = peer.split_once('=') else { bail!("--peer {peer}: expected NAME=COMMAND") };
    let folder = |path: &Path| path.display().to_string();
    let given = [
        ("--model", folder(&folders.language)),
        ("--reward", folder(&folders.reward)),
        ("--cost", folder(&folders.cost)),
        ("--method", row.method.clone()),
        ("--n", row.n.to_string()),
        ("--prompt-tokens", row.prompt_tokens.to_string()),
        ("--depth", arguments.depth.to_string()),
        ("--dtype", arguments.device.precision.clone()),
        ("--device", arguments.device.device.clone()),
        ("--threads", rayon_threads().to_string()),
    ];
    // What the command says itself counts.
    let given = given.into_iter().filter(|(name, _)| !command.split_whitespace().any(|word| word == *name));
    let given: Vec<(&str, String)> = given.collect();
    let mut words = command.split_whitespace();
    let program = words.next().with_context(|| format!("--peer {peer}: names no program"))?;
    let mut process = Command::new(program);
    process.args(words).args(given.iter().flat_map(|(name, value)| [*name, value.as_str()]));
    let output = process.output().with_context(|| format!("--peer {name}: {program} did not start"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let newest = stderr.lines().last().unwrap_or_default();
    ensure!(output.status.success(), "--peer {name}: {}; its last line: {newest}", output.status);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("--peer {name}: expected one JSON object on its standard output"))?;
    let Said { seconds_per_prompt } = Said::deserialize(&said).with_context(|| format!("--peer {name}"))?;
    Ok(PeerRow {
        name: name.to_owned(),
        method: row.method.clone(),
        n: row.n,
        prompt_tokens: row.prompt_tokens,
        seconds_per_prompt,
        times_ours: seconds_per_prompt / row.seconds_per_prompt,
        said,
    })
}
