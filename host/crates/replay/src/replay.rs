//! Components decide again, and with a model, emitted answers are priced again.

use crate::{
    ReplayError, bodies,
    source::{DecidingBundle, Source},
};
use inferenceguard_catalog::{Choice, build};
use inferenceguard_host::{Engine, Judgement, Migration, Request, Terms};
use inferenceguard_record::{Body, Deciders, Header, Replayed};
use inferenceguard_search::{CostGrain, Status};
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt,
    path::Path,
    rc::Rc,
};

/// The largest allowed difference of a sum from the recorded one, as a share of the budget: batches had other shapes.
const TOLERANCE: f64 = 1e-3;

/// The largest allowed difference of numbers of networks that ran on another device, as a share of `1 + |number|`; for the costs of
/// a constraint in sum, as a share of `1 + budget`.
const ROUNDING: f64 = 1e-3;

/// What a replay found.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Records that were decided again.
    pub records: u64,
    /// Records without a body.
    pub skipped: u64,
    /// The answers of components.
    pub calls: Replayed,
    /// How the model's second reading compares, if there was one.
    pub priced: Option<Priced>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, skipped, calls, priced } = self;
        let near = if calls.near == 0 { String::new() } else { format!("; {} agree up to rounding", calls.near) };
        write!(
            f,
            "{records} records decided again, {skipped} without a body\n  {} answers of components are the same, bit for \
             bit{near}; {} cannot be compared",
            calls.same, calls.skipped
        )?;
        priced.as_ref().map_or(Ok(()), |priced| priced.fmt(f))
    }
}

/// Lets the components of the bundles decide every record of a file again; with `with_model`, the model also reads every answer
/// again, and the costs price it from scratch. `state` is a server's folder with bundles.
///
/// # Errors
/// [`ReplayError::At`] for the first record whose decisions or sums differ, or whose bundle is not at hand.
pub fn replay(choice: &Choice, state: Option<&Path>, with_model: bool, file: &Path) -> Result<Summary, ReplayError> {
    let mut source = Source::new(choice, state)?;
    let mut models = Loaded { choice, engines: BTreeMap::new() };
    let (mut records, mut skipped) = (0, 0);
    let (mut calls, mut priced) = (Replayed::default(), with_model.then(Priced::default));
    for record in bodies(file, &mut skipped)? {
        let (header, body) = record?;
        let mut again = || -> Result<(), ReplayError> {
            let decided = source.deciding_bundles(&header)?;
            all_named(&decided, &body)?;
            let replayed = body.replay(&mut deciders(&header, &decided)?)?;
            (calls.same, calls.skipped) = (calls.same + replayed.same, calls.skipped + replayed.skipped);
            calls.near += replayed.near;
            match &mut priced {
                Some(priced) => priced.again(models.made_for(&decided)?, &decided, &header, &body),
                None => Ok(()),
            }
        };
        again().map_err(ReplayError::at(file, header.sequence))?;
        records += 1;
    }
    Ok(Summary { records, skipped, calls, priced })
}

/// Refuses a record that names other bundles than those whose constraints held.
fn all_named(decided: &[(String, Rc<DecidingBundle>)], body: &Body) -> Result<(), ReplayError> {
    let of = |(suffix, opened): &(String, Rc<DecidingBundle>)| {
        let constraints = opened.bundle.manifest().constraints.iter();
        constraints.map(|one| format!("{}{suffix}", one.name)).collect::<Vec<_>>()
    };
    let expected: BTreeSet<String> = decided.iter().flat_map(of).collect();
    let found = body.inputs.config.constraints.iter().map(|one| one.constraint.name.clone()).collect();
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    if expected == found {
        return Ok(());
    }
    Err(ReplayError::Constraints { expected: list(&expected), found: list(&found) })
}

fn deciders(header: &Header, decided: &[(String, Rc<DecidingBundle>)]) -> Result<Deciders, ReplayError> {
    let [(_, first), later @ ..] = decided else { return Err(ReplayError::NoneDecided) };
    let roles =
        |(migration, (_, opened)): (&Migration, &(String, Rc<DecidingBundle>))| Ok((migration.number, opened.roles()?));
    let later = header.migrations.iter().zip(later).map(roles).collect::<Result<_, ReplayError>>()?;
    // The networks of a record run on the processor here.
    let tolerance = if on_processor(&header.model.parts.device) { 0.0 } else { ROUNDING };
    Ok(Deciders { first: first.roles()?, later, tolerance })
}

