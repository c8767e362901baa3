//! One span for each request, by OpenTelemetry's conventions for generative AI. The program's subscriber decides where spans go.
//!
//! A span holds prompts and answers only if the operator sets [`Settings::trace_content`].
//!
//! [`Settings::trace_content`]: crate::Settings::trace_content

use crate::{app::App, end::End, openai::finish_reason, outcome};
use axum::http::HeaderMap;
use inferenceguard_gateways::{Verdict, litellm};
use inferenceguard_host::{Output, Request};
use inferenceguard_model::{Message, lock};
use opentelemetry::{Array, StringValue, Value, propagation::TextMapPropagator};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use serde_json::json;
use std::{collections::BTreeMap, sync::Mutex};
use tracing::{Span, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of the spans of requests, and of no other span or event.
pub const REQUEST_SPANS: &str = "inferenceguard::request";

/// The span of a request. It ends when its last choice ends.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    span: Span,
    content: bool,
    /// By the index of the choice.
    answers: Mutex<BTreeMap<usize, Answer>>,
}

/// The answer of a choice.
#[derive(Debug)]
struct Answer {
    finish: &'static str,
    prompt_tokens: u64,
    completion_tokens: u64,
    text: Option<String>,
}

impl RequestSpan {
    /// Begins the span of a request to this path; no span for other paths. It is a child of the caller's span if the headers name
    /// one (W3C Trace Context).
    pub(crate) fn begin(app: &App, headers: &HeaderMap, path: &str) -> Self {
        let (content, answers) = (app.settings.trace_content, Mutex::default());
        let Some(operation) = operation(path) else { return Self { span: Span::none(), content, answers } };
        let model = app.model.as_str();
        let span = info_span!(
            target: REQUEST_SPANS,
            "request",
            "otel.name" = format!("{operation} {model}"),
            "otel.kind" = "server",
            "otel.status_code" = Empty,
            "error.type" = Empty,
            "gen_ai.operation.name" = operation,
            "gen_ai.provider.name" = "inferenceguard",
            "gen_ai.request.model" = model,
            "gen_ai.response.model" = model,
            "gen_ai.response.id" = Empty,
        );
        // This fails only if there is no OpenTelemetry layer.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(headers)));
        Self { span, content, answers }
    }

