//! `replay`: the components decide again, and with a model, what was emitted is priced again.

use super::{Source, args::ReplayArguments, bodies};
use crate::{engine, output};
use anyhow::{Context, bail};
use inferenceguard_host::{Engine, Judgement, Request};
use inferenceguard_record::{Body, Header, Replayed};
use inferenceguard_search::Status;

/// How far sums may lie apart that were computed in batches of another shape, as a share of the budget.
const TOLERANCE: f64 = 1e-3;

/// Replays every record of a file that has a body.
pub(crate) fn replay(arguments: &ReplayArguments) -> anyhow::Result<()> {
    let mut source = Source::new(&arguments.guard, arguments.state.as_deref())?;
    let model = arguments.with_model.then(|| model(arguments)).transpose()?;
    let (mut records, mut migrated, mut skipped) = (0_u64, 0_u64, 0);
    let (mut calls, mut largest) = (Replayed::default(), 0.0_f64);
    for record in bodies(&arguments.file, &mut skipped)? {
        let (header, body) = record?;
        let place = || format!("{}, record {}", arguments.file.display(), header.sequence);
        if header.generations.len() > 1 {
            migrated += 1;
            continue;
        }
        let replayed = body.replay(&mut source.roles(&header).with_context(place)?).with_context(place)?;
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
        "{file}: {records} records decided again, {migrated} of several bundles left out, {skipped} without a body\n  {} answers of components are the same, bit \
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
    let outcome = &body.outcome;
    if outcome.status == Status::NoSafeCandidate {
        return Ok(0.0);
    }
    let budgets = header.budgets.iter().map(|(name, budget)| (name.clone(), *budget)).collect();
    let (prompt, history) = (body.inputs.prompt.clone(), body.inputs.history.clone());
    let request = Request { prompt, history, ceilings: budgets, ..Request::default() };
    let judge = engine.prepare(&source.bundle(header)?)?;
    let judged = engine.judge_tokens(&judge, &request, &outcome.tokens)?;
    let apart = apart(&judged, body);
    if apart > TOLERANCE {
        bail!("sums differ by {apart:.2e} of a budget; at most {TOLERANCE:.0e} is rounding");
    }
    Ok(apart)
}

fn apart(judged: &Judgement, body: &Body) -> f64 {
    let pairs = judged.constraints.iter().zip(&body.outcome.constraints);
    pairs.map(|(now, then)| (now.max_cost - then.max_cost).abs() / then.budget).fold(0.0, f64::max)
}
