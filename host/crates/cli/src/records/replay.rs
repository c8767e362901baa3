//! `replay`: the components decide again, and with a model, what was emitted is priced again.

use super::source::{Opened, Source};
use crate::{flags::GuardArguments, journal::bodies, output};
use anyhow::{Context, bail, ensure};
use clap::Args;
use inferenceguard_catalog::{Choice, build};
use inferenceguard_host::{Engine, Judgement, Migration, Request, Terms};
use inferenceguard_record::{Body, Deciders, Header, Replayed};
use inferenceguard_search::{CostGrain, Status};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::PathBuf,
    rc::Rc,
};

#[derive(Debug, Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// A server's folder (`serve --state`) where the bundles that decided may be found
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Also lets the model read every answer again, and the costs price it from scratch
    #[arg(long)]
    with_model: bool,
    /// A file of records
    file: PathBuf,
}

/// The largest allowed difference of a sum from the recorded one, as a share of the budget: batches had other shapes.
const TOLERANCE: f64 = 1e-3;

/// How far numbers of networks may be apart that ran on another device, as a share of `1 + |number|`.
const ROUNDING: f64 = 1e-3;

/// Replays every record of a file that has a body.
pub(crate) fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let choice = arguments.guard.choice();
    let mut source = Source::new(&choice, arguments.state.as_deref())?;
    let mut models = arguments.with_model.then(|| Loaded { choice: &choice, engines: BTreeMap::new() });
    let (mut records, mut skipped) = (0_u64, 0);
    let (mut calls, mut priced) = (Replayed::default(), Priced::default());
    for record in bodies(&arguments.file, &mut skipped)? {
        let (header, body) = record?;
        let place = || format!("{}, record {}", arguments.file.display(), header.sequence);
        let decided = source.decided(&header).with_context(place)?;
        all_named(&decided, &body).with_context(place)?;
        let replayed = body.replay(&mut deciders(&header, &decided)?).with_context(place)?;
        (calls.same, calls.skipped) = (calls.same + replayed.same, calls.skipped + replayed.skipped);
        calls.near += replayed.near;
        if let Some(models) = &mut models {
            let engine = models.made_for(&decided).with_context(place)?;
            priced.again(engine, &decided, &header, &body).with_context(place)?;
        }
        records += 1;
    }
    let file = arguments.file.display();
    let model = if models.is_some() { priced.summary() } else { String::new() };
    let near = if calls.near == 0 { String::new() } else { format!("; {} agree up to rounding", calls.near) };
    output::result(format_args!(
        "{file}: {records} records decided again, {skipped} without a body\n  {} answers of components are the same, bit \
         for bit{near}; {} cannot be compared{model}",
        calls.same, calls.skipped
    ))
}

/// Refuses a record that names other bundles than those whose constraints held.
fn all_named(decided: &[(String, Rc<Opened>)], body: &Body) -> anyhow::Result<()> {
    let of = |(suffix, opened): &(String, Rc<Opened>)| {
        let constraints = opened.bundle.manifest().constraints.iter();
        constraints.map(|one| format!("{}{suffix}", one.name)).collect::<Vec<_>>()
    };
    let expected: BTreeSet<String> = decided.iter().flat_map(of).collect();
    let found = body.inputs.config.constraints.iter().map(|one| one.constraint.name.clone()).collect();
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    ensure!(expected == found, "its bundles have the constraints {}; it was held to {}", list(&expected), list(&found));
    Ok(())
}

fn deciders(header: &Header, decided: &[(String, Rc<Opened>)]) -> anyhow::Result<Deciders> {
    let [(_, first), later @ ..] = decided else { bail!("no bundle decided it") };
    let roles = |(migration, (_, opened)): (&Migration, &(String, Rc<Opened>))| Ok((migration.number, opened.roles()?));
    let later = header.migrations.iter().zip(later).map(roles).collect::<anyhow::Result<_>>()?;
    // The networks of a record run on the processor here.
    let tolerance = if ["", "cpu"].contains(&header.model.parts.device.as_str()) { 0.0 } else { ROUNDING };
    Ok(Deciders { first: first.roles()?, later, tolerance })
}

/// The engines that read answers again: one for each set of prompt templates.
struct Loaded<'a> {
    choice: &'a Choice,
    engines: BTreeMap<String, Engine>,
}

