//! The ways a request can end. Metrics, spans and canaries use the same ones.

use axum::http::StatusCode;
use inferenceguard_host::Output;
use inferenceguard_search::{Finish, Status};

/// How a choice ended, or its request if it failed before its first choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// An answer was sent.
    Answered,
    /// No candidate was safe.
    Refused,
    /// A component or a score model failed, so no answer was sent.
    Failed,
    /// The client left, or the server cancelled the request.
    Cancelled,
    /// The request is wrong.
    BadRequest,
    /// The request has no known key.
    Unauthorized,
    /// The client may not do this.
    Forbidden,
    /// There is no such path or model.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The client has used up its limits.
    RateLimited,
    /// The judgement took longer than its deadline.
    Late,
    /// Too many other choices waited.
    Overloaded,
    /// The operator denies all requests.
    Denied,
    /// The model or the engine failed.
    Engine,
    /// The record of the answer could not be written.
    Record,
}

impl End {
    /// The end of a choice with this output.
    pub(crate) fn of_output(output: &Output) -> Self {
        if output.finish == Finish::Cancelled {
            return Self::Cancelled;
        }
        match output.status {
            Status::WithinBudget | Status::BudgetExceeded | Status::Unguarded => Self::Answered,
            Status::NoSafeCandidate => Self::Refused,
            Status::Failed => Self::Failed,
        }
    }

    /// The end of a request that got an error with this code and status.
    pub(crate) fn of_error(code: &str, status: StatusCode) -> Self {
        match code {
            "denied" => Self::Denied,
            "cancelled" => Self::Cancelled,
            "record_error" => Self::Record,
            "deadline_exceeded" => Self::Late,
            _ => Self::of_status(status),
        }
    }

    /// The end of a request that got an error with this status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::REQUEST_TIMEOUT => Self::TooSlow,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::SERVICE_UNAVAILABLE => Self::Overloaded,
            status if status.is_server_error() => Self::Engine,
            _ => Self::BadRequest,
        }
    }

    /// Its name in metrics and spans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::RateLimited => "rate_limited",
            Self::Late => "late",
            Self::Overloaded => "overloaded",
            Self::Denied => "denied",
            Self::Engine => "engine",
            Self::Record => "record",
        }
    }

    /// Whether the client got an error. A cancelled request has no client that could get one.
    pub(crate) fn is_error(self) -> bool {
        !matches!(self, Self::Answered | Self::Refused | Self::Failed | Self::Cancelled)
    }

    /// Whether the server is at fault, and not the client.
    pub(crate) fn is_fault(self) -> bool {
        matches!(self, Self::Failed | Self::Late | Self::Overloaded | Self::Denied | Self::Engine | Self::Record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_ends_as_its_code_or_its_status_says() {
        for (status, code, end) in [
            (400, "invalid_value", End::BadRequest),
            (405, "method_not_allowed", End::BadRequest),
            (415, "", End::BadRequest),
            (401, "invalid_api_key", End::Unauthorized),
            (403, "forbidden", End::Forbidden),
            (404, "model_not_found", End::NotFound),
            (408, "invalid_body", End::TooSlow),
            (413, "invalid_body", End::TooLarge),
            (429, "rate_limit_exceeded", End::RateLimited),
            (500, "engine_error", End::Engine),
            (500, "record_error", End::Record),
            (504, "deadline_exceeded", End::Late),
            (503, "overloaded", End::Overloaded),
            (503, "denied", End::Denied),
            (503, "cancelled", End::Cancelled),
        ] {
            assert_eq!(End::of_error(code, StatusCode::from_u16(status).unwrap()), end, "{status} {code}");
        }
    }
}
