//! How long a connection may stay open between two requests, and how long the head of a request may take.
//!
//! hyper knows one time for both. Proxies and clients keep idle connections for later requests, and a server that closes them first
//! makes those requests fail; a head that comes byte by byte must be cut off soon. So hyper gets the time between requests, and the
//! clock of each connection shortens it once the first byte of a head has come.

use hyper::rt::{Sleep, Timer};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The bytes that one connection has received.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<AtomicU64>);

impl Received {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The clock of one connection, from which hyper has the deadline of each head.
pub(crate) struct HeadTimer {
    received: Received,
    /// From the first byte of a head, or from the start of the connection, to the end of the head.
    read: Duration,
}

impl HeadTimer {
    pub(crate) fn new(received: Received, read: Duration) -> Self {
        Self { received, read }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let before = self.received.count();
        // The first head is expected at once.
        let deadline = if before == 0 { deadline.min(self.now() + self.read) } else { deadline };
        let sleep = Box::pin(tokio::time::sleep_until(deadline.into()));
        Box::pin(HeadTime { sleep, received: self.received.clone(), before, read: self.read, begun: before == 0 })
    }
}

/// Ends at the deadline of one head.
struct HeadTime {
    sleep: Pin<Box<tokio::time::Sleep>>,
    received: Received,
    /// The bytes that came before this head.
    before: u64,
    read: Duration,
    /// Whether the deadline is that of a head, and no longer that of the time between requests.
    begun: bool,
}

impl Sleep for HeadTime {}

impl Future for HeadTime {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun && self.received.count() != self.before {
            self.begun = true;
            let deadline = self.sleep.deadline().min(tokio::time::Instant::now() + self.read);
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}