/// Whether a model on this device runs networks on the processor, whose arithmetic is the same everywhere.
fn on_processor(device: &str) -> bool {
    device.is_empty() || device.starts_with("cpu")
}

/// The engines that read answers again: one for each set of prompt templates.
struct Loaded<'a> {
    choice: &'a Choice,
    engines: BTreeMap<String, Engine>,
}

impl Loaded<'_> {
    /// The engine with the prompt templates of the bundle that a record began with.
    fn made_for(&mut self, decided: &[(String, Rc<DecidingBundle>)]) -> Result<&Engine, ReplayError> {
        let (_, first) = decided.first().ok_or(ReplayError::NoneDecided)?;
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
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Priced {
    /// The largest difference of a sum, as a share of the budget.
    pub largest: f64,
    /// Constraints that are priced per chunk: their sums depend on where chunks ended.
    pub skipped: u64,
    /// Records that do not name their score models.
    pub unnamed: u64,
}

impl Priced {
    fn again(
        &mut self,
        engine: &Engine,
        decided: &[(String, Rc<DecidingBundle>)],
        header: &Header,
        body: &Body,
    ) -> Result<(), ReplayError> {
        header.expects(&engine.models().model, &engine.models().scores)?;
        self.unnamed += u64::from(header.scores.is_none());
        if matches!(body.outcome.status, Status::NoSafeCandidate | Status::Failed) {
            return Ok(());
        }
        for (suffix, opened) in decided {
            self.by_one(engine, opened, suffix, body)?;
        }
        if self.largest <= TOLERANCE {
            return Ok(());
        }
        let largest = self.largest;
        let found = format!("sums differ by {largest:.2e} of a budget; at most {TOLERANCE:.0e} is rounding");
        Err(ReplayError::Apart { found })
    }

    /// The constraints of one bundle, whose names in the record end with `suffix`.
    fn by_one(
        &mut self,
        engine: &Engine,
        opened: &DecidingBundle,
        suffix: &str,
        body: &Body,
    ) -> Result<(), ReplayError> {
        let costs = opened.roles()?.info().costs;
        let judged = judge_again(engine, opened, suffix, body)?;
        for entry in &opened.bundle.manifest().constraints {
            if costs.get(&entry.cost).is_none_or(|cost| cost.grain == CostGrain::Chunk) {
                self.skipped += 1;
                continue;
            }
            let now = judged.constraints.iter().find(|now| now.name == entry.name);
            let then = body.outcome.constraints.iter().find(|then| then.name.strip_suffix(suffix) == Some(&entry.name));
            let (Some(now), Some(then)) = (now, then) else {
                return Err(ReplayError::NotReported { constraint: format!("{}{suffix}", entry.name) });
            };
            let apart = (now.max_cost - then.max_cost).abs() / then.budget;
            self.largest = if apart.is_finite() { self.largest.max(apart) } else { f64::INFINITY };
        }
        Ok(())
    }
}

impl fmt::Display for Priced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { largest, skipped, unnamed } = self;
        write!(f, "\n  the model read every answer again: sums differ by at most {largest:.2e} of a budget")?;
        if *skipped > 0 {
            write!(f, "; {skipped} constraints, priced by the chunk, cannot be compared")?;
        }
        if *unnamed > 0 {
            write!(f, "\n  {unnamed} records do not name their score models: those given priced them")?;
        }
        Ok(())
    }
}

fn judge_again(engine: &Engine, opened: &DecidingBundle, suffix: &str, body: &Body) -> Result<Judgement, ReplayError> {
    let held = &body.inputs.config.constraints;
    let own = held.iter().filter_map(|one| {
        let name = one.constraint.name.strip_suffix(suffix)?;
        let known = opened.bundle.manifest().constraints.iter().any(|entry| entry.name == name);
        known.then(|| (name.to_owned(), one.constraint.budget))
    });
    let (prompt, history) = (body.inputs.prompt.clone(), body.inputs.history.clone());
    let terms = Terms { ceilings: own.collect(), ..Terms::default() };
    let request = Request { prompt, history, ..Request::default() };
    let judged = engine.under(&terms).judge_tokens(opened.prepare(engine)?, &request, &body.outcome.tokens)?;
    if let Some(failure) = judged.failures.first() {
        return Err(ReplayError::Failed { failure: failure.to_string() });
    }
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_a_model_on_the_processor_are_compared_bit_for_bit() {
        for device in ["", "cpu", "cpu, by the tensor library"] {
            assert!(on_processor(device), "{device}");
        }
        for device in ["cuda:0", "metal:0", "a cpu of my own"] {
            assert!(!on_processor(device), "{device}");
        }
    }
}
