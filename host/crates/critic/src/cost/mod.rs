//! Costs from labelled answers: a head on the language model's own latents, trained on labels of whole answers, that prices every
//! token.
//!
//! ```text
//! files -> [read] -> units -> [latents] of every token -> [parts] by prompt -> [fit] one head per reading
//!                                                                                   |
//!              bundle's network and its settings <- [report] on other prompts <-----+  the best on the validation
//! ```
//!
//! The component `linear-cost` prices with what is written: see [`CostReport`] and [`settings`]. A reward is learnt in the same
//! way, from pairs or grades: see [`reward`].
//!
//! **Invariant**: a run that was stopped ends as an uninterrupted one, with the same files.

mod adam;
mod aim;
mod budget_choice;
mod bundle;
mod calibrate;
mod calibration;
mod conformal;
mod data;
mod fit;
mod labelled;
mod latents;
mod manifest_text;
mod measure;
mod objective;
mod options;
mod own;
mod parts;
mod read;
mod report;
pub mod reward;
mod score_model;
mod start;
mod unit;

pub use aim::RewardObjective;
pub use budget_choice::BudgetChoice;
pub use bundle::{BundleOptions, manifest};
pub use conformal::{Threshold, conformal_threshold};
pub use objective::CostObjective;
pub use options::{CostOptions, HeadInputs, HeadOptions, RewardOptions, cost_recipe};
pub use own::{HarmlessPrompts, OWN, OwnOptions, own_answers};
pub use read::{Source, read};
pub use report::{Budget, ConformalBudget, CostReport, Quality, Tried};
pub use score_model::ScoreFolder;
pub use unit::{Labelled, Unit};

use crate::{error::Result, files};
use aim::Aim;
use data::Data;
use fit::{Head, Job};
use indicatif::ProgressBar;
use inferenceguard_bundle::network::Network;
use inferenceguard_candle::Precision;
use inferenceguard_eval::plots::reliability;
use inferenceguard_model::{Generator, ModelInfo};
use labelled::Labels;
use objective::Form;
use options::nothing_to_read;
use std::{collections::BTreeMap, path::Path};

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
    let CostOptions { heads, objective, balanced, threshold, alpha } = options;
    let (aim, info) = (Aim::Cost(*objective), model.info().clone());
    let data = data(heads, model, units, Labels::Harm, *threshold, progress)?;
    data.check(aim)?;
    let device = heads.device.open(Precision::F32)?;
    let job = |places| Job {
        data: &data,
        places,
        aim,
        balanced: *balanced,
        threshold: *threshold,
        shares: &heads.shares,
        recipe: &heads.recipe,
        device: &device,
        folder: &heads.out,
    };
    if let (Some(alpha), Some(places)) = (alpha, heads.readings.first()) {
        job(places).check_alpha(*alpha)?;
    }
    let all = best_first(heads.readings.iter().map(job), progress)?;
    let (job, head) = all.first().ok_or_else(nothing_to_read)?;
    let tried = all.iter().map(|(job, head)| job.validate(head)).collect::<Result<_>>()?;
    let report = job.measure(head, (info.name.clone(), info.base().to_owned()), tried, *alpha)?;
    let more = [("objective", report.objective.name()), ("per", "token")];
    let network = network(head, &report.latent, &info, &more)?;
    write(&heads.out, &network, &report)?;
    Ok((network, report))
}

/// The answers with their latents, in their parts. The progress counts answers.
fn data(
    options: &HeadOptions,
    model: &mut dyn Generator,
    units: &[Unit],
    labels: Labels,
    threshold: f64,
    progress: &ProgressBar,
) -> Result<Data> {
    let parts = parts::split(units, &options.shares)?;
    progress.set_message("latents");
    let answers: Vec<&Labelled> = units.iter().flat_map(Unit::answers).collect();
    let (places, folder) = (options.places(), options.out.join("latents"));
    let HeadOptions { max_tokens: longest, memory, .. } = *options;
    let how = latents::How { places: &places, longest, memory, folder: &folder };
    let latents = latents::read(model, &answers, &how, progress)?;
    Ok(Data::new(units, parts, latents, labels, threshold))
}

/// Trains the heads of these jobs, and puts the head with the least loss on the validation first. The progress counts epochs.
fn best_first<'a>(jobs: impl Iterator<Item = Job<'a>>, progress: &ProgressBar) -> Result<Vec<(Job<'a>, Head)>> {
    let mut heads = Vec::new();
    for job in jobs {
        progress.set_position(0);
        heads.push((job, job.fit(progress)?));
    }
    heads.sort_by(|(_, a), (_, b)| a.validation_loss().total_cmp(&b.validation_loss()));
    Ok(heads)
}

/// A head as a bundle's network, with what it reads, the model it was made for, and `more`.
fn network(head: &Head, latent: &str, info: &ModelInfo, more: &[(&str, &str)]) -> Result<Network> {
    let hidden = info.hidden.to_string();
    let metadata: [(&str, &str); 4] =
        [("model", info.base()), ("model-name", info.name.as_str()), ("latent", latent), ("hidden", hidden.as_str())];
    let metadata = metadata.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Ok(Network { layers: head.layers()?.into(), metadata: metadata.collect::<BTreeMap<_, _>>() })
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
