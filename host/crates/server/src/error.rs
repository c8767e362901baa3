//! Errors as OpenAI's clients expect them.

use crate::{
    deploy::{Denied, DeployError, StoreError},
    end::End,
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use inferenceguard_gateways::{Problem, Refused, error_kind};
use inferenceguard_host::EngineError;
use inferenceguard_search::SearchError;
use serde_json::{Value, json};

/// What clients read when a model can give no answer.
const BROKEN: &str = "the model cannot answer; the server's log says why";

/// What clients read when a request failed for a reason that is not theirs.
const FAILED: &str = "the request failed; the server's log says why";

/// An error that a client gets in place of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) code: &'static str,
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), param: None, code, retry_after: None }
    }

    /// A field of a request has a wrong value.
    pub(crate) fn bad(param: &str, message: impl Into<String>) -> Self {
        Self::with_code("invalid_value", param, message)
    }

    /// A field of a request is wrong: 400 with this code.
    pub(crate) fn with_code(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// An error with `Retry-After`.
    pub(crate) fn later(status: StatusCode, code: &'static str, message: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(status, code, message) }
    }

    /// A model can give no answer. Why is for operators: it may hold URLs of engines, and texts of engines.
    pub(crate) fn model_broken(why: &str) -> Self {
        tracing::error!(why, "a model cannot answer");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "model_broken", BROKEN)
    }

    /// The same error by the names of another interface: each pair is the name of a field, and its name there.
    pub(crate) fn rename_param(mut self, names: &[(&str, &str)]) -> Self {
        let there = |param: &String| names.iter().find(|(name, _)| *name == param.as_str());
        if let Some((_, name)) = self.param.as_ref().and_then(there) {
            self.param = Some((*name).to_owned());
        }
        self
    }

    /// How a request with this error ended.
    pub(crate) fn end(&self) -> End {
        End::of_error(self.code, self.status)
    }

    /// The body in OpenAI's shape.
    pub(crate) fn body(&self) -> Value {
        json!({ "error": {
            "message": self.message, "type": error_kind(self.status.as_u16()), "param": self.param, "code": self.code,
        } })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        response.extensions_mut().insert(self.end());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self { param: problem.param, ..Self::new(StatusCode::BAD_REQUEST, problem.code, problem.message) }
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let ApiError { status, code, message, retry_after, .. } = error;
        Self { status: status.as_u16(), code, message, retry_after }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        if error.may_succeed_later() {
            return Self::later(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message, 1);
        }
        if error.is_cancelled() {
            return Self::later(StatusCode::SERVICE_UNAVAILABLE, "cancelled", message, 1);
        }
        if matches!(error, EngineError::Broken { .. }) {
            return Self::model_broken(&message);
        }
        let bad = |code| Self { param: Some(param(&error)), ..Self::new(StatusCode::BAD_REQUEST, code, &*message) };
        match &error {
            EngineError::DoesNotFit { .. } => bad("context_length_exceeded"),
            _ if error.is_callers_fault() => bad("invalid_value"),
            _ => {
                tracing::error!(%error, "a request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", FAILED)
            }
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "denied", denied.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the server's state could not be saved");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_error", error.to_string())
    }
}

impl From<DeployError> for ApiError {
    fn from(error: DeployError) -> Self {
        let refused = format!("the bundle was not activated; the old one stays: {error}");
        match error {
            DeployError::Store(error) => Self { message: refused, ..error.into() },
            DeployError::NoTrial { .. } => Self::new(StatusCode::NOT_FOUND, "no_trial", error.to_string()),
            DeployError::NothingBefore => Self::new(StatusCode::CONFLICT, "nothing_before", error.to_string()),
            DeployError::NoTrustFile { .. } | DeployError::BadTrustFile { .. } => {
                tracing::error!(%error, "the file of trusted keys cannot be used, so no bundle is trusted");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "trust_error", refused)
            }
            _ => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "bundle_refused", refused),
        }
    }
}

