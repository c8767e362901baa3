//! `bench`: whole requests, timed, beside what the hardware allows and beside other programs.

mod arguments;
mod measure;
mod models;
mod peer;
mod report;
mod shape;

pub(crate) use arguments::BenchArguments;

use crate::{model, output};
use anyhow::{Context, bail, ensure};
use inferenceguard_candle::{Precision, Roofline};
use inferenceguard_host::methods::Methods;
use measure::{Case, Row};
use models::Models;
use report::{Machine, Report, growth};
use shape::Folders;
use std::{
    path::{Path, PathBuf},
    thread,
};

/// Measures every row that was asked for.
pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    contestants(arguments)?;
    let options = model::Loading::new(&arguments.device, None)?.language();
    let roofline = Roofline::measure(options.device, options.precision)?;
    let temporary = tempfile::tempdir()?;
    let folders = folders(arguments, temporary.path())?;
    let models = Models::open(arguments, folders.as_ref())?;
    let rows = rows(arguments, &models, &roofline)?;
    let mut peers = Vec::new();
    for (peer, row) in arguments.peers.iter().flat_map(|peer| rows.iter().map(move |row| (peer, row))) {
        if let (Some(folders), 1) = (&folders, row.concurrency) {
            match peer::run(peer, row, folders, arguments) {
                Ok(measured) => peers.push(measured),
                Err(error) => output::note(format_args!("left out: {} N = {}, {error:#}", row.method, row.n)),
            }
        }
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine {
            device: arguments.device.device.clone(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            bytes_per_second: roofline.bytes,
            flops_per_second: roofline.flops,
        },
        model: name(arguments),
        precision: arguments.device.precision.clone(),
        depth: arguments.depth,
        growth: growth(&rows),
        rows,
        peers,
    };
    if let Some(path) = &arguments.plot {
        let picture = inferenceguard_eval::plots::bars(&report.bars())?;
        let png = path.extension().is_some_and(|extension| extension == "png");
        output::file(path, if png { &picture.png } else { picture.svg.as_bytes() })?;
    }
    match arguments.json {
        true => output::json(&report),
        false => output::result(report.table()),
    }
}

fn folders(arguments: &BenchArguments, temporary: &Path) -> anyhow::Result<Option<Folders>> {
    let Some(shape) = arguments.shape else { return given(arguments) };
    // What is rounded as it is loaded lies there in f32.
    let precision = match model::Loading::new(&arguments.device, None)?.language().precision {
        Precision::Q8_0 => Precision::F32,
        other => other,
    };
    shape.write(arguments.keep.as_deref().unwrap_or(temporary), precision).map(Some)
}

/// The folders or files of the arguments, for peers to read as well.
fn given(arguments: &BenchArguments) -> anyhow::Result<Option<Folders>> {
    if arguments.peers.is_empty() {
        return Ok(None);
    }
    let score = |name: &str| arguments.scores.iter().find_map(|score| score.strip_prefix(name)?.strip_prefix('='));
    let (Some(language), Some(reward), Some(cost)) = (arguments.model.as_deref(), score("reward"), score("cost"))
    else {
        bail!("--peer needs --shape, or --model with --score reward=DIR and --score cost=DIR");
    };
    let path = |name: &str| {
        let path = PathBuf::from(name);
        ensure!(path.exists(), "--peer: {name} is not on this machine; give folders to a peer, not ids");
        Ok(path)
    };
    Ok(Some(Folders { language: path(language)?, reward: path(reward)?, cost: path(cost)? }))
}

fn name(arguments: &BenchArguments) -> String {
    match (&arguments.shape, &arguments.model) {
        (Some(shape), _) => format!("random weights of shape {shape:?}"),
        (None, Some(model)) => model.clone(),
        (None, None) => "the demonstration model".to_owned(),
    }
}

fn rows(arguments: &BenchArguments, models: &Models, roofline: &Roofline) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for &prompt_tokens in &arguments.prompt_tokens {
        if prompt_tokens + arguments.depth as usize > models.context() {
            output::note(format_args!(
                "left out: prompts of {prompt_tokens} tokens, the context is {}",
                models.context()
            ));
            continue;
        }
        for &concurrency in &arguments.concurrency {
            for (method, n) in contestants(arguments)? {
                let case = Case { method, n, prompt_tokens, concurrency, arguments };
                let row = case.run(models, roofline);
                let row = row.with_context(|| format!("{method}, N = {n}, {concurrency} at once"))?;
                output::note(format_args!(
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
fn contestants(arguments: &BenchArguments) -> anyhow::Result<Vec<(&str, u32)>> {
    ensure!(!arguments.ns.contains(&0) && !arguments.concurrency.contains(&0), "--n and --concurrency: at least 1");
    ensure!(arguments.seconds.is_finite() && arguments.seconds >= 0.0, "--seconds: a number of 0 or more");
    ensure!(
        arguments.device.prompt_cache == 0,
        "--prompt-cache: requests of a bench have one prompt, it would be read once"
    );
    let mut ns = arguments.ns.clone();
    ns.sort_unstable();
    ns.dedup();
    let (table, mut all) = (Methods::default(), Vec::new());
    for method in &arguments.methods {
        match table.find(method)?.candidates {
            None => all.push((method.as_str(), 1)),
            Some(_) => all.extend(ns.iter().filter(|n| **n > 1).map(|n| (method.as_str(), *n))),
        }
    }
    Ok(all)
}
