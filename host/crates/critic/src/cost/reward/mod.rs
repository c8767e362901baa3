//! Rewards from pairs or graded answers: a head on the language model's own latents, trained as a cost is, that ranks answers.
//!
//! ```text
//! files -> [read] -> units -> latents of every token -> parts by prompt -> one head per reading
//!                                                                              |
//!   bundle's network and its settings <- [RewardReport] on other prompts <-----+  the best on the validation
//! ```
//!
//! The component `linear-cost` with `kind = "task"` ranks by what is written, without any second model.
//!
//! **Invariant**: a run that was stopped ends as an uninterrupted one, with the same files.

mod report;

pub use report::{GradeQuality, PairQuality, RewardReport, RewardTried};

use super::{
    RewardOptions, Source, Unit, aim::Aim, best_first, data, fit::Job, labelled::Labels, network,
    options::nothing_to_read, read::read_as,
};
use crate::{error::Result, files};
use indicatif::ProgressBar;
use inferenceguard_bundle::network::Network;
use inferenceguard_candle::Precision;
use inferenceguard_eval::plots::reliability;
use inferenceguard_model::Generator;
use std::path::Path;

/// The written head, ready for a bundle.
pub const NETWORK: &str = "reward.safetensors";

/// The component that ranks by it.
pub const COMPONENT: &str = "linear-cost.wasm";

/// All answers of these files, in order, with grades. `asked` is the prompt of texts without one.
///
/// # Errors
/// As [`super::read()`].
pub fn read(sources: &[Source], asked: &str) -> Result<Vec<Unit>> {
    read_as(sources, asked, Labels::Grade)
}

/// Reads the latents of all answers, trains one head per reading, and writes the best with its report and plot. A run that was
/// stopped goes on, with the same result. The progress counts answers, then the epochs of each head.
///
/// # Errors
/// Each error says what was found, what was expected and what to do. Written files stay.
pub fn train(
    options: &RewardOptions,
    model: &mut dyn Generator,
    units: &[Unit],
    progress: &ProgressBar,
) -> Result<(Network, RewardReport)> {
    options.check()?;
    let RewardOptions { heads, objective } = options;
    let (aim, info) = (Aim::Reward(*objective), model.info().clone());
    let data = data(heads, model, units, Labels::Grade, 0.0, progress)?;
    data.check(aim)?;
    let device = heads.device.open(Precision::F32)?;
    let job = |places| Job {
        data: &data,
        places,
        aim,
        balanced: false,
        threshold: 0.0,
        shares: &heads.shares,
        recipe: &heads.recipe,
        device: &device,
        folder: &heads.out,
    };
    let all = best_first(heads.readings.iter().map(job), progress)?;
    let (job, head) = all.first().ok_or_else(nothing_to_read)?;
    let tried = all.iter().map(|(job, head)| job.tried_reward(head)).collect::<Result<_>>()?;
    let report = job.measure_reward(head, *objective, (info.name.clone(), info.base().to_owned()), tried)?;
    let more = [("objective", objective.name()), ("kind", "reward")];
    let network = network(head, &report.latent, &info, &more)?;
    write(&heads.out, &network, &report)?;
    Ok((network, report))
}

fn write(out: &Path, network: &Network, report: &RewardReport) -> Result<()> {
    files::write(&out.join(NETWORK), &network.to_bytes()?)?;
    let title = format!("{} reward from {}", report.objective.name(), report.latent);
    let axes = match report.pairs {
        Some(_) => ["predicted P(the answer ranked first is better)", "share in which it was"],
        None => ["predicted grade", "mean grade"],
    };
    files::write(&out.join("reliability.svg"), reliability(&title, axes, &report.bins)?.as_bytes())?;
    files::write(&out.join("reward.json"), format!("{:#}\n", serde_json::json!(report)).as_bytes())
}

/// The settings of `linear-cost` for a written head, as names and values of a bundle's manifest. `network` is its name there.
#[must_use]
pub fn settings(report: &RewardReport, network: &str) -> [(&'static str, String); 3] {
    [("network", network.to_owned()), ("latent", report.latent.clone()), ("kind", "task".to_owned())]
}
