//! Sends spans, counts lost spans, and logs the loss.

use inferenceguard_model::lock;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// The least time between two log lines about a collector that does not accept spans.
const PAUSE: Duration = Duration::from_secs(60);

/// An exporter that logs its failures.
#[derive(Debug)]
pub(super) struct Sending<E> {
    exporter: E,
    /// Where it sends to, for the log.
    address: String,
    lost: Arc<AtomicU64>,
    failing: Mutex<Option<Failing>>,
}

/// Spans that were lost since the last log line.
#[derive(Debug)]
struct Failing {
    logged: Instant,
    lost: u64,
}

impl<E> Sending<E> {
    pub(super) fn new(exporter: E, address: String, lost: Arc<AtomicU64>) -> Self {
        Self { exporter, address, lost, failing: Mutex::default() }
    }

    /// Counts spans that were not sent, and logs the loss at most once a minute.
    fn count(&self, spans: u64, sent: &OTelSdkResult, now: Instant) {
        let mut failing = lock(&self.failing);
        let collector = self.address.as_str();
        let Err(error) = sent else {
            if failing.take().is_some() {
                tracing::warn!(collector, "spans are sent again");
            }
            return;
        };
        self.lost.fetch_add(spans, Ordering::Relaxed);
        let before = failing.take();
        let lost = spans + before.as_ref().map_or(0, |before| before.lost);
        let due = before.as_ref().is_none_or(|before| now.duration_since(before.logged) >= PAUSE);
        if due {
            tracing::warn!(collector, lost, %error, "spans could not be sent and are lost");
        }
        let logged = before.filter(|_| !due).map_or(now, |before| before.logged);
        *failing = Some(Failing { logged, lost: if due { 0 } else { lost } });
    }
}

impl<E: SpanExporter> SpanExporter for Sending<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let sent = self.exporter.export(batch).await;
        self.count(spans, &sent, Instant::now());
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_sdk::error::OTelSdkError;

    #[test]
    fn lost_spans_are_counted_and_logged_once_a_minute() {
        let sending = Sending::new((), "c".into(), Arc::default());
        let (start, failed) = (Instant::now(), Err(OTelSdkError::InternalFailure("no route".into())));
        let unlogged = || sending.failing.lock().unwrap().as_ref().map(|failing| failing.lost);
        for (second, expected) in [(0, 0), (5, 3), (30, 6), (61, 0), (70, 3)] {
            sending.count(3, &failed, start + Duration::from_secs(second));
            assert_eq!(unlogged(), Some(expected), "at {second} s");
        }
        assert_eq!(sending.lost.load(Ordering::Relaxed), 15);
        sending.count(3, &Ok(()), start + Duration::from_secs(80));
        assert_eq!((unlogged(), sending.lost.load(Ordering::Relaxed)), (None, 15));
    }
}
