//! Requests of clients from their arrival on: each has a span, and an end that is counted, also where it never came to a
//! choice.

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

/// What asks how the server fares; it is no request.
const PROBES: [&str; 3] = ["/health", "/ready", "/metrics"];

/// A request that has arrived.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) span: RequestSpan,
    /// Whether its choices run: then each of them says how it ended.
    has_choices: AtomicBool,
}

impl Arrival {
    /// From now on its choices say how they end, each for itself.
    pub(crate) fn has_choices(&self) {
        self.has_choices.store(true, Ordering::Relaxed);
    }
}

/// Begins a request, and says how it ended if that was before its first choice.
pub(crate) async fn arrive(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if PROBES.contains(&path) {
        return next.run(request).await;
    }
    let span = RequestSpan::begin(&app, request.headers(), path);
    let arrival = Arc::new(Arrival { span, has_choices: AtomicBool::new(false) });
    request.extensions_mut().insert(Arc::clone(&arrival));
    let mut open = Open { app, arrival, end: Some(End::Cancelled) };
    let response = next.run(request).await;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    open.end = failed.then(|| response.extensions().get().copied().unwrap_or_else(|| End::of_status(status)));
    response
}

/// A request without a response; how it ended is said when this is dropped.
struct Open {
    app: Arc<App>,
    arrival: Arc<Arrival>,
    /// Before there is a response: its client left.
    end: Option<End>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(end) = self.end.filter(|_| !self.arrival.has_choices.load(Ordering::Relaxed)) else { return };
        let end = if thread::panicking() { End::Engine } else { end };
        self.arrival.span.ended(end);
        self.app.metrics.ended(end, None);
    }
}
