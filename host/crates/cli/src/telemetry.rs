//! Where log lines and spans go: lines to stderr, spans to an OpenTelemetry collector if one is named.

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

/// Names the level of log lines that are shown.
const LOG_VARIABLE: &str = "INFERGUARD_LOG";
/// What the service is called if `OTEL_SERVICE_NAME` does not say.
const SERVICE: &str = "inferenceguard";

/// Sends off what is left when it is dropped.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        // The collector may be gone; nobody is left to be told.
        if let Some(provider) = &self.0 {
            let _ = provider.shutdown();
        }
    }
}

/// Begins; `collector` is the base address of one that takes OTLP over HTTP (`http://localhost:4318`).
pub(crate) fn begin(collector: Option<&str>) -> anyhow::Result<Telemetry> {
    let provider = collector.map(provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        // Spans of requests and no more: what components log may quote what they read.
        let requests = filter_fn(|about| about.is_span() && about.target() == inferenceguard_server::REQUEST_SPANS);
        tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE)).with_filter(requests)
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_filter(EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn")));
    tracing_subscriber::registry().with(lines).with(spans).init();
    Ok(Telemetry(provider))
}

fn provider(collector: &str) -> anyhow::Result<SdkTracerProvider> {
    // Fails only if there is one already, which will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let endpoint = format!("{}/v1/traces", collector.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(&endpoint).build();
    let exporter = exporter.with_context(|| format!("--otlp {collector}: no address of a collector"))?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(SERVICE);
    }
    let mut provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
    if std::env::var_os("OTEL_TRACES_SAMPLER").is_none() {
        // Or a client could say that its requests leave no trace.
        provider = provider.with_sampler(Sampler::AlwaysOn);
    }
    Ok(provider.build())
}
