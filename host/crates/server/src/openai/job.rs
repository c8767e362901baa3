//! One choice on a thread of its own, from the engine to a channel.

use super::seed;
use crate::{
    app::{App, Place},
    arrival::Arrival,
    deploy::without_canary,
    end::End,
    error::ApiError,
    settings::InFlight,
};
use axum::http::StatusCode;
use inferenceguard_host::{CancelToken, EngineError, Event, Output, Request};
use inferenceguard_model::Token;
use inferenceguard_search::{Finish, Status};
use std::{cell::Cell, sync::Arc, time::Instant};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::spawn_blocking,
};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What a choice says.
#[derive(Debug)]
pub(crate) enum Said {
    /// The request fits, and this choice of it begins.
    Begun,
    /// More text.
    Text(usize, String),
    /// It ended; the output is large.
    Ended(usize, Result<Box<Output>, ApiError>),
}

/// A request under way, and what cancels it: all of it when this is dropped.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) cancel: CancelToken,
    pub(crate) arrival: Arc<Arrival>,
}

/// An answer that the shadow looks at.
type Looked = (Request, Vec<Token>, Status);

/// Asks for a choice in every place; the first with the request's seed, the next with those after it.
pub(crate) fn start(app: &Arc<App>, request: Request, places: Vec<Place>, job: &Job) -> UnboundedReceiverStream<Said> {
    let (sender, receiver) = unbounded_channel();
    job.arrival.has_choices();
    // A tenant's own lane comes before any trial.
    let lane = request.lane.clone().or_else(|| app.deployer.canary_lane(job.number));
    let (record, migrate) = (app.records.is_some(), app.settings.in_flight == InFlight::Migrate);
    let request = Arc::new(Request { record, lane, migrate, ..request });
    for (index, place) in places.into_iter().enumerate() {
        let (app, job, request, sender) = (Arc::clone(app), job.clone(), Arc::clone(&request), sender.clone());
        tokio::spawn(one(app, request, place, job, index, sender));
    }
    UnboundedReceiverStream::new(receiver)
}

/// One choice, and then the shadow's look at it.
async fn one(
    app: Arc<App>,
    request: Arc<Request>,
    place: Place,
    job: Job,
    index: usize,
    sender: UnboundedSender<Said>,
) {
    let (own, told, arrival) = (Arc::clone(&app), sender.clone(), Arc::clone(&job.arrival));
    let running = spawn_blocking(move || {
        let seed = request.seed.map(|first| seed::of_choice(first, index));
        run(&own, Request { seed, ..(*request).clone() }, place, &job, index, &told)
    });
    match running.await {
        Ok(Some((request, tokens, said))) => {
            drop(sender);
            drop(spawn_blocking(move || app.deployer.judge_by_shadow(&request, &tokens, said)));
        }
        Ok(None) => {}
        // It panicked, and nobody else will say so.
        Err(_) => {
            arrival.span.ended(End::Engine);
            app.metrics.ended(End::Engine, None);
            drop(sender.send(Said::Ended(index, Err(lost()))));
        }
    }
}

pub(crate) fn lost() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", "a request was lost")
}

fn run(
    app: &App,
    request: Request,
    place: Place,
    job: &Job,
    index: usize,
    sender: &UnboundedSender<Said>,
) -> Option<Looked> {
    let start = Instant::now();
    let result = job.arrival.span.within(|| ask(app, &request, job, index, sender));
    let lane = result.as_ref().map_or(request.lane.clone(), |output| output.lane.clone());
    result.iter().for_each(|output| app.metrics.used(output));
    let said = said(app, result);
    let (end, output) = (end_of(&said), said.as_deref().ok());
    let span = &job.arrival.span;
    span.ended(end);
    output.into_iter().for_each(|output| span.answered(index, output));
    app.metrics.ended(end, output.map(|output| (output, start.elapsed().as_secs_f64())));
    let failing = output.is_some_and(|output| !output.failures.is_empty());
    app.deployer.count_end(lane.as_deref(), end, failing);
    let looked = output.filter(|output| app.deployer.shadow_takes(job.number) && !output.tokens.is_empty());
    let looked = looked.map(|output| (output.tokens.clone(), output.status));
    // Whoever hears of the end may ask again at once.
    drop(place);
    drop(sender.send(Said::Ended(index, said)));
    looked.map(|(tokens, said)| (request, tokens, said))
}

fn end_of(result: &Result<Box<Output>, ApiError>) -> End {
    result.as_ref().map_or_else(ApiError::end, |output| End::of_output(output))
}

/// What a client is told of a choice. An answer without its record is none, nor is one that a denial cut off.
fn said(app: &App, result: Result<Output, EngineError>) -> Result<Box<Output>, ApiError> {
    let output = match result {
        Err(error) if error.is_cancelled() => {
            return Err(app.deployer.denial.check().err().map_or_else(|| error.into(), ApiError::from));
        }
        result => result?,
    };
    app.keep(&output)?;
    if output.finish == Finish::Cancelled {
        app.deployer.denial.check()?;
    }
    Ok(Box::new(output))
}

/// Whoever listened may have left: then the request is cancelled, and nobody misses what is said.
fn ask(
    app: &App,
    request: &Request,
    job: &Job,
    index: usize,
    sender: &UnboundedSender<Said>,
) -> Result<Output, EngineError> {
    let (start, silent) = (Instant::now(), Cell::new(true));
    let mut hear = |event| match event {
        Event::Begun => drop(sender.send(Said::Begun)),
        Event::Released { text } => {
            if silent.replace(false) {
                app.metrics.first_text(start.elapsed().as_secs_f64());
            }
            drop(sender.send(Said::Text(index, text)));
        }
        Event::Progress(progress) => app.live.advance(job.number, progress),
        _ => {}
    };
    let result = app.engine.stream(request.clone(), &job.cancel, &mut hear);
    // Text that a client has got is never sent again. A tenant's own lane is never left.
    let retry = result.as_ref().err().filter(|_| silent.get()).and_then(|error| without_canary(request, error));
    match (retry, result) {
        (Some(request), Err(error)) => {
            let result = app.engine.stream(request, &job.cancel, &mut hear);
            app.deployer.count_retry(&error, result.is_ok());
            result
        }
        (_, result) => result,
    }
}
