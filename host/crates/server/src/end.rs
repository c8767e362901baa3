//! How requests end. It is said once, here; what counts, traces and compares ends takes it from here.

use axum::http::StatusCode;
use inferenceguard_host::Output;
use inferenceguard_search::{Finish, Status};

/// How a choice of a request ended, or the request itself if it never came to a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With text.
    Answered,
    /// Nothing was safe.
    Refused,
    /// A component or a score model failed, and there was no answer without it.
    Failed,
    /// Its client left, or the server cut it off.
    Cancelled,
    /// The client's mistake, in what it asked for or how.
    BadRequest,
    /// Without a key that is known here.
    Unauthorized,
    /// By a client that may not.
    Forbidden,
    /// For a path or a model that is not here.
    NotFound,
    /// With too large a body.
    TooLarge,
    /// With a body that did not arrive in time.
    TooSlow,
    /// Beyond what its key may ask for.
    RateLimited,
    /// While too many others waited.
    Overloaded,
    /// Because the operator denies all requests.
    Denied,
    /// The model or the engine failed.
    Engine,
    /// Its record could not be written.
    Record,
}

impl End {
    /// The end of a choice with this output.
    pub(crate) fn of_output(output: &Output) -> Self {
        if output.finish == Finish::Cancelled {
            return Self::Cancelled;
        }
        match output.status {
            Status::WithinBudget | Status::BudgetExceeded => Self::Answered,
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
            _ => Self::of_status(status),
        }
    }

    /// Of a request of which nothing is known but the status of its error.
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

    /// As it is counted and traced.
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
            Self::Overloaded => "overloaded",
            Self::Denied => "denied",
            Self::Engine => "engine",
            Self::Record => "record",
        }
    }

    /// Whether the client got an error in place of any text. Nobody is there to get the answer that was cancelled.
    pub(crate) fn is_error(self) -> bool {
        !matches!(self, Self::Answered | Self::Refused | Self::Failed | Self::Cancelled)
    }

    /// Whether the server is to blame, and not the client.
    pub(crate) fn is_fault(self) -> bool {
        matches!(self, Self::Failed | Self::Overloaded | Self::Denied | Self::Engine | Self::Record)
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
            (503, "overloaded", End::Overloaded),
            (503, "denied", End::Denied),
            (503, "cancelled", End::Cancelled),
        ] {
            assert_eq!(End::of_error(code, StatusCode::from_u16(status).unwrap()), end, "{status} {code}");
        }
    }
}
