//! A whole run: collect, split, train, measure, and write each network for a bundle.

use super::{
    collect::{self, Trajectories},
    error::{CriticError, Result},
    files,
    fit::{Fitted, Job},
    labels::Labeller,
    objective::{CriticObjective, Objective},
    options::CriticOptions,
    reading::Reading,
    report::{self, NetworkReport, Report},
    split::Split,
    targets::{BudgetSeen, Spending, charged},
};
use indicatif::ProgressBar;
use inferenceguard_bundle::network::{Layer, Network};
use inferenceguard_candle::Precision;
use inferenceguard_model::{Model, ModelInfo};
use inferenceguard_search::Constraint;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Runs every step whose files are missing, and measures all networks. A run that was stopped continues, with the same
/// result. The progress counts prompts, then the epochs of each network.
///
/// # Errors
/// Each error says what was found, what was expected and what to do. Written files stay.
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
        let network = network(fitted.layers()?, job.reading, &job.data.model, job.objective)?;
        let path = job.folder.join(format!("{}.safetensors", job.objective.name()));
        files::write(&path, &network.to_bytes()?)?;
    }
    for head in &report.heads {
        let svg = report::plot(head, &report.reading)?;
        files::write(&job.folder.join(format!("reliability-{}.svg", file_name(&head.constraint))), svg.as_bytes())?;
    }
    Ok(())
}

/// A constraint's name with only characters that file names allow.
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

/// The path of a reading's network.
#[must_use]
pub fn network_path(out: &Path, reading: Reading, objective: &Objective) -> std::path::PathBuf {
    out.join(reading.folder()).join(format!("{}.safetensors", objective.name()))
}

/// The network with its metadata, ready for [`Network::to_bytes`].
///
/// A critic's input row is the latent, then z / d per constraint; its output row a logit of P(safe to the end) per
/// constraint, then the task cost of the finished answer. A value's input row is the latent, its output one number.
///
/// # Errors
/// For the control, which reads no latent: no component can use it.
pub fn network(layers: Vec<Layer>, reading: Reading, model: &ModelInfo, objective: &Objective) -> Result<Network> {
    if reading == Reading::Nothing {
        return Err(CriticError::option("latents", reading, "a latent; the control is no critic"));
    }
    let mut metadata = vec![
        ("model", model.base().to_owned()),
        ("model-name", model.name.clone()),
        ("latent", reading.to_string()),
        ("hidden", model.hidden.to_string()),
    ];
    match objective {
        Objective::Critic(critic) => metadata.extend(of_constraints(critic)),
        Objective::Value { lambda, weighed } => {
            metadata.extend([("lambda", lambda.to_string()), ("lagrangian-cost", weighed.name().to_owned())]);
        }
    }
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value));
    Ok(Network { layers: layers.into(), metadata: metadata.collect::<BTreeMap<_, _>>() })
}

fn of_constraints(critic: &CriticObjective) -> [(&'static str, String); 8] {
    let list = |write: fn(&Constraint) -> String| {
        let texts = critic.constraints.iter().map(|priced| write(&priced.constraint));
        texts.collect::<Vec<_>>().join(",")
    };
    let ranges = critic.budgets.iter().map(|(low, high)| format!("{low}..{high}"));
    let seen = match critic.seen {
        BudgetSeen::ChunkStart => "chunk-start",
        BudgetSeen::Newest => "newest",
    };
    [
        ("constraints", list(|one| one.name.clone())),
        ("gamma", list(|one| one.gamma.to_string())),
        ("clip", list(|one| one.clip.name().to_owned())),
        ("mode", list(|one| one.mode.name().to_owned())),
        ("budgets", ranges.collect::<Vec<_>>().join(",")),
        ("z", seen.to_owned()),
        ("chunk-len", critic.chunk.to_string()),
        ("cost", if critic.discount { "discounted" } else { "raw" }.to_owned()),
    ]
}
