//! Runs the choices of a request, each on a thread of its own, and sends what happens through a channel.

use super::seed;
use crate::{admission::Slot, app::App, arrival::Arrival, deploy::without_canary, end::End, error::ApiError, failures};
use axum::http::StatusCode;
use inferenceguard_host::{CancelToken, EngineError, Event, Output, Request, Terms};
use inferenceguard_model::Token;
use inferenceguard_search::{Finish, Status};
use std::{cell::Cell, sync::Arc, time::Instant};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::spawn_blocking,
};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What happens to the choices of a request; each event but the first names its choice by its index.
#[derive(Debug)]
pub(crate) enum ChoiceEvent {
    /// The request fits, and a choice of it begins.
    Begun,
    /// More text.
    Text(usize, String),
    /// The end. It is boxed because an output is large.
    Ended(usize, Result<Box<Output>, ApiError>),
}

/// A running request.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) cancel: CancelToken,
    pub(crate) arrival: Arc<Arrival>,
    pub(crate) terms: Terms,
    /// Whether the client gets text before the answer is whole.
    pub(crate) streams: bool,
}

/// One choice of a running request.
struct ChoiceJob {
    app: Arc<App>,
    job: Job,
    index: usize,
    sender: UnboundedSender<ChoiceEvent>,
}

/// An answer for the shadow to judge.
type ShadowInput = (Request, Terms, Vec<Token>, Status);

/// Runs a choice in each slot. The first has the request's seed, the next ones the seeds after it.
pub(crate) fn start(
    app: &Arc<App>,
    request: Request,
    slots: Vec<Slot>,
    job: &Job,
) -> UnboundedReceiverStream<ChoiceEvent> {
    let (sender, receiver) = unbounded_channel();
    job.arrival.has_choices();
    for (index, slot) in slots.into_iter().enumerate() {
        let seed = request.seed.map(|first| seed::of_choice(first, index));
        let choice = ChoiceJob { app: Arc::clone(app), job: job.clone(), index, sender: sender.clone() };
        tokio::spawn(choice.run_and_judge(Request { seed, ..request.clone() }, slot));
    }
    UnboundedReceiverStream::new(receiver)
}

/// The error of a choice whose thread panicked.
pub(crate) fn lost() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", "a request was lost")
}

impl ChoiceJob {
    /// Runs the choice, then lets the shadow judge its answer.
    async fn run_and_judge(self, request: Request, slot: Slot) {
        let (app, arrival) = (Arc::clone(&self.app), Arc::clone(&self.job.arrival));
        let (sender, index, lane) = (self.sender.clone(), self.index, self.job.terms.lane.clone());
        match spawn_blocking(move || self.run(request, slot)).await {
            Ok(Some((request, terms, tokens, status))) => {
                drop(sender);
                drop(spawn_blocking(move || app.deployer.judge_by_shadow(&request, &terms, &tokens, status)));
            }
            Ok(None) => {}
            // The thread panicked, so it has reported no end.
            Err(_) => {
                arrival.span.set_end(End::Engine);
                app.metrics.count_end(End::Engine, None);
                app.deployer.count_end(lane.as_deref(), End::Engine, false);
                drop(sender.send(ChoiceEvent::Ended(index, Err(lost()))));
            }
        }
    }

    /// Runs the choice and reports its end; gives back what the shadow is to judge.
    fn run(&self, request: Request, slot: Slot) -> Option<ShadowInput> {
        let start = Instant::now();
        let (result, lane) = self.job.arrival.span.within(|| self.generate(&request));
        result.iter().for_each(|output| self.app.metrics.count_usage(output));
        let answer = self.answer(result);
        self.report(&answer, start, lane.as_deref());
        let judged = answer.as_ref().ok().filter(|output| !output.tokens.is_empty());
        let judged = judged.filter(|_| self.app.deployer.shadow_takes(self.job.number));
        let judged = judged.map(|output| (request, self.job.terms.clone(), output.tokens.clone(), output.status));
        // Before the end is sent: a client that reads it may send its next request at once.
        drop(slot);
        self.send(ChoiceEvent::Ended(self.index, answer));
        judged
    }

    /// Counts and traces an end.
    fn report(&self, answer: &Result<Box<Output>, ApiError>, start: Instant, lane: Option<&str>) {
        let (app, span, output) = (&self.app, &self.job.arrival.span, answer.as_deref().ok());
        let end = answer.as_ref().map_or_else(ApiError::end, |output| End::of_output(output));
        span.set_end(end);
        output.into_iter().for_each(|output| span.set_answer(self.index, output));
        output.into_iter().for_each(|output| failures::log(&output.failures));
        app.metrics.count_end(end, output.map(|output| (output, start.elapsed().as_secs_f64())));
        let failing = output.is_some_and(|output| !output.failures.is_empty());
        app.deployer.count_end(lane, end, failing);
    }

    /// What the client gets: an error where the record could not be written, or a denial cut the answer off.
    fn answer(&self, result: Result<Output, EngineError>) -> Result<Box<Output>, ApiError> {
        let denied = || self.app.deployer.denial.check();
        let output = match result {
            Err(error) if error.is_cancelled() => {
                denied()?;
                return Err(error.into());
            }
            result => result?,
        };
        self.app.keep_record(&output)?;
        if output.finish == Finish::Cancelled {
            denied()?;
        }
        Ok(Box::new(output))
    }

    /// Runs the engine. If the canary cannot take the request and no text has gone out, the active bundle decides. Beside the
    /// result comes its lane: a failure of the active bundle is not the canary's.
    fn generate(&self, request: &Request) -> (Result<Output, EngineError>, Option<String>) {
        let (start, is_silent) = (Instant::now(), Cell::new(true));
        let mut listen = |event| self.listen(event, start, &is_silent);
        let engine = &self.app.engine;
        let (terms, cancel) = (&self.job.terms, &self.job.cancel);
        let result = engine.under(terms).stream(request.clone(), cancel, &mut listen);
        let retry = result.as_ref().err().filter(|_| is_silent.get()).and_then(|error| without_canary(terms, error));
        match (retry, result) {
            (Some(terms), Err(error)) => {
                let result = engine.under(&terms).stream(request.clone(), cancel, &mut listen);
                self.app.deployer.count_retry(&error, result.is_ok());
                (result, terms.lane)
            }
            (_, result) => (result, terms.lane.clone()),
        }
    }

    fn listen(&self, event: Event, start: Instant, is_silent: &Cell<bool>) {
        match event {
            Event::Begun => self.send(ChoiceEvent::Begun),
            Event::Released { text } => {
                if is_silent.replace(false) {
                    self.app.metrics.observe_first_text(start.elapsed().as_secs_f64());
                }
                self.send(ChoiceEvent::Text(self.index, text));
            }
            Event::Progress(progress) => self.app.admission.live.advance(self.job.number, progress),
            Event::CutOff { output } => {
                self.app.metrics.count_usage(&output);
                // The client gets the error of the request, also where the record could not be written: the log says that.
                // Without a stream it got no text.
                if self.job.streams {
                    drop(self.app.keep_record(&output));
                }
            }
            _ => {}
        }
    }

    /// Sends an event. If the client has left, the request is cancelled and nobody needs it.
    fn send(&self, event: ChoiceEvent) {
        drop(self.sender.send(event));
    }
}
