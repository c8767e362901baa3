//! Costs from labelled answers: a head on the language model's own latents, trained on labels of whole answers, that prices every
//! token.
//!
//! ```text
//! files -> [read] -> units -> [latents] of every token -> [parts] by prompt -> [fit] one head per reading
//!                                                                                   |
//!              bundle's network and its settings <- [report] on other prompts <-----+  the best on the validation
//! ```
//!
//! The component `linear-cost` prices with what is written: see [`CostReport`] and [`settings`].
//!
//! **Invariant**: a run that was stopped ends as an uninterrupted one, with the same files.

mod adam;
mod bundle;
mod calibration;
mod conformal;
mod data;
mod fit;
mod labelled;
mod latents;
mod objective;
mod options;
mod parts;
mod read;
mod report;

pub use bundle::{BundleOptions, manifest};
pub use conformal::{Threshold, conformal_threshold};
pub use labelled::{Labelled, Unit};
pub use objective::CostObjective;
pub use options::{CostOptions, Places, cost_recipe};
pub use read::{Source, read};
pub use report::{Budget, CostReport, Quality, Tried};

use crate::{
    error::{CriticError, Result},
    files,
};
use data::Data;
use fit::{Head, Job};
use indicatif::ProgressBar;
use inferenceguard_bundle::network::Network;
use inferenceguard_candle::Precision;
use inferenceguard_eval::plots::reliability;
use inferenceguard_model::{Generator, ModelInfo};
use objective::Form;
use std::path::Path;

/// The written head, ready for a bundle.
pub const NETWORK: &str = "cost.safetensors";

/// Reads the latents of all answers, trains one head per reading, and writes the best with its report and plot. A run that was
/// stopped goes on, with the same result. The progress counts answers, then the epochs of each head.
///
/// # Errors
/// Each error says what was found, what was expected and what to do. Written files stay.
pub fn train(
    options: &CostOptions,
    model: &mut dyn Generator,
    units: &[Unit],
    progress: &ProgressBar,
) -> Result<(Network, CostReport)> {
    options.check()?;
    let parts = parts::split(units, &options.shares)?;
    let info = model.info().clone();
    progress.set_message("latents");
    let answers: Vec<&Labelled> = units.iter().flat_map(Unit::answers).collect();
    let folder = options.out.join("latents");
    let latents = latents::read(model, &answers, &options.places(), options.max_tokens, &folder, progress)?;
    let data = Data::new(units, parts, latents, options.threshold);
    data.check(options.objective)?;
    let device = options.device.open(Precision::F32)?;
    let job = |places| Job {
        data: &data,
        places,
        objective: options.objective,
        balanced: options.balanced,
        threshold: options.threshold,
        shares: &options.shares,
        recipe: &options.recipe,
        device: &device,
        folder: &options.out,
    };
    let mut heads = Vec::new();
    for places in &options.readings {
        progress.set_position(0);
        let (job, head) = (job(places), job(places).fit(progress)?);
        heads.push((job.validate(&head)?, job, head));
    }
    heads.sort_by(|a, b| a.0.loss.total_cmp(&b.0.loss));
    let tried = heads.iter().map(|(tried, ..)| tried.clone()).collect();
    let Some((_, job, head)) = heads.first() else {
        return Err(CriticError::option("latents", "nothing", "at least one, such as final-norm"));
    };
    let report = job.measure(head, (info.name.clone(), info.base().to_owned()), tried)?;
    let network = network(head, &report, &info)?;
    write(&options.out, &network, &report)?;
    Ok((network, report))
}

fn network(head: &Head, report: &CostReport, info: &ModelInfo) -> Result<Network> {
    let metadata = [
        ("model", info.base().to_owned()),
        ("model-name", info.name.clone()),
        ("latent", report.latent.clone()),
        ("hidden", info.hidden.to_string()),
        ("objective", report.objective.name().to_owned()),
        ("per", "token".to_owned()),
    ];
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Ok(Network { layers: head.layers()?.into(), metadata })
}

fn write(out: &Path, network: &Network, report: &CostReport) -> Result<()> {
    files::write(&out.join(NETWORK), &network.to_bytes()?)?;
    let title = format!("{} cost from {}", report.objective.name(), report.latent);
    let svg = reliability(&title, ["predicted P(harmful)", "share that was harmful"], &report.bins)?;
    files::write(&out.join("reliability.svg"), svg.as_bytes())?;
    files::write(&out.join("cost.json"), format!("{:#}\n", serde_json::json!(report)).as_bytes())
}

/// The settings of `linear-cost` for a written head, as a bundle's manifest has them; `network` is its name there.
#[must_use]
pub fn settings(report: &CostReport, network: &str) -> String {
    let form = if report.objective.form() == Form::Hazard { "hazard" } else { "linear" };
    format!("{{ network = {network:?}, latent = {:?}, form = {form:?} }}", report.latent)
}
