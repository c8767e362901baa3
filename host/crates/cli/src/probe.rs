//! `probe`: what a model computes at every position of a text.

use crate::{flags::ModelArguments, output};
use anyhow::{bail, ensure};
use clap::Args;
use inferenceguard_candle::{HfTokenizer, LoadOptions, Probe, Prober};
use inferenceguard_catalog::{Loading, hub};
use inferenceguard_model::{Token, Tokenizer, top_k};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ProbeArguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// Also writes tokens, latents, and logits or scores to this safetensors file
    #[arg(long, value_name = "FILE")]
    full: Option<PathBuf>,
    /// Also computes it on this device (cpu, cuda or cuda:N, in f32), and shows how far the two are apart; more than 2 % is an
    /// error
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["json", "full"])]
    against: Option<String>,
    /// How many logits to show per position
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// The text; no template is applied
    text: String,
}

#[derive(Serialize)]
struct Report {
    model: String,
    positions: Vec<Position>,
}

#[derive(Serialize)]
struct Position {
    token: Token,
    text: String,
    latent_norm: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top: Vec<Top>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
}

#[derive(Serialize)]
struct Top {
    token: Token,
    text: String,
    logit: f32,
}

/// Runs the text, writes the file if one is named, and shows the numbers.
pub(crate) fn run(arguments: &ProbeArguments) -> anyhow::Result<()> {
    if arguments.text.is_empty() {
        bail!("the text is empty; give at least one word");
    }
    let loading = arguments.model.device.loading();
    let folder = hub::folder(&arguments.model.model, loading.note)?;
    let mut prober = Prober::load(&folder, &Loading::new(&loading, None)?.language())?;
    let probe = prober.run(&arguments.text)?;
    if let Some(device) = &arguments.against {
        return compare(arguments, &folder, device, &probe);
    }
    if let Some(path) = &arguments.full {
        output::file(path, &probe.to_safetensors()?)?;
    }
    let report = Report {
        model: arguments.model.model.clone(),
        positions: positions(&probe, prober.tokenizer(), arguments.top),
    };
    if arguments.json { output::json(&report) } else { output::result(table(&report)) }
}

/// The largest allowed difference between two devices, as a share of the largest number.
const FAR: f32 = 0.02;

/// How far another device's numbers are from these.
fn compare(arguments: &ProbeArguments, folder: &Path, device: &str, found: &Probe) -> anyhow::Result<()> {
    let reference = LoadOptions { device: device.parse()?, ..LoadOptions::default() };
    let expected = Prober::load(folder, &reference)?.run(&arguments.text)?;
    let head = |probe: &Probe| probe.logits.as_ref().map(|table| table.data.clone()).or_else(|| probe.scores.clone());
    let (found_head, expected_head) = (head(found).unwrap_or_default(), head(&expected).unwrap_or_default());
    let latents = apart(&found.latents.data, &expected.latents.data);
    let heads = apart(&found_head, &expected_head);
    let devices = format!("{} and {device}", arguments.model.device.device);
    output::result(format_args!("{devices}: latents {latents:.2e} apart, logits or scores {heads:.2e}"))?;
    ensure!(latents <= FAR && heads <= FAR, "{devices} are further apart than {FAR}, as a share of the largest number");
    Ok(())
}

/// The largest difference over the largest number; infinite if the lengths differ or a number is not finite.
fn apart(found: &[f32], expected: &[f32]) -> f32 {
    let scale = expected.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let all = found.iter().zip(expected).fold(0.0f32, |most, (a, b)| {
        let difference = (a - b).abs();
        if difference.is_finite() { most.max(difference) } else { f32::INFINITY }
    });
    if found.len() == expected.len() { all / scale } else { f32::INFINITY }
}

fn positions(probe: &Probe, tokenizer: &HfTokenizer, top: usize) -> Vec<Position> {
    let one = |(at, token): (usize, &Token)| {
        let latent = &probe.latents.data[at * probe.latents.width..(at + 1) * probe.latents.width];
        let logits = probe.logits.as_ref().map(|table| &table.data[at * table.width..(at + 1) * table.width]);
        let best = logits.map(|logits| top_k(logits, top)).unwrap_or_default();
        Position {
            token: *token,
            text: text(tokenizer, *token),
            latent_norm: latent.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt(),
            top: best.into_iter().map(|(token, logit)| Top { token, text: text(tokenizer, token), logit }).collect(),
            score: probe.scores.as_ref().map(|scores| scores[at]),
        }
    };
    probe.tokens.iter().enumerate().map(one).collect()
}

/// The text of a token; empty for special tokens and for ids beyond the tokenizer's vocabulary.
fn text(tokenizer: &HfTokenizer, token: Token) -> String {
    tokenizer.decode(&[token]).unwrap_or_default()
}

fn table(report: &Report) -> String {
    let lines = report.positions.iter().enumerate().map(|(at, position)| {
        let top = position.top.iter().map(|top| format!("{:?} {:.3}", top.text, top.logit)).collect::<Vec<_>>();
        let found = position.score.map_or_else(|| top.join("  "), |score| format!("score {score:.4}"));
        let text = format!("{:?}", position.text);
        format!("{at:>4} {:>7} {text:<16} |h| {:>9.3}  {found}", position.token, position.latent_norm)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn differences_are_shares_of_the_largest_number() {
        assert_eq!(apart(&[1.0, -4.0], &[1.0, -4.0]), 0.0);
        assert_eq!(apart(&[1.0, -3.0], &[1.0, -4.0]), 0.25);
        for wrong in [&[1.0][..], &[1.0, f32::NAN], &[f32::INFINITY, -4.0]] {
            assert_eq!(apart(wrong, &[1.0, -4.0]), f32::INFINITY, "{wrong:?}");
        }
    }
}
