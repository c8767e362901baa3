//! What Envoy is asked to do.

use crate::proto::{
    BodyMode, BodyMutation, CommonResponse, HeaderMutation, HeaderValue, HeaderValueOption, HttpStatus,
    ImmediateResponse, NewBody, Outgoing, PartResponse, ProcessingMode, ProcessingResponse, TrailersResponse,
};
use inferenceguard_gateways::{Problem, Refused, chat, error_kind};

/// Replaces earlier values of a header.
const OVERWRITE: i32 = 2;

/// An error in place of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocked {
    status: u16,
    code: &'static str,
    message: String,
    retry_after: Option<u64>,
}

impl Blocked {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// An unsafe text.
    pub(crate) fn refusal(refusal: &str) -> Self {
        Self::new(403, "blocked", refusal)
    }

    /// A response of the server behind Envoy that cannot be judged. Its own status stays if it is an error.
    pub(crate) fn not_understood(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(if (400..600).contains(&status) { status } else { 502 }, code, message)
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The reply that ends the exchange with this error.
    pub(crate) fn reply(&self) -> ProcessingResponse {
        let mut headers = vec![header("content-type", "application/json".to_owned())];
        headers.extend(self.retry_after.map(|seconds| header("retry-after", seconds.to_string())));
        of(Outgoing::ImmediateResponse(ImmediateResponse {
            status: Some(HttpStatus { code: self.status.into() }),
            headers: Some(HeaderMutation { set_headers: headers, remove_headers: Vec::new() }),
            body: chat::error(error_kind(self.status), self.code, &self.message).to_string().into_bytes(),
            details: format!("inferenceguard_{}", self.code),
        }))
    }
}

impl From<Refused> for Blocked {
    fn from(refused: Refused) -> Self {
        let Refused { status, code, message, retry_after } = refused;
        Self { status, code, message, retry_after }
    }
}

impl From<Problem> for Blocked {
    fn from(problem: Problem) -> Self {
        Self::new(400, problem.code, problem.message)
    }
}

fn header(key: &str, value: String) -> HeaderValueOption {
    let header = HeaderValue { key: key.to_owned(), value: String::new(), raw_value: value.into_bytes() };
    HeaderValueOption { header: Some(header), append_action: OVERWRITE }
}

fn of(response: Outgoing) -> ProcessingResponse {
    ProcessingResponse { response: Some(response), mode_override: None }
}

fn part(header_mutation: Option<HeaderMutation>, body: Option<NewBody>) -> PartResponse {
    let body_mutation = body.map(|body| BodyMutation { mutation: Some(body) });
    PartResponse { response: Some(CommonResponse { header_mutation, body_mutation }) }
}

fn without(header: &str) -> HeaderMutation {
    HeaderMutation { set_headers: Vec::new(), remove_headers: vec![header.to_owned()] }
}

/// The request goes on as it is.
pub(crate) fn open_request() -> ProcessingResponse {
    of(Outgoing::RequestHeaders(part(None, None)))
}

/// The request goes on, and its response must not be packed.
pub(crate) fn chat_request() -> ProcessingResponse {
    of(Outgoing::RequestHeaders(part(Some(without("accept-encoding")), None)))
}

/// The body of the request goes on as it is.
pub(crate) fn request_body() -> ProcessingResponse {
    of(Outgoing::RequestBody(part(None, None)))
}

/// The headers of an unguarded response go on.
pub(crate) fn open_response() -> ProcessingResponse {
    of(Outgoing::ResponseHeaders(part(None, None)))
}

/// The headers of a guarded response go on. Its length may change, and its body should come in this mode.
pub(crate) fn guarded_response(mode: BodyMode) -> ProcessingResponse {
    let modes = ProcessingMode { request_body_mode: BodyMode::Buffered.into(), response_body_mode: mode.into() };
    let reply = of(Outgoing::ResponseHeaders(part(Some(without("content-length")), None)));
    ProcessingResponse { mode_override: Some(modes), ..reply }
}

/// The piece of a response goes on as it is.
pub(crate) fn same_body() -> ProcessingResponse {
    of(Outgoing::ResponseBody(part(None, None)))
}

/// Other bytes go on in place of the piece.
pub(crate) fn body(bytes: Vec<u8>) -> ProcessingResponse {
    let body = if bytes.is_empty() { NewBody::Clear(true) } else { NewBody::Body(bytes) };
    of(Outgoing::ResponseBody(part(None, Some(body))))
}

/// Trailers of the request go on.
pub(crate) fn request_trailers() -> ProcessingResponse {
    of(Outgoing::RequestTrailers(TrailersResponse::default()))
}

/// Trailers of the response go on.
pub(crate) fn response_trailers() -> ProcessingResponse {
    of(Outgoing::ResponseTrailers(TrailersResponse::default()))
}
