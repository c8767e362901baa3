//! Log lines to stderr, and spans to an OpenTelemetry collector if one is named.
//!
//! [`begin`] installs both for the whole process.
//!
//! **Invariant**: an event is one line, and no text in it moves the cursor.

#[cfg(feature = "otlp")]
mod exporting;
#[cfg(not(feature = "otlp"))]
#[path = "without_exporting.rs"]
mod exporting;
mod lines;
#[cfg(feature = "otlp")]
mod sending;
mod spans;

pub use spans::Spans;

use exporting::Provider;
use lines::OneLine;
#[cfg(feature = "otlp")]
use opentelemetry_otlp::ExporterBuildError;
use std::{
    io::stderr,
    sync::{Arc, atomic::AtomicU64},
};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Names the level of log lines that are shown.
const LOG_VARIABLE: &str = "INFERGUARD_LOG";
/// The name of the service if the standard's variables do not name it.
#[cfg(feature = "otlp")]
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
    /// What was given is not an address.
    #[error("{name}: found `{found}`; expected an address that begins with http:// or https://")]
    NoAddress {
        /// The option or variable.
        name: String,
        /// The address, without secrets.
        found: String,
    },
    /// This build sends no spans.
    #[error("{address}: this build sends no spans; build it with the feature otlp, or ask for none")]
    NotBuilt {
        /// The address, without secrets.
        address: String,
    },
    /// The exporter refuses the address.
    #[cfg(feature = "otlp")]
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
    provider: Option<Provider>,
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
    pub fn lost_spans(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.provider.iter().for_each(exporting::end);
    }
}

/// Installs log lines for the process, those of `lines` unless the environment names others, and spans if they are to be sent:
/// those with the target `spans_of`. `lines` is a filter of `tracing`, such as `warn`.
///
/// # Errors
/// [`TelemetryError::Exporter`] for an address that the exporter refuses, [`TelemetryError::Variable`] for levels of log lines that
/// cannot be read.
pub fn begin(asked: Spans, spans_of: &'static str, lines: &str) -> Result<Telemetry, TelemetryError> {
    let lost = Arc::default();
    let provider = match &asked {
        Spans::To(endpoint) => Some(exporting::provider(endpoint, Arc::clone(&lost))?),
        Spans::None | Spans::Off(_) => None,
    };
    let spans = provider.as_ref().map(|provider| exporting::layer(provider, spans_of));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| OneLine(stderr()))
        .with_ansi(false)
        .without_time()
        .with_filter(levels(spans::variable(LOG_VARIABLE)?, lines)?);
    tracing_subscriber::registry().with(lines).with(spans).init();
    if let Spans::Off(variable) = asked {
        tracing::warn!("spans are not sent: {variable} says so");
    }
    Ok(Telemetry { provider, lost })
}

/// Which log lines are shown: those of this text, or else of `lines`.
fn levels(asked: Option<String>, lines: &str) -> Result<EnvFilter, TelemetryError> {
    let asked = asked.unwrap_or_else(|| lines.to_owned());
    EnvFilter::try_new(&asked).map_err(|error| TelemetryError::Variable {
        name: LOG_VARIABLE.to_owned(),
        problem: format!("found {asked:?}; expected a level, such as warn or debug, or targets with levels: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_cannot_be_read_are_refused_by_the_name_of_the_variable() {
        for fine in [None, Some("debug"), Some("inferenceguard=info,warn")] {
            assert!(levels(fine.map(str::to_owned), "warn").is_ok(), "{fine:?}");
        }
        for wrong in ["a=b=c", "info,x[", "inferenceguard=loud"] {
            let error = levels(Some(wrong.to_owned()), "warn").unwrap_err().to_string();
            assert!(error.contains(LOG_VARIABLE) && error.contains("expected a level"), "{error}");
        }
    }
}
