//! The messages of `envoy.service.ext_proc.v3`, as far as they are used here. Readers skip all other fields, as protobuf does.
//!
//! The names and numbers are those of Envoy's interface; what the fields mean is in Envoy's documentation.

use prost::{Message, Oneof};

/// From Envoy: one part of an HTTP exchange.
#[derive(Clone, PartialEq, Message)]
pub struct ProcessingRequest {
    /// The part.
    #[prost(oneof = "Incoming", tags = "2, 3, 4, 5, 6, 7")]
    pub request: Option<Incoming>,
    /// Whether Envoy ignores the reply.
    #[prost(bool, tag = "10")]
    pub observability_mode: bool,
    /// How Envoy is configured; in the first message only.
    #[prost(message, optional, tag = "11")]
    pub protocol_config: Option<ProtocolConfiguration>,
}

/// A part of an HTTP exchange.
#[derive(Clone, PartialEq, Oneof)]
pub enum Incoming {
    /// Headers of the request.
    #[prost(message, tag = "2")]
    RequestHeaders(HttpHeaders),
    /// Headers of the response.
    #[prost(message, tag = "3")]
    ResponseHeaders(HttpHeaders),
    /// Body of the request.
    #[prost(message, tag = "4")]
    RequestBody(HttpBody),
    /// Body of the response, or a piece of it.
    #[prost(message, tag = "5")]
    ResponseBody(HttpBody),
    /// Trailers of the request.
    #[prost(message, tag = "6")]
    RequestTrailers(HttpTrailers),
    /// Trailers of the response.
    #[prost(message, tag = "7")]
    ResponseTrailers(HttpTrailers),
}

/// How Envoy sends bodies.
#[derive(Clone, PartialEq, Message)]
pub struct ProtocolConfiguration {
    /// A [`BodyMode`].
    #[prost(int32, tag = "1")]
    pub request_body_mode: i32,
    /// A [`BodyMode`].
    #[prost(int32, tag = "2")]
    pub response_body_mode: i32,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum BodyMode {
    /// Not at all.
    None = 0,
    /// In pieces as they come.
    Streamed = 1,
    /// Whole.
    Buffered = 2,
    /// Whole, or its beginning if it is large.
    BufferedPartial = 3,
    /// In pieces, without one reply for each.
    FullDuplexStreamed = 4,
}

/// Headers.
#[derive(Clone, PartialEq, Message)]
pub struct HttpHeaders {
    /// The headers.
    #[prost(message, optional, tag = "1")]
    pub headers: Option<HeaderMap>,
    /// Whether there is no body.
    #[prost(bool, tag = "3")]
    pub end_of_stream: bool,
}

/// Headers in order.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMap {
    /// The headers.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// One header.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValue {
    /// Its name in lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value, or empty if `raw_value` has it.
    #[prost(string, tag = "2")]
    pub value: String,
    /// Its value in bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub raw_value: Vec<u8>,
}

/// A body or a piece of it.
#[derive(Clone, PartialEq, Message)]
pub struct HttpBody {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    /// Whether these are the last ones.
    #[prost(bool, tag = "2")]
    pub end_of_stream: bool,
}

/// Trailers.
#[derive(Clone, PartialEq, Message)]
pub struct HttpTrailers {
    /// The trailers.
    #[prost(message, optional, tag = "1")]
    pub trailers: Option<HeaderMap>,
}

/// To Envoy: what it should do with a part.
#[derive(Clone, PartialEq, Message)]
pub struct ProcessingResponse {
    /// What to do.
    #[prost(oneof = "Outgoing", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub response: Option<Outgoing>,
    /// How the rest of the exchange is sent, if Envoy allows that.
    #[prost(message, optional, tag = "9")]
    pub mode_override: Option<ProcessingMode>,
}

/// The answer to the part of the same name, or a response in place of all others.
#[derive(Clone, PartialEq, Oneof)]
pub enum Outgoing {
    /// Headers of the request.
    #[prost(message, tag = "1")]
    RequestHeaders(PartResponse),
    /// Headers of the response.
    #[prost(message, tag = "2")]
    ResponseHeaders(PartResponse),
    /// Body of the request.
    #[prost(message, tag = "3")]
    RequestBody(PartResponse),
    /// Body of the response.
    #[prost(message, tag = "4")]
    ResponseBody(PartResponse),
    /// Trailers of the request.
    #[prost(message, tag = "5")]
    RequestTrailers(TrailersResponse),
    /// Trailers of the response.
    #[prost(message, tag = "6")]
    ResponseTrailers(TrailersResponse),
    /// A response in place of all others.
    #[prost(message, tag = "7")]
    ImmediateResponse(ImmediateResponse),
}

