//! Attributes and parents of spans, by OpenTelemetry.

use axum::http::HeaderMap;
use opentelemetry::{Array, StringValue, propagation::TextMapPropagator};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;

pub(crate) use opentelemetry::Value;
pub(crate) use tracing_opentelemetry::OpenTelemetrySpanExt as Attributes;

/// Makes a span a child of the caller's, if the headers name one (W3C Trace Context).
pub(crate) fn join(span: &Span, headers: &HeaderMap) {
    // This fails only if there is no OpenTelemetry layer.
    let _ = span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(headers)));
}

/// A list of numbers.
pub(crate) fn numbers(all: Vec<i64>) -> Value {
    Value::Array(Array::I64(all))
}

/// A list of texts.
pub(crate) fn texts(all: Vec<&'static str>) -> Value {
    let all: Vec<StringValue> = all.into_iter().map(Into::into).collect();
    Value::Array(Array::String(all))
}
