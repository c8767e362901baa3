//! Server-sent events.

use super::{
    answer::{Head, Style},
    ask::Asked,
    job::{self, Job, Said},
};
use crate::{app::App, auth::Admitted, live::Entry};
use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream::{self, StreamExt};
use inferenceguard_host::Output;
use serde_json::Value;
use std::{convert::Infallible, sync::Arc};

/// What a stream remembers between its events.
struct Told {
    app: Arc<App>,
    head: Head,
    logprobs: bool,
    include_usage: bool,
    /// Choices that have not ended.
    open: u32,
    outputs: Vec<Output>,
    failed: bool,
    // Dropped with the stream: a client that leaves cancels its request and gives back its place.
    _entry: Entry,
    _admitted: Admitted,
}

/// Answers with a stream of events, up to `[DONE]`.
pub(crate) fn respond(
    app: Arc<App>,
    asked: &Asked,
    head: Head,
    entry: Entry,
    admitted: Admitted,
    job: &Job,
) -> Response {
    let said = job::start(&app, &asked.request, asked.choices, job);
    let beginnings: Vec<Value> = match head.style {
        Style::Chat => (0..asked.choices as usize).map(|index| head.beginning(index)).collect(),
        Style::Completion => Vec::new(),
    };
    let mut told = Told {
        app,
        head,
        logprobs: asked.logprobs,
        include_usage: asked.include_usage,
        open: asked.choices,
        outputs: Vec::new(),
        failed: false,
        _entry: entry,
        _admitted: admitted,
    };
    let events = stream::iter(beginnings.into_iter().map(|value| event(&value)).collect::<Vec<_>>())
        .chain(said.flat_map(move |said| stream::iter(told.events(said))))
        .map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

fn event(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

impl Told {
    /// The events of one thing said.
    fn events(&mut self, said: Said) -> Vec<Event> {
        if self.failed {
            return Vec::new();
        }
        match said {
            Said::Text(index, text) => vec![event(&self.head.text(index, &text))],
            Said::Ended(index, Ok(output)) => self.ended(index, *output),
            Said::Ended(_, Err(error)) => {
                // The status line is out already.
                self.failed = true;
                vec![event(&error.body())]
            }
        }
    }

    fn ended(&mut self, index: usize, output: Output) -> Vec<Event> {
        let tokenizer = self.logprobs.then(|| self.app.engine.tokenizer());
        let mut events = vec![event(&self.head.ending(index, &output, tokenizer.as_deref()))];
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