/// What becomes of headers or of a body. (`HeadersResponse` and `BodyResponse` have the same fields.)
#[derive(Clone, PartialEq, Message)]
pub struct PartResponse {
    /// The changes.
    #[prost(message, optional, tag = "1")]
    pub response: Option<CommonResponse>,
}

/// Changes of headers or of a body. The status is always the first, `CONTINUE`.
#[derive(Clone, PartialEq, Message)]
pub struct CommonResponse {
    /// Changes of headers.
    #[prost(message, optional, tag = "2")]
    pub header_mutation: Option<HeaderMutation>,
    /// Changes of the body.
    #[prost(message, optional, tag = "3")]
    pub body_mutation: Option<BodyMutation>,
}

/// What becomes of trailers.
#[derive(Clone, PartialEq, Message)]
pub struct TrailersResponse {
    /// Changes of trailers.
    #[prost(message, optional, tag = "1")]
    pub header_mutation: Option<HeaderMutation>,
}

/// Changes of headers.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMutation {
    /// Headers to set.
    #[prost(message, repeated, tag = "1")]
    pub set_headers: Vec<HeaderValueOption>,
    /// Headers to remove.
    #[prost(string, repeated, tag = "2")]
    pub remove_headers: Vec<String>,
}

/// A header to set.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// What becomes of earlier values: 2 replaces them.
    #[prost(int32, tag = "3")]
    pub append_action: i32,
}

/// Changes of a body.
#[derive(Clone, PartialEq, Message)]
pub struct BodyMutation {
    /// The change.
    #[prost(oneof = "NewBody", tags = "1, 2")]
    pub mutation: Option<NewBody>,
}

/// A new body.
#[derive(Clone, PartialEq, Oneof)]
pub enum NewBody {
    /// These bytes.
    #[prost(bytes, tag = "1")]
    Body(Vec<u8>),
    /// No bytes.
    #[prost(bool, tag = "2")]
    Clear(bool),
}

/// A response in place of all others.
#[derive(Clone, PartialEq, Message)]
pub struct ImmediateResponse {
    /// The status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// The headers.
    #[prost(message, optional, tag = "2")]
    pub headers: Option<HeaderMutation>,
    /// The body.
    #[prost(bytes = "vec", tag = "3")]
    pub body: Vec<u8>,
    /// A word for Envoy's access log.
    #[prost(string, tag = "5")]
    pub details: String,
}

/// A status of HTTP.
#[derive(Clone, PartialEq, Message)]
pub struct HttpStatus {
    /// The number.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// How parts are sent. Modes of headers and trailers stay at their default, 0.
#[derive(Clone, PartialEq, Message)]
pub struct ProcessingMode {
    /// A [`BodyMode`].
    #[prost(int32, tag = "3")]
    pub request_body_mode: i32,
    /// A [`BodyMode`].
    #[prost(int32, tag = "4")]
    pub response_body_mode: i32,
}

impl HttpHeaders {
    /// All values of a header, in order; a value that is not UTF-8 is `None`.
    pub(crate) fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = Option<&'h str>> {
        let headers = self.headers.iter().flat_map(|map| &map.headers);
        headers.filter(move |header| header.key.eq_ignore_ascii_case(name)).map(HeaderValue::text)
    }

    /// The only value of a header; `None` if it is missing, stands twice, or is not UTF-8.
    pub(crate) fn only<'h>(&'h self, name: &'h str) -> Option<&'h str> {
        let mut values = self.all(name);
        let first = values.next()?;
        if values.next().is_none() { first } else { None }
    }

    /// The content coding, if the body is packed.
    pub(crate) fn packed(&self) -> Option<&str> {
        let codings = self.all("content-encoding").map(|coding| coding.unwrap_or("?").trim());
        let mut packed = codings.filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
        packed.next()
    }
}

impl HeaderValue {
    fn text(&self) -> Option<&str> {
        if self.raw_value.is_empty() { Some(&self.value) } else { std::str::from_utf8(&self.raw_value).ok() }
    }
}
