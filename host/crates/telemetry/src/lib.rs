//! Log lines to stderr, and spans to an OpenTelemetry collector if one is named.
//!
//! [`begin`] installs both for the whole process.
//!
//! **Invariant**: an event is one line, and no text in it moves the cursor.

mod lines;
mod sending;
mod spans;

pub use spans::Spans;

use lines::OneLine;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
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
/// The name of the service if the standard's variables do not name it.
const SERVICE: &str = "inferenceguard";

/// Log lines or spans that cannot be shown or sent as the environment asks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable has a value that is not supported.
    #[error("{name}: {problem}")]
    Variable {
        /// The variable.
        name: String,
        /// What was found, and what was expected.
        problem: String,
    },
    /// An address is none.
    #[error("{name}: found `{found}`; expected an address that begins with http:// or https://")]
    NoAddress {
        /// The option or variable.
        name: String,
        /// The address, without secrets.
        found: String,
    },
    /// The exporter refuses the address.
    #[error("{address}: this is no address of a collector")]
    Exporter {
        /// The address, without secrets.
        address: String,
        /// Why.
        source: ExporterBuildError,
    },
}

/// Telemetry that is on until this is dropped; then the last spans are sent.
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    lost: Arc<AtomicU64>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("sends", &self.provider.is_some()).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// The counter of spans that could not be sent.
    #[must_use]
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // A failure was logged when the spans were sent.
        if let Some(provider) = &self.provider {
            let _ = provider.shutdown();
        }
    }
}

/// Installs log lines for the process, and spans if they are to be sent: those with the target `spans_of`.
///
/// # Errors
/// [`TelemetryError::Exporter`] for an address that the exporter refuses, [`TelemetryError::Variable`] for levels of log lines that
/// cannot be read.
pub fn begin(asked: Spans, spans_of: &'static str) -> Result<Telemetry, TelemetryError> {
    let lost = Arc::default();
    let provider = match &asked {
        Spans::To(endpoint) => Some(provider(endpoint, Arc::clone(&lost))?),
        Spans::None | Spans::Off(_) => None,
    };
    let spans = provider.as_ref().map(|provider| {
        // No other spans and no events: log lines of components may quote prompts.
        let requests = filter_fn(move |about| about.is_span() && about.target() == spans_of);
        tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE)).with_filter(requests)
    });
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| OneLine(stderr()))
        .with_ansi(false)
        .without_time()
        .with_filter(levels(spans::variable(LOG_VARIABLE)?)?);
    tracing_subscriber::registry().with(lines).with(spans).init();
    if let Spans::Off(variable) = asked {
        tracing::warn!("spans are not sent: {variable} says so");
    }
    Ok(Telemetry { provider, lost })
}

/// Which log lines are shown: those of this text, or of level `warn` on.
fn levels(asked: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let asked = asked.unwrap_or_else(|| "warn".to_owned());
    EnvFilter::try_new(&asked).map_err(|error| TelemetryError::Variable {
        name: LOG_VARIABLE.to_owned(),
        problem: format!("found {asked:?}; expected a level, such as warn or debug, or targets with levels: {error}"),
    })
}

fn provider(endpoint: &str, lost: Arc<AtomicU64>) -> Result<SdkTracerProvider, TelemetryError> {
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
    let mut provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
    if spans::variable("OTEL_TRACES_SAMPLER")?.is_none() {
        // By default, a client could switch off the trace of its requests.
        provider = provider.with_sampler(Sampler::AlwaysOn);
    }
    Ok(provider.build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_cannot_be_read_are_refused_by_the_name_of_the_variable() {
        for fine in [None, Some("debug"), Some("inferenceguard=info,warn")] {
            assert!(levels(fine.map(str::to_owned)).is_ok(), "{fine:?}");
        }
        for wrong in ["a=b=c", "info,x[", "inferenceguard=loud"] {
            let error = levels(Some(wrong.to_owned())).unwrap_err().to_string();
            assert!(error.contains(LOG_VARIABLE) && error.contains("expected a level"), "{error}");
        }
    }
}
