//! `probe`: what a model computes at every position of a text.

use crate::{flags::ModelArguments, output};
use anyhow::bail;
use clap::Args;
use inferenceguard_candle::Prober;
use inferenceguard_catalog::{
    Loading, hub,
    probe::{Apart, Report},
};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ProbeArguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// Also writes tokens, latents (hidden states), and logits or scores to this safetensors file
    #[arg(long, value_name = "FILE")]
    full: Option<PathBuf>,
    /// Also computes it on this device (cpu, cuda or cuda:N, in f32), and shows how far the two are apart; more than 2 % is an
    /// error
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["json", "full"])]
    against: Option<String>,
    /// How many likely next tokens to show for each token
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// The text; no template is applied
    text: String,
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
        let apart = Apart::measure(&folder, &arguments.text, (loading.device.as_str(), &probe), device)?;
        output::result(&apart)?;
        return Ok(apart.check()?);
    }
    if let Some(path) = &arguments.full {
        output::file(path, &probe.to_safetensors()?)?;
    }
    let report = Report::new(&arguments.model.model, &probe, prober.tokenizer(), arguments.top);
    if arguments.json { output::json(&report) } else { output::result(&report) }
}