/// The field of a chat that caused an error of the engine.
fn param(error: &EngineError) -> String {
    match error {
        EngineError::UnknownMethod { .. } => "inferenceguard.method".to_owned(),
        EngineError::TopLogprobs { .. } => "top_logprobs".to_owned(),
        EngineError::UnknownConstraint { found: constraint, .. }
        | EngineError::LooserBudget { constraint, .. }
        | EngineError::UntrainedBudget { constraint, .. }
        | EngineError::BudgetWithinMargin { constraint, .. } => format!("inferenceguard.budgets.{constraint}"),
        EngineError::Search(SearchError::Config { field, .. }) => match field.as_str() {
            "release" => "inferenceguard.release".to_owned(),
            "temperature" | "top_p" | "min_p" | "repetition_penalty" | "max_tokens" | "stop" => field.clone(),
            // The other fields are budgets, with their constraints' names.
            other => match other.split('`').nth(1) {
                Some(constraint) => format!("inferenceguard.budgets.{constraint}"),
                None => "inferenceguard.budgets".to_owned(),
            },
        },
        // The prompt does not fit the context, or has words that the model does not know.
        _ => "messages".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::OpenError;
    use inferenceguard_bundle::{Bundle, SignatureError};
    use inferenceguard_model::ModelError;
    use std::{io, path::PathBuf};

    fn file_error(kind: io::ErrorKind) -> StoreError {
        StoreError::File { path: "state/active.json".into(), source: kind.into() }
    }

    #[test]
    fn clients_read_neither_urls_nor_texts_of_engines() {
        let why = "the engine at http://10.0.0.7:8000: it refuses /v1/completions with status 500: secret";
        let broken = EngineError::Broken { why: why.to_owned() };
        let failed = EngineError::from(ModelError::Backend(why.into()));
        for (error, status, code) in [(broken, 503, "model_broken"), (failed, 500, "engine_error")] {
            let error = ApiError::from(error);
            assert_eq!((error.status.as_u16(), error.code), (status, code));
            assert!(error.message.contains("the server's log says why"), "{error:?}");
            assert!(!error.body().to_string().contains("10.0.0.7") && !error.message.contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn a_bad_bundle_is_a_422_and_a_full_disk_or_a_bad_trust_file_a_500() {
        let no_bundle = Bundle::from_parts("name = 5", &Default::default()).unwrap_err();
        let untrusted = SignatureError::Trust("is not signed".to_owned());
        let path = PathBuf::from("trust.toml");
        let no_trust_file = DeployError::NoTrustFile { path: path.clone(), source: io::ErrorKind::NotFound.into() };
        let bad = Box::new(SignatureError::Trust("has no keys".to_owned()));
        let bad_trust_file = DeployError::BadTrustFile { path, source: bad };
        for (error, status, code, words) in [
            (OpenError::new("/no/such/folder").into(), 422, "bundle_refused", "/no/such/folder"),
            (no_bundle.into(), 422, "bundle_refused", "name"),
            (untrusted.into(), 422, "bundle_refused", "is not signed"),
            (EngineError::UnknownLane { found: "x".into() }.into(), 422, "bundle_refused", "`x`"),
            (DeployError::NothingBefore, 409, "nothing_before", "there is no earlier bundle to go back to"),
            (no_trust_file, 500, "trust_error", "trust.toml"),
            (bad_trust_file, 500, "trust_error", "the old one stays"),
            (DeployError::Store(file_error(io::ErrorKind::StorageFull)), 500, "store_error", "active.json"),
            (DeployError::Store(file_error(io::ErrorKind::PermissionDenied)), 500, "store_error", "the old one stays"),
            (DeployError::NoTrial { what: "canary" }, 404, "no_trial", "no canary is running"),
        ] {
            let reason = error.to_string();
            let error = ApiError::from(error);
            assert_eq!((error.status.as_u16(), error.code), (status, code), "{reason}");
            assert!(error.message.contains(words), "{words}: {error:?}");
            assert_eq!(error.end().is_fault(), status == 500, "{reason}");
        }
        let denial = ApiError::from(file_error(io::ErrorKind::StorageFull));
        assert_eq!((denial.status.as_u16(), denial.code), (500, "store_error"));
    }
}
