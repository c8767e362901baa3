//! Where log lines and spans go: lines to stderr, spans to an OpenTelemetry collector if one is named.

mod asked;
mod lines;
mod sending;

pub(crate) use asked::Spans;

use anyhow::Context;
use lines::OneLine;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use sending::Sending;
use std::{
    io::stderr,
    sync::{Arc, atomic::AtomicU64},
};
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

/// Names the level of log lines that are shown.
const LOG_VARIABLE: &str = "INFERGUARD_LOG";
/// What the service is called if the standard's variables do not say.
const SERVICE: &str = "inferenceguard";

/// Sends off what is left when it is dropped.
pub(crate) struct Telemetry {
    provider: Option<SdkTracerProvider>,
    lost: Arc<AtomicU64>,
}

impl Telemetry {
    /// How many spans could not be sent.
    pub(crate) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // What fails now was said when it was tried.
        if let Some(provider) = &self.provider {
            let _ = provider.shutdown();
        }
    }
}

/// Begins, with spans as they are asked for.
pub(crate) fn begin(asked: Spans) -> anyhow::Result<Telemetry> {
    let lost = Arc::default();
    let provider = match &asked {
        Spans::To(endpoint) => Some(provider(endpoint, Arc::clone(&lost))?),
        Spans::None | Spans::Off(_) => None,
    };
    let spans = provider.as_ref().map(|provider| {
        // Spans of requests and no more: what components log may quote what they read.
        let requests = filter_fn(|about| about.is_span() && about.target() == inferenceguard_server::REQUEST_SPANS);
        tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE)).with_filter(requests)
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| OneLine(stderr()))
        .with_ansi(false)
        .without_time()
        .with_filter(EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn")));
    tracing_subscriber::registry().with(lines).with(spans).init();
    if let Spans::Off(variable) = asked {
        tracing::warn!("spans are not sent: {variable} says so");
    }
    Ok(Telemetry { provider, lost })
}

fn provider(endpoint: &str, lost: Arc<AtomicU64>) -> anyhow::Result<SdkTracerProvider> {
    // Fails only if there is one already, which will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint).build();
    let address = asked::without_secrets(endpoint);
    let exporter = exporter.with_context(|| format!("{address}: this is no address of a collector"))?;
    let mut resource = Resource::builder();
    if !asked::names_service(asked::variable)? {
        resource = resource.with_service_name(SERVICE);
    }
    let exporter = Sending::new(exporter, address, lost);
    let mut provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
    if asked::variable("OTEL_TRACES_SAMPLER")?.is_none() {
        // Or a client could say that its requests leave no trace.
        provider = provider.with_sampler(Sampler::AlwaysOn);
    }
    Ok(provider.build())
}
