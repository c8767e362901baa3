//! One choice on a thread of its own, from the engine to a channel.

use crate::{app::App, error::ApiError, settings::InFlight, span::RequestSpan, trials};
use inferenceguard_host::{CancelToken, EngineError, Event, Output, Request};
use std::{sync::Arc, time::Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What a choice says.
#[derive(Debug)]
pub(crate) enum Said {
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
    pub(crate) span: Arc<RequestSpan>,
}

/// Asks for every choice; the first with the request's seed, the next with those after it.
pub(crate) fn start(app: &Arc<App>, request: &Request, choices: u32, job: &Job) -> UnboundedReceiverStream<Said> {
    let (sender, receiver) = unbounded_channel();
    let first = request.seed.unwrap_or_default();
    for index in 0..choices {
        let (seed, record) = (Some(first.wrapping_add(index.into())), app.records.is_some());
        // A tenant's own lane comes before any trial.
        let lane = request.lane.clone().or_else(|| app.trials.lane(job.number));
        let migrate = app.settings.in_flight == InFlight::Migrate;
        let request = Request { seed, record, lane, migrate, ..request.clone() };
        let (app, job, sender) = (Arc::clone(app), job.clone(), sender.clone());
        tokio::task::spawn_blocking(move || run(&app, request, &job, index as usize, &sender));
    }
    UnboundedReceiverStream::new(receiver)
}

fn run(app: &App, request: Request, job: &Job, index: usize, sender: &UnboundedSender<Said>) {
    let start = Instant::now();
    let result = job.span.within(|| ask(app, &request, job, index, sender));
    job.span.ended(&result);
    match &result {
        Ok(output) => app.metrics.answered(output, start.elapsed().as_secs_f64()),
        Err(error) => app.metrics.failed(error),
    }
    let lane = result.as_ref().map_or(request.lane.as_deref(), |output| output.lane.as_deref());
    app.trials.ended(lane, &result, &app.bundles);
    let shadow = result.as_ref().ok().filter(|output| app.trials.looks(job.number) && !output.tokens.is_empty());
    let shadow = shadow.map(|output| (output.tokens.clone(), output.status));
    let kept = result.map_err(ApiError::from).and_then(|output| app.keep(&output).map(|()| Box::new(output)));
    drop(sender.send(Said::Ended(index, kept)));
    if let Some((tokens, said)) = shadow {
        app.trials.look(&request, &tokens, said, &app.metrics);
    }
}

/// Whoever listened may have left: then the request is cancelled, and nobody misses what is said.
fn ask(
    app: &App,
    request: &Request,
    job: &Job,
    index: usize,
    sender: &UnboundedSender<Said>,
) -> Result<Output, EngineError> {
    let (start, mut silent) = (Instant::now(), true);
    let mut hear = |event| match event {
        Event::Released { text } => {
            if std::mem::take(&mut silent) {
                app.metrics.first_text(start.elapsed().as_secs_f64());
            }
            drop(sender.send(Said::Text(index, text)));
        }
        Event::Progress(progress) => app.live.advance(job.number, progress),
        _ => {}
    };
    match app.engine.stream(request.clone(), &job.cancel, &mut hear) {
        // A tenant's own lane is never left; a trial is nobody's trouble but its own. Nothing was said yet.
        Err(error) if trials::is_its_own(request, &error) => {
            let result = app.engine.stream(Request { lane: None, ..request.clone() }, &job.cancel, &mut hear);
            app.trials.passed_on(&error, result.is_ok());
            result
        }
        result => result,
    }
}