impl Loaded<'_> {
    /// With the templates of the bundle that a record began with.
    fn made_for(&mut self, decided: &[(String, Rc<Opened>)]) -> anyhow::Result<&Engine> {
        let (_, first) = decided.first().context("no bundle decided it")?;
        let manifest = first.bundle.manifest();
        let scores = manifest.scores.iter().map(|(name, entry)| format!("{name} {:?}", entry.template));
        let templates = format!("{:?} {:?}", manifest.model.template, scores.collect::<Vec<_>>());
        match self.engines.entry(templates) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(place) => {
                let language = self.choice.language(Some(manifest))?;
                let builder = self.choice.builder_of(language, &first.bundle, &[], &[])?;
                Ok(place.insert(build(builder)?))
            }
        }
    }
}

/// How answers that the model read again compare with their records.
#[derive(Default)]
struct Priced {
    /// How far sums were apart, as a share of the budget.
    largest: f64,
    /// Constraints priced by the chunk: what they charge depends on where chunks ended.
    skipped: u64,
    /// Records that do not say which score models priced.
    unnamed: u64,
}

impl Priced {
    fn again(
        &mut self,
        engine: &Engine,
        decided: &[(String, Rc<Opened>)],
        header: &Header,
        body: &Body,
    ) -> anyhow::Result<()> {
        header.expects(&engine.models().model, &engine.models().scores)?;
        self.unnamed += u64::from(header.scores.is_none());
        if matches!(body.outcome.status, Status::NoSafeCandidate | Status::Failed) {
            return Ok(());
        }
        for (suffix, opened) in decided {
            self.by_one(engine, opened, suffix, body)?;
        }
        ensure!(
            self.largest <= TOLERANCE,
            "sums differ by {:.2e} of a budget; at most {TOLERANCE:.0e} is rounding",
            self.largest
        );
        Ok(())
    }

    /// The constraints of one bundle, whose names in the record end with `suffix`.
    fn by_one(&mut self, engine: &Engine, opened: &Opened, suffix: &str, body: &Body) -> anyhow::Result<()> {
        let costs = opened.roles()?.info().costs;
        let judged = judged(engine, opened, suffix, body)?;
        for entry in &opened.bundle.manifest().constraints {
            if costs.get(&entry.cost).is_none_or(|cost| cost.grain == CostGrain::Chunk) {
                self.skipped += 1;
                continue;
            }
            let now = judged.constraints.iter().find(|now| now.name == entry.name);
            let then = body.outcome.constraints.iter().find(|then| then.name.strip_suffix(suffix) == Some(&entry.name));
            let (Some(now), Some(then)) = (now, then) else { bail!("`{}{suffix}` was not reported", entry.name) };
            let apart = (now.max_cost - then.max_cost).abs() / then.budget;
            self.largest = if apart.is_finite() { self.largest.max(apart) } else { f64::INFINITY };
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let Self { largest, skipped, unnamed } = self;
        let skipped = match skipped {
            0 => String::new(),
            _ => format!("; {skipped} constraints, priced by the chunk, cannot be compared"),
        };
        let unnamed = match unnamed {
            0 => String::new(),
            _ => format!("\n  {unnamed} records do not name their score models: those given priced them"),
        };
        format!(
            "\n  the model read every answer again: sums differ by at most {largest:.2e} of a budget{skipped}{unnamed}"
        )
    }
}

fn judged(engine: &Engine, opened: &Opened, suffix: &str, body: &Body) -> anyhow::Result<Judgement> {
    let held = &body.inputs.config.constraints;
    let own = held.iter().filter_map(|one| {
        let name = one.constraint.name.strip_suffix(suffix)?;
        let known = opened.bundle.manifest().constraints.iter().any(|entry| entry.name == name);
        known.then(|| (name.to_owned(), one.constraint.budget))
    });
    let (prompt, history) = (body.inputs.prompt.clone(), body.inputs.history.clone());
    let terms = Terms { ceilings: own.collect(), ..Terms::default() };
    let request = Request { prompt, history, ..Request::default() };
    let judged = engine.under(&terms).judge_tokens(opened.prepared(engine)?, &request, &body.outcome.tokens)?;
    if let Some(failure) = judged.failures.first() {
        bail!("{failure}");
    }
    Ok(judged)
}
