//! The spans that are sent, and the collector that they are sent to.

use crate::{SERVICE, TelemetryError, sending::Sending, spans};
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::Sampler};
use std::sync::{Arc, atomic::AtomicU64};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

pub(crate) use opentelemetry_sdk::trace::SdkTracerProvider as Provider;

/// What hands the spans with the target `spans_of` to a provider.
pub(crate) fn layer<S>(provider: &Provider, spans_of: &'static str) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // No other spans and no events: log lines of components may quote prompts.
    let requests = filter_fn(move |about| about.is_span() && about.target() == spans_of);
    tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE)).with_filter(requests)
}

/// Sends spans to this address.
pub(crate) fn provider(endpoint: &str, lost: Arc<AtomicU64>) -> Result<Provider, TelemetryError> {
    // Fails only if the process has a provider already, which will do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint).build();
    let address = spans::without_secrets(endpoint);
    let exporter = exporter.map_err(|source| TelemetryError::Exporter { address: address.clone(), source })?;
    let mut resource = Resource::builder();
    if !spans::names_service(spans::variable)? {
        resource = resource.with_service_name(SERVICE);
    }
    let exporter = Sending::new(exporter, address, lost);
    let mut provider = Provider::builder().with_batch_exporter(exporter).with_resource(resource.build());
    if spans::variable("OTEL_TRACES_SAMPLER")?.is_none() {
        // By default, a client could switch off the trace of its requests.
        provider = provider.with_sampler(Sampler::AlwaysOn);
    }
    Ok(provider.build())
}

/// Sends the last spans.
pub(crate) fn end(provider: &Provider) {
    // A failure was logged when the spans were sent.
    let _ = provider.shutdown();
}
