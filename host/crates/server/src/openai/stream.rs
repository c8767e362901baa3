//! Answers as server-sent events.

use super::{
    answer::{Envelope, Style},
    job::{self, ChoiceEvent},
    request::OutputOptions,
};
use crate::{app::App, error::ApiError, live::Entry};
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream::{self, StreamExt};
use inferenceguard_host::Output;
use serde_json::Value;
use std::{convert::Infallible, sync::Arc};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// The state of a stream between its events.
struct StreamState {
    app: Arc<App>,
    envelope: Envelope,
    options: OutputOptions,
    /// How many choices have not ended.
    open: u32,
    outputs: Vec<Output>,
    events: UnboundedReceiverStream<ChoiceEvent>,
    // Dropped with the stream: a client that leaves cancels its request.
    entry: Entry,
}

/// Answers with a stream of events that ends with `[DONE]`. An error that comes before the first event has its own status.
pub(crate) async fn respond(
    app: Arc<App>,
    envelope: Envelope,
    options: OutputOptions,
    choices: u32,
    mut events: UnboundedReceiverStream<ChoiceEvent>,
    entry: Entry,
) -> Result<Response, ApiError> {
    let first = match events.next().await {
        Some(ChoiceEvent::Ended(_, Err(error))) => return Err(error),
        first => first.ok_or_else(job::lost)?,
    };
    let mut sent: Vec<Event> = match envelope.style {
        Style::Chat => (0..choices as usize).map(|index| event(&envelope.start(index))).collect(),
        Style::Completion => Vec::new(),
    };
    let mut state = StreamState { app, envelope, options, open: choices, outputs: Vec::new(), events, entry };
    sent.extend(state.convert(first));
    let rest = stream::unfold(state, async |mut state| Some((state.next().await?, state)));
    let all = stream::iter(sent).chain(rest.flat_map(stream::iter)).map(Ok::<_, Infallible>);
    Ok(Sse::new(all).keep_alive(KeepAlive::default()).into_response())
}

fn event(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

impl StreamState {
    /// The next events; none after the last.
    async fn next(&mut self) -> Option<Vec<Event>> {
        if self.open == 0 {
            return None;
        }
        let event = self.events.next().await?;
        Some(self.convert(event))
    }

    /// The server-sent events of an event of a choice.
    fn convert(&mut self, choice: ChoiceEvent) -> Vec<Event> {
        match choice {
            ChoiceEvent::Begun => Vec::new(),
            ChoiceEvent::Text(index, text) => vec![event(&self.envelope.text(index, &text))],
            ChoiceEvent::Ended(index, Ok(output)) => self.end_choice(index, *output),
            ChoiceEvent::Ended(_, Err(error)) => {
                // The status line has gone out. The error ends the stream, so the other choices are cancelled.
                self.open = 0;
                self.entry.cancel.cancel();
                vec![event(&error.body())]
            }
        }
    }

    fn end_choice(&mut self, index: usize, output: Output) -> Vec<Event> {
        let tokenizer = self.options.logprobs.then(|| self.app.engine.tokenizer());
        let mut events: Vec<Event> = self.envelope.refusal(index, &output).iter().map(event).collect();
        events.push(event(&self.envelope.end(index, &output, tokenizer.as_deref())));
        self.outputs.push(output);
        self.open -= 1;
        if self.open == 0 {
            if self.options.include_usage {
                events.push(event(&self.envelope.usage(&self.outputs)));
            }
            events.push(Event::default().data("[DONE]"));
        }
        events
    }
}
