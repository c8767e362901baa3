//! Trajectories: answers of the frozen language model with their costs, and its latents along them.
//!
//! The answers to a batch of prompts are sampled in step, priced, and written as one file before the next batch begins.
//! Draws depend on the seed, the prompt's place and the answer's place alone, so a run that was stopped and
//! continued has the same result as an uninterrupted run.

mod options;
mod rows;
mod sample;
mod shard;

pub use options::CollectOptions;
pub(crate) use rows::Kept;
pub use rows::{LatentRows, MEMORY};
pub use shard::{LatentTable, Shard, Trajectory};

use super::{
    error::{CriticError, Result, beginning},
    files::Setting,
    labels::{Label, Labeller, checked},
};
use indicatif::ProgressBar;
use inferenceguard_model::{LatentSelector, Model, ModelInfo, Token};
use sample::Sampled;
pub(crate) use shard::Store;
use std::path::Path;

/// All trajectories of a run. Latents beyond [`CollectOptions::memory`] stay in their files.
#[derive(Debug, Clone)]
pub struct Trajectories {
    /// The prompts, by place.
    pub prompts: Vec<String>,
    /// The answers, by prompt.
    pub all: Vec<Trajectory>,
    /// The latents by selector: one row per position of every answer, in order.
    pub tables: Vec<(LatentSelector, LatentRows)>,
    /// How many prompts left no room for an answer.
    pub skipped: usize,
    /// Everything the trajectories follow from.
    pub(super) setting: Setting,
    /// The first row of each answer in the tables.
    pub(super) first_rows: Vec<usize>,
    /// The language model.
    pub(super) model: ModelInfo,
}

impl Trajectories {
    /// The rows of a selector.
    #[must_use]
    pub fn table(&self, selector: LatentSelector) -> Option<&LatentRows> {
        self.tables.iter().find(|(one, _)| *one == selector).map(|(_, table)| table)
    }

    fn push(&mut self, shard: Shard) {
        self.skipped += shard.skipped.len();
        for trajectory in shard.trajectories {
            let next = self.first_rows.last().copied().unwrap_or(0)
                + self.all.last().map_or(0, |trajectory| trajectory.positions.len());
            self.first_rows.push(next);
            self.all.push(trajectory);
        }
    }
}

/// Samples and prices the trajectories that `folder` does not hold yet, and returns all of them. `constraints` are names, in the
/// order of a label's costs. The progress counts prompts.
///
/// # Errors
/// Each error names the prompt that failed. Written files stay, and the next call continues from them.
pub fn collect(
    model: &mut dyn Model,
    labeller: &mut dyn Labeller,
    prompts: &[String],
    constraints: &[String],
    options: &CollectOptions,
    folder: &Path,
    progress: &ProgressBar,
) -> Result<Trajectories> {
    options.check()?;
    check_prompts(prompts)?;
    let info = model.info().clone();
    let setting = options::setting(&info, labeller.fingerprint(), constraints, prompts, options);
    let store = Store::open(folder, setting.clone(), &options.latents, constraints.len())?;
    let mut kept = Kept::new(&options.latents, options.memory);
    let mut found = Trajectories {
        prompts: prompts.to_vec(),
        all: Vec::new(),
        tables: Vec::new(),
        skipped: 0,
        setting,
        first_rows: Vec::new(),
        model: info,
    };
    let places: Vec<(usize, &str)> = prompts.iter().map(String::as_str).enumerate().collect();
    progress.set_length(prompts.len() as u64);
    for (index, batch) in places.chunks(options.batch).enumerate() {
        let mut shard = kept_or(&store, index, || answer(model, labeller, batch, constraints.len(), options))?;
        kept.push(std::mem::take(&mut shard.tables), &store, index)?;
        found.push(shard);
        progress.inc(batch.len() as u64);
    }
    found.tables = kept.tables;
    Ok(found)
}

/// The shard of this number: that of the store, else a new one, which is written.
fn kept_or(store: &Store, index: usize, make: impl FnOnce() -> Result<Shard>) -> Result<Shard> {
    if let Some(shard) = store.read(index)? {
        return Ok(shard);
    }
    let shard = make()?;
    store.write(index, &shard)?;
    Ok(shard)
}

fn check_prompts(prompts: &[String]) -> Result<()> {
    if let Some(place) = prompts.iter().position(|prompt| prompt.trim().is_empty()) {
        return Err(CriticError::option("prompts", format!("nothing at place {place}"), "texts that are not empty"));
    }
    match prompts.is_empty() {
        true => Err(CriticError::TooFew { what: "prompts", found: 0, expected: 1 }),
        false => Ok(()),
    }
}

fn answer(
    model: &mut dyn Model,
    labeller: &mut dyn Labeller,
    prompts: &[(usize, &str)],
    constraints: usize,
    options: &CollectOptions,
) -> Result<Shard> {
    let (first, last) = (prompts[0].0, prompts[prompts.len() - 1].0);
    let failed = |source| CriticError::Sampling { first, last, source };
    let (answers, skipped) = sample::sample(model, prompts, options).map_err(failed)?;
    let width = |at: usize| answers.first().map_or(0, |one| one.latents[at].len() / one.positions.len().max(1));
    let tables = (0..options.latents.len()).map(|at| LatentTable { width: width(at), data: Vec::new() });
    let mut shard = Shard { trajectories: Vec::new(), tables: tables.collect(), skipped };
    let mut rest = answers.into_iter().peekable();
    for &(prompt, text) in prompts {
        let mut own = Vec::new();
        while let Some(one) = rest.next_if(|one| one.prompt == prompt) {
            own.push(one);
        }
        if own.is_empty() {
            continue;
        }
        let tokens: Vec<&[Token]> = own.iter().map(|one| one.tokens.as_slice()).collect();
        let labels = checked(labeller, (prompt, text), &tokens, constraints)?;
        for (at, (one, label)) in own.into_iter().zip(labels).enumerate() {
            check_latents(&one, at, text)?;
            add(&mut shard, one, label);
        }
    }
    Ok(shard)
}

fn check_latents(one: &Sampled, answer: usize, text: &str) -> Result<()> {
    let Some(bad) = one.latents.iter().flatten().find(|value| !value.is_finite()) else { return Ok(()) };
    Err(CriticError::Record {
        prompt: one.prompt,
        text: beginning(text),
        answer,
        what: "a number of its latents".to_owned(),
        found: format!("{bad} as f16"),
        expected: "finite numbers; choose another latent, or check the weights",
    })
}

fn add(shard: &mut Shard, one: Sampled, label: Label) {
    for (table, rows) in shard.tables.iter_mut().zip(one.latents) {
        table.data.extend(rows);
    }
    shard.trajectories.push(Trajectory {
        prompt: one.prompt,
        tokens: one.tokens,
        costs: label.costs,
        task_cost: label.task_cost,
        positions: one.positions,
    });
}
