//! `replay`: the components decide again, and with a model, what was emitted is priced again.

use super::{Source, args::ReplayArguments, bodies};
use crate::{engine, output};
use anyhow::{Context, bail};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, Judgement, Request};
use inferenceguard_record::{Body, Header, Replayed};
use inferenceguard_search::{ConstraintReport, Status};

/// How far sums may lie apart that were computed in batches of another shape, as a share of the budget.
const TOLERANCE: f64 = 1e-3;

/// Replays every record of a file that has a body.
pub(crate) fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let mut source = Source::new(&arguments.guard, arguments.state.as_deref())?;
    let model = arguments.with_model.then(|| model(arguments)).transpose()?;
    let (mut records, mut skipped) = (0_u64, 0);
    let (mut calls, mut largest) = (Replayed::default(), 0.0_f64);
    for record in bodies(&arguments.file, &mut skipped)? {
        let (header, body) = record?;
        let place = || format!("{}, record {}", arguments.file.display(), header.sequence);
        let replayed = body.replay(&mut source.deciders(&header).with_context(place)?).with_context(place)?;
        (calls.same, calls.skipped) = (calls.same + replayed.same, calls.skipped + replayed.skipped);
        if let Some(engine) = &model {
            largest = largest.max(priced_again(engine, &source, &header, &body).with_context(place)?);
        }
        records += 1;
    }
    let file = arguments.file.display();
    let model = match model {
        Some(_) => format!("\n  the model read every answer again: sums differ by at most {largest:.2e} of a budget"),
        None => String::new(),
    };
    output::result(format_args!(
        "{file}: {records} records decided again, {skipped} without a body\n  {} answers of components are the same, bit \
         for bit; {} cannot be compared{model}",
        calls.same, calls.skipped
    ))
}

fn model(arguments: &ReplayArguments) -> anyhow::Result<Engine> {
    engine::open(&arguments.guard, &[], &[])
}

/// How far the sums of an answer are from what was recorded, as a share of the budget.
fn priced_again(engine: &Engine, source: &Source<'_>, header: &Header, body: &Body) -> anyhow::Result<f64> {
    if engine.model().fingerprint != header.model.fingerprint {
        bail!("another model answered: {} ({})", header.model.name, header.model.fingerprint);
    }
    if body.outcome.status == Status::NoSafeCandidate {
        return Ok(0.0);
    }
    let mut largest = judged(engine, &source.bundle(&header.bundle, &header.method)?, header, body, "")?;
    for later in &header.migrations {
        let bundle = source.bundle(&later.bundle, &later.method)?;
        largest = largest.max(judged(engine, &bundle, header, body, &format!("@{}", later.number))?);
    }
    if largest > TOLERANCE {
        bail!("sums differ by {largest:.2e} of a budget; at most {TOLERANCE:.0e} is rounding");
    }
    Ok(largest)
}

/// The same for the constraints of one bundle, whose names in the record end with `suffix`.
fn judged(engine: &Engine, bundle: &Bundle, header: &Header, body: &Body, suffix: &str) -> anyhow::Result<f64> {
    let own = |name: &str| bundle.manifest().constraints.iter().any(|one| one.name == name);
    let budget = |(name, budget): (&String, &f64)| {
        let name = name.strip_suffix(suffix).filter(|name| own(name))?;
        Some((name.to_owned(), *budget))
    };
    let ceilings = header.budgets.iter().filter_map(budget).collect();
    let (prompt, history) = (body.inputs.prompt.clone(), body.inputs.history.clone());
    let request = Request { prompt, history, ceilings, ..Request::default() };
    let judged = engine.judge_tokens(&engine.prepare(bundle)?, &request, &body.outcome.tokens)?;
    Ok(apart(&judged, body, suffix))
}

fn apart(judged: &Judgement, body: &Body, suffix: &str) -> f64 {
    let apart = |now: &ConstraintReport| {
        let then = body.outcome.constraints.iter().find(|then| then.name.strip_suffix(suffix) == Some(&now.name));
        then.map_or(f64::INFINITY, |then| (now.max_cost - then.max_cost).abs() / then.budget)
    };
    judged.constraints.iter().map(apart).fold(0.0, f64::max)
}