    /// Sets what the request asks for, and the id of its answer.
    pub(crate) fn set_request(&self, request: &Request, id: &str) {
        self.span.record("gen_ai.response.id", id);
        let set = |key: &'static str, value: Option<Value>| {
            value.into_iter().for_each(|value| self.span.set_attribute(key, value));
        };
        set("gen_ai.request.max_tokens", request.max_tokens.map(|most| i64::from(most).into()));
        set("gen_ai.request.seed", request.seed.map(|seed| (seed as i64).into()));
        set("gen_ai.request.temperature", request.sampling.temperature.map(|one| f64::from(one).into()));
        set("gen_ai.request.top_p", request.sampling.top_p.map(|one| f64::from(one).into()));
        set("gen_ai.input.messages", self.content.then(|| inputs(request).into()));
    }

    /// Runs `work` inside the span.
    pub(crate) fn within<R>(&self, work: impl FnOnce() -> R) -> R {
        self.span.in_scope(work)
    }

    /// Sets how the request, or a choice of it, ended.
    pub(crate) fn set_end(&self, end: End) {
        if end.is_error() || end.is_fault() {
            self.span.record("error.type", end.name());
        }
        if end.is_fault() {
            self.span.record("otel.status_code", "ERROR");
        }
    }

    /// Sets what a bundle says of a text.
    pub(crate) fn set_verdict(&self, verdict: &Verdict) {
        let span = &self.span;
        span.set_attribute("inferenceguard.status", verdict.standing.name());
        span.set_attribute("inferenceguard.bundle.name", verdict.bundle.name.clone());
        span.set_attribute("inferenceguard.bundle.digest", verdict.bundle.digest.clone());
        self.set_models(&verdict.models.model, verdict.models.scores.iter());
        let generations = vec![i64::try_from(verdict.generation).unwrap_or(i64::MAX)];
        span.set_attribute("inferenceguard.generations", Value::Array(Array::I64(generations)));
        for price in &verdict.prices {
            span.set_attribute(format!("inferenceguard.budget_remaining.{}", price.name), price.budget - price.worst());
        }
    }

    /// Sets the fingerprints of the models.
    fn set_models<'m>(&self, model: &str, scores: impl Iterator<Item = (&'m String, &'m String)>) {
        self.span.set_attribute("inferenceguard.model.fingerprint", model.to_owned());
        for (name, fingerprint) in scores {
            self.span.set_attribute(format!("inferenceguard.scores.{name}.fingerprint"), fingerprint.clone());
        }
    }

    /// Sets the answer of a choice.
    pub(crate) fn set_answer(&self, index: usize, output: &Output) {
        let span = &self.span;
        span.set_attribute("inferenceguard.status", outcome::ended(output.status, output.finish));
        span.set_attribute("inferenceguard.method", output.method.clone());
        span.set_attribute("inferenceguard.bundle.name", output.bundle.name.clone());
        span.set_attribute("inferenceguard.bundle.digest", output.bundle.digest.clone());
        let scores = output.models.scores.iter().map(|(name, one)| (name, &one.fingerprint));
        self.set_models(&output.models.model.fingerprint, scores);
        let generations: Vec<i64> = output.generations.iter().map(|number| *number as i64).collect();
        span.set_attribute("inferenceguard.generations", Value::Array(Array::I64(generations)));
        for constraint in outcome::decided(output) {
            let left = constraint.budget - constraint.max_cost;
            span.set_attribute(format!("inferenceguard.budget_remaining.{}", constraint.name), left);
        }
        let answer = Answer {
            finish: finish_reason(output),
            prompt_tokens: output.usage.prompt_tokens,
            completion_tokens: output.usage.completion_tokens,
            text: self.content.then(|| output.text.clone()),
        };
        lock(&self.answers).insert(index, answer);
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        let answers = std::mem::take(&mut *lock(&self.answers));
        let answers: Vec<Answer> = answers.into_values().collect();
        let Some(first) = answers.first() else { return };
        let span = &self.span;
        span.set_attribute("gen_ai.usage.input_tokens", first.prompt_tokens as i64);
        let output: u64 = answers.iter().map(|answer| answer.completion_tokens).sum();
        span.set_attribute("gen_ai.usage.output_tokens", output as i64);
        let reasons: Vec<StringValue> = answers.iter().map(|answer| answer.finish.into()).collect();
        span.set_attribute("gen_ai.response.finish_reasons", Value::Array(Array::String(reasons)));
        if self.content {
            span.set_attribute("gen_ai.output.messages", outputs(&answers));
        }
    }
}

/// What a span of Envoy's questions is about, in place of a path.
pub(crate) const EXT_PROC: &str = "ext_proc";

fn operation(path: &str) -> Option<&'static str> {
    match path {
        "/v1/chat/completions" => Some("chat"),
        "/v1/completions" => Some("text_completion"),
        "/v1/judge" | "/v1/moderations" | litellm::PATH | EXT_PROC => Some("judge"),
        _ => None,
    }
}

fn inputs(request: &Request) -> String {
    let turn = |message: &Message| json!({"role": message.role, "parts": [part(&message.content)]});
    let mut messages: Vec<_> = request.history.iter().map(turn).collect();
    messages.push(json!({"role": "user", "parts": [part(&request.prompt)]}));
    json!(messages).to_string()
}

fn outputs(answers: &[Answer]) -> String {
    let turn = |answer: &Answer| {
        let text = answer.text.as_deref().unwrap_or_default();
        json!({"role": "assistant", "parts": [part(text)], "finish_reason": answer.finish})
    };
    json!(answers.iter().map(turn).collect::<Vec<_>>()).to_string()
}

fn part(text: &str) -> serde_json::Value {
    json!({"type": "text", "content": text})
}
