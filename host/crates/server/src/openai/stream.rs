//! Server-sent events.

use super::{
    answer::{Head, Style},
    ask::Asked,
    job::{self, Job, Said},
};
use crate::{
    app::{App, Place},
    error::ApiError,
    live::Entry,
};
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream::{self, StreamExt};
use inferenceguard_host::Output;
use serde_json::Value;
use std::{convert::Infallible, sync::Arc};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What a stream remembers between its events.
struct Told {
    app: Arc<App>,
    head: Head,
    logprobs: bool,
    include_usage: bool,
    /// Choices that have not ended.
    open: u32,
    outputs: Vec<Output>,
    said: UnboundedReceiverStream<Said>,
    // Dropped with the stream: a client that leaves cancels its request.
    entry: Entry,
}

/// Answers with a stream of events, up to `[DONE]`; with an error of its own status, if that comes first.
pub(crate) async fn respond(
    app: Arc<App>,
    asked: Asked,
    head: Head,
    entry: Entry,
    places: Vec<Place>,
    job: &Job,
) -> Result<Response, ApiError> {
    let Asked { request, choices, include_usage, logprobs, .. } = asked;
    let mut said = job::start(&app, request, places, job);
    let first = match said.next().await {
        Some(Said::Ended(_, Err(error))) => return Err(error),
        first => first.ok_or_else(job::lost)?,
    };
    let mut events: Vec<Event> = match head.style {
        Style::Chat => (0..choices as usize).map(|index| event(&head.beginning(index))).collect(),
        Style::Completion => Vec::new(),
    };
    let mut told = Told { app, head, logprobs, include_usage, open: choices, outputs: Vec::new(), said, entry };
    events.extend(told.events(first));
    let rest = stream::unfold(told, async |mut told| Some((told.next().await?, told)));
    let all = stream::iter(events).chain(rest.flat_map(stream::iter)).map(Ok::<_, Infallible>);
    Ok(Sse::new(all).keep_alive(KeepAlive::default()).into_response())
}

fn event(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

impl Told {
    /// The next events; nothing after the last.
    async fn next(&mut self) -> Option<Vec<Event>> {
        if self.open == 0 {
            return None;
        }
        let said = self.said.next().await?;
        Some(self.events(said))
    }

    /// The events of one thing said.
    fn events(&mut self, said: Said) -> Vec<Event> {
        match said {
            Said::Begun => Vec::new(),
            Said::Text(index, text) => vec![event(&self.head.text(index, &text))],
            Said::Ended(index, Ok(output)) => self.ended(index, *output),
            Said::Ended(_, Err(error)) => {
                // The status line is out already; nobody will see the other choices.
                self.open = 0;
                self.entry.cancel.cancel();
                vec![event(&error.body())]
            }
        }
    }

    fn ended(&mut self, index: usize, output: Output) -> Vec<Event> {
        let tokenizer = self.logprobs.then(|| self.app.engine.tokenizer());
        let mut events: Vec<Event> = self.head.refusal(index, &output).iter().map(event).collect();
        events.push(event(&self.head.ending(index, &output, tokenizer.as_deref())));
        self.outputs.push(output);
        self.open -= 1;
        if self.open == 0 {
            if self.include_usage {
                events.push(event(&self.head.usage(&self.outputs)));
            }
            events.push(Event::default().data("[DONE]"));
        }
        events
    }
}
