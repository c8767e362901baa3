//! Whole requests, timed, beside what the hardware allows and beside other programs.

mod measure;
mod models;
mod peer;
mod report;
mod shape;

pub use measure::Row;
pub use peer::PeerRow;
pub use report::{Growth, Machine, Report};
pub use shape::Shape;

use crate::TrialError;
use inferenceguard_candle::{Precision, Roofline};
use inferenceguard_catalog::{
    Loading, LoadingOptions,
    bundles::{self, Fallback},
};
use inferenceguard_model::with_causes;
use measure::Case;
use models::MeasuredModels;
use report::growth;
use shape::Folders;
use std::{
    path::{Path, PathBuf},
    thread,
};

/// The longest least time of a row, in seconds.
const DAY: f64 = 86_400.0;

/// What is measured.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// A folder, a GGUF file or a hub id; the demonstration model if `None`.
    pub model: Option<String>,
    /// `NAME=DIR`, each a score model.
    pub scores: Vec<String>,
    /// Random weights of this shape instead of a checkpoint.
    pub shape: Option<Shape>,
    /// The folder that keeps models of a shape; a temporary one if `None`.
    pub keep: Option<PathBuf>,
    /// How models are loaded.
    pub loading: LoadingOptions,
    /// The methods.
    pub methods: Vec<String>,
    /// Numbers of candidates.
    pub ns: Vec<u32>,
    /// Lengths of the prompt in tokens.
    pub prompt_tokens: Vec<usize>,
    /// Numbers of requests at the same time.
    pub concurrency: Vec<usize>,
    /// Tokens of each answer.
    pub depth: u32,
    /// The least time for each row, in seconds.
    pub seconds: f64,
    /// `NAME=COMMAND`, each another program.
    pub peers: Vec<String>,
}

/// Measures every row.
///
/// # Errors
/// Options that cannot be, models that cannot be loaded, and requests that fail. A peer that fails is left out with a note.
pub fn run(options: &BenchOptions) -> Result<Report, TrialError> {
    contestants(options)?;
    let load = Loading::new(&options.loading, None)?.language();
    let roofline = Roofline::measure(load.device, load.precision)?;
    let temporary = tempfile::tempdir().map_err(TrialError::Temporary)?;
    let folders = folders(options, temporary.path())?;
    let models = MeasuredModels::open(options, folders.as_ref())?;
    let rows = rows(options, &models, &roofline)?;
    let peers = peers(options, &rows, folders.as_ref());
    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine {
            device: options.loading.device.clone(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            bytes_per_second: roofline.bytes,
            flops_per_second: roofline.flops,
        },
        model: name(options),
        precision: options.loading.precision.clone(),
        depth: options.depth,
        growth: growth(&rows),
        rows,
        peers,
    })
}

/// Measures every peer on the rows without concurrency.
fn peers(options: &BenchOptions, rows: &[Row], folders: Option<&Folders>) -> Vec<PeerRow> {
    let mut peers = Vec::new();
    for (peer, row) in options.peers.iter().flat_map(|peer| rows.iter().map(move |row| (peer, row))) {
        if let (Some(folders), 1) = (folders, row.concurrency) {
            match peer::run(peer, row, folders, options) {
                Ok(measured) => peers.push(measured),
                Err(error) => {
                    let (method, n, error) = (&row.method, row.n, with_causes(&error));
                    (options.loading.note)(&format!("left out: {method} N = {n}, {error}"));
                }
            }
        }
    }
    peers
}

fn folders(options: &BenchOptions, temporary: &Path) -> Result<Option<Folders>, TrialError> {
    let Some(shape) = options.shape else { return given(options) };
    // A format that is made from f32 while the model loads is written as f32.
    let precision = match Loading::new(&options.loading, None)?.language().precision {
        Precision::Q8_0 => Precision::F32,
        other => other,
    };
    shape.write(options.keep.as_deref().unwrap_or(temporary), precision).map(Some)
}

/// The folders or files that the options name, if there is a peer to read them as well.
fn given(options: &BenchOptions) -> Result<Option<Folders>, TrialError> {
    if options.peers.is_empty() {
        return Ok(None);
    }
    let score = |name: &str| options.scores.iter().find_map(|score| score.strip_prefix(name)?.strip_prefix('='));
    let (Some(language), Some(reward), Some(cost)) = (options.model.as_deref(), score("reward"), score("cost")) else {
        return Err(TrialError::PeerModels);
    };
    let path = |name: &str| {
        let path = PathBuf::from(name);
        path.exists().then_some(path).ok_or_else(|| TrialError::PeerModelNotHere { name: name.to_owned() })
    };
    Ok(Some(Folders { language: path(language)?, reward: path(reward)?, cost: path(cost)? }))
}

fn name(options: &BenchOptions) -> String {
    match (&options.shape, &options.model) {
        (Some(shape), _) => format!("random weights of shape {shape:?}"),
        (None, Some(model)) => model.clone(),
        (None, None) => "the demonstration model".to_owned(),
    }
}

fn rows(options: &BenchOptions, models: &MeasuredModels, roofline: &Roofline) -> Result<Vec<Row>, TrialError> {
    let (mut rows, note) = (Vec::new(), options.loading.note);
    for &prompt_tokens in &options.prompt_tokens {
        let context = models.context();
        if prompt_tokens.saturating_add(options.depth as usize) > context {
            note(&format!("left out: prompts of {prompt_tokens} tokens, the context is {context}"));
            continue;
        }
        for &concurrency in &options.concurrency {
            for (method, n) in contestants(options)? {
                let case = Case { method, n, prompt_tokens, concurrency, options };
                let row = case.run(models, roofline).map_err(|source| TrialError::Case {
                    case: format!("{method}, N = {n}, {concurrency} at once"),
                    source: Box::new(source),
                })?;
                note(&format!(
                    "{method:<16} N {n:<4} prompt {prompt_tokens:<5} at once {concurrency:<3} {:.3} s/prompt",
                    row.seconds_per_prompt
                ));
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// Every method with every number of candidates that it can have.
fn contestants(options: &BenchOptions) -> Result<Vec<(&str, u32)>, TrialError> {
    let require = |holds: bool, problem: &'static str| holds.then_some(()).ok_or(TrialError::Option { problem });
    require(!options.ns.contains(&0) && !options.concurrency.contains(&0), "--n and --concurrency: at least 1")?;
    require((0.0..=DAY).contains(&options.seconds), "--seconds: a number from 0 to 86400")?;
    let no_cache = "--prompt-cache: requests of a bench have one prompt, it would be read once";
    require(options.loading.prompt_cache.unwrap_or_default().bytes == 0, no_cache)?;
    let mut ns = options.ns.clone();
    ns.sort_unstable();
    ns.dedup();
    let (bundle, mut all) = (bundles::open(None, Fallback::Plain)?, Vec::new());
    for method in &options.methods {
        match bundles::candidates_setting(bundle.manifest(), method)? {
            None => all.push((method.as_str(), 1)),
            Some(_) => all.extend(ns.iter().filter(|n| **n > 1).map(|n| (method.as_str(), *n))),
        }
    }
    Ok(all)
}
