//! A whole run: collect, split, train, measure, write.

use super::{
    collect::{self, Labeller, Trajectories},
    error::Result,
    export, files,
    fit::{Fitted, Job},
    objective::Objective,
    options::CriticOptions,
    reading::Reading,
    report::{self, NetworkReport, Report},
    split::Split,
    targets::{Spending, charged},
};
use indicatif::ProgressBar;
use inferenceguard_candle::Precision;
use inferenceguard_model::Model;
use std::{collections::BTreeSet, path::Path};

/// Runs everything that is not there yet, and measures all of it. A run that was killed goes on where it was; the
/// result is the same. The progress counts prompts, then the epochs of each network.
///
/// # Errors
/// What was found, what was expected and what to do. What was written stays.
pub fn train(
    options: &CriticOptions,
    model: &mut dyn Model,
    labeller: &mut dyn Labeller,
    prompts: &[String],
    constraints: &[String],
    progress: &ProgressBar,
) -> Result<Report> {
    options.check()?;
    let mut wanted = options.collect.clone();
    wanted.latents = options.readings.iter().filter_map(|reading| reading.latent()).collect();
    progress.set_message("sampling");
    let folder = options.out.join("trajectories");
    let data = collect::collect(model, labeller, prompts, constraints, &wanted, &folder, progress)?;
    let split = Split::new(&data, &options.shares)?;
    let device = options.device.open(Precision::F32)?;
    let mut networks = Vec::new();
    for reading in &options.readings {
        let folder = options.out.join(reading.folder());
        files::folder(&folder)?;
        let job = Job {
            data: &data,
            split: &split,
            shares: &options.shares,
            reading: *reading,
            objective: &options.objective,
            recipe: &options.recipe,
            longest: options.collect.max_tokens,
            device: &device,
            folder: &folder,
        };
        let fitted = job.fit(progress)?;
        let report = report::measure(&job, &fitted)?;
        write(&job, &fitted, &report)?;
        networks.push(report);
    }
    let report = summary(options, &data, &split, networks);
    files::write(&options.out.join(format!("{}.json", options.objective.name())), &json(&report))?;
    Ok(report)
}

/// The files of one network.
fn write(job: &Job<'_>, fitted: &Fitted, report: &NetworkReport) -> Result<()> {
    if job.reading != Reading::Nothing {
        let network = export::network(fitted.layers()?, job.reading, &job.data.model, job.objective)?;
        let path = job.folder.join(format!("{}.safetensors", job.objective.name()));
        files::write(&path, &network.to_bytes()?)?;
    }
    for head in &report.heads {
        let svg = report::plot(head, &report.reading)?;
        files::write(&job.folder.join(format!("reliability-{}.svg", file_name(&head.constraint))), svg.as_bytes())?;
    }
    Ok(())
}

/// A constraint's name without what file systems do not like.
fn file_name(constraint: &str) -> String {
    constraint.chars().map(|c| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}

fn json(report: &Report) -> Vec<u8> {
    format!("{:#}\n", serde_json::json!(report)).into_bytes()
}

fn summary(options: &CriticOptions, data: &Trajectories, split: &Split, networks: Vec<NetworkReport>) -> Report {
    let prompts = |answers: &[usize]| {
        answers.iter().map(|answer| data.prompts[data.all[*answer].prompt].as_str()).collect::<BTreeSet<_>>().len()
    };
    let parts = [&split.train, &split.validation, &split.test];
    let [train, validation, test] = parts.map(|part| prompts(part));
    Report {
        objective: options.objective.name(),
        model: data.model.fingerprint.clone(),
        prompts: (train, validation, test),
        answers: (split.train.len(), split.validation.len(), split.test.len()),
        skipped: data.skipped,
        within_budget: within_budget(&options.objective, data),
        networks,
    }
}

fn within_budget(objective: &Objective, data: &Trajectories) -> Vec<f64> {
    let Objective::Critic(critic) = objective else { return Vec::new() };
    let share = |(at, priced): (usize, &inferenceguard_search::PricedConstraint)| {
        let safe = data.all.iter().filter(|one| {
            let costs = charged(&one.costs[at], priced.granularity, critic.chunk);
            Spending::new(&priced.constraint, &costs).is_safe(priced.constraint.budget)
        });
        safe.count() as f64 / data.all.len().max(1) as f64
    };
    critic.constraints.iter().enumerate().map(share).collect()
}

/// Where the network of a reading lies.
#[must_use]
pub fn network_path(out: &Path, reading: Reading, objective: &Objective) -> std::path::PathBuf {
    out.join(reading.folder()).join(format!("{}.safetensors", objective.name()))
}
