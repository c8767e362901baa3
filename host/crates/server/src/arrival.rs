//! Middleware that gives every request of a client a span and counts its end, also if it fails before its first choice.

use crate::{app::App, end::End, span::RequestSpan};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Paths that ask for the server's health. They are not counted as requests.
const PROBES: [&str; 3] = ["/health", "/ready", "/metrics"];

/// A request that has arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) span: RequestSpan,
    /// Whether its choices run: then each of them reports its own end.
    has_choices: AtomicBool,
}

impl Arrival {
    /// From now on its choices report their own ends.
    pub(crate) fn has_choices(&self) {
        self.has_choices.store(true, Ordering::Relaxed);
    }
}

/// Begins the span of a request, and reports its end if it has no choices.
pub(crate) async fn arrive(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if PROBES.contains(&path) {
        return next.run(request).await;
    }
    let span = RequestSpan::begin(&app, request.headers(), path);
    let mut open = Open::begin(app, span);
    request.extensions_mut().insert(Arc::clone(&open.arrival));
    let response = next.run(request).await;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    open.end = failed.then(|| response.extensions().get().copied().unwrap_or_else(|| End::of_status(status)));
    response
}

/// A request that may end without choices; its end is reported when this is dropped.
pub(crate) struct Open {
    app: Arc<App>,
    pub(crate) arrival: Arc<Arrival>,
    /// [`End::Cancelled`] until there is a response: the client left before it. None if the response is not an error.
    pub(crate) end: Option<End>,
}

impl Open {
    /// A request that has just come.
    pub(crate) fn begin(app: Arc<App>, span: RequestSpan) -> Self {
        let arrival = Arc::new(Arrival { span, has_choices: AtomicBool::new(false) });
        Self { app, arrival, end: Some(End::Cancelled) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(end) = self.end.filter(|_| !self.arrival.has_choices.load(Ordering::Relaxed)) else { return };
        let end = if thread::panicking() { End::Engine } else { end };
        self.arrival.span.set_end(end);
        self.app.metrics.count_end(end, None);
    }
}
