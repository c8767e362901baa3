//! Middleware that runs before the handlers: it checks keys, tokens and origins, and reads each body within the time limit.

use crate::{app::App, error::ApiError};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request, State},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{CONTENT_ENCODING, HOST, ORIGIN},
    },
    middleware::Next,
    response::Response,
};
use futures_util::StreamExt;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

/// How long the body of a refused request is read and thrown away.
const LINGER: Duration = Duration::from_secs(1);

/// Refuses requests without a known key, and gives the handler the [`Client`](crate::auth::Client).
pub(crate) async fn authenticate_client(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let client = app.clients.client(request.headers());
    let known = client.map(|client| drop(request.extensions_mut().insert(client)));
    pass(known, request, next).await
}

/// Finds the client of a gateway, whose key may be in a header of its own.
pub(crate) async fn authenticate_gateway(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let client = app.clients.gateway(request.headers());
    let known = client.map(|client| drop(request.extensions_mut().insert(client)));
    pass(known, request, next).await
}

/// Refuses requests without the administrators' token, if there is one.
pub(crate) async fn authenticate_administrator(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let known = app.clients.administrator(request.headers());
    pass(known, request, next).await
}

/// Refuses requests that pages of other sites make a browser send.
pub(crate) async fn same_origin(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let checked = check_origin(&app, request.headers());
    pass(checked, request, next).await
}

fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let (host, origin) = (text(headers, &HOST).unwrap_or_default(), text(headers, &ORIGIN));
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
    if origin.is_some_and(|origin| !own(origin)) {
        return Err(forbidden("foreign_origin", "pages of other sites may not administer this server"));
    }
    // Another site may point its own host name at this machine; its pages then have the same origin.
    if app.settings.admin_token_sha256.is_none() && !is_known(host, &app.settings.admin_hosts) {
        let message = format!("the host `{host}` is not known here; add it to `admin_hosts`, or set a token");
        return Err(forbidden("unknown_host", message));
    }
    Ok(())
}

/// Continues, or refuses. The body of a refused request is read for a while: if the connection were closed at once, the client
/// might not get the refusal.
async fn pass(checked: Result<(), ApiError>, request: Request, next: Next) -> Result<Response, ApiError> {
    let Err(refusal) = checked else { return Ok(next.run(request).await) };
    let mut rest = request.into_body().into_data_stream();
    let discarded = async { while rest.next().await.is_some_and(|part| part.is_ok()) {} };
    let _ = timeout(LINGER, discarded).await;
    Err(refusal)
}

/// Reads the whole body within the time that clients have.
pub(crate) async fn read_body(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, ApiError> {
    if let Err(packed) = check_encoding(request.headers()) {
        return pass(Err(packed), request, next).await;
    }
    let (parts, body) = request.into_parts();
    let whole = Bytes::from_request(Request::from_parts(parts.clone(), body), &());
    let late = |_| invalid(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
    let bytes = timeout(app.settings.read_time(), whole).await.map_err(late)?;
    let bytes = bytes.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            invalid(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than this server takes")
        }
        status => invalid(status, "the body did not arrive whole"),
    })?;
    Ok(next.run(Request::from_parts(parts, Body::from(bytes))).await)
}

/// Refuses compressed bodies.
fn check_encoding(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut codings = headers.get_all(CONTENT_ENCODING).iter().map(|value| value.to_str().unwrap_or("?").trim());
    let packed = codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"));
    packed.map_or(Ok(()), |coding| {
        let message = format!("the body has the content-encoding `{coding}`; send it without one");
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message))
    })
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn invalid(status: StatusCode, message: &str) -> ApiError {
    ApiError::new(status, "invalid_body", message)
}

fn forbidden(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, code, message)
}

/// Whether this `Host` is an address, `localhost`, or one of these names.
fn is_known(host: &str, names: &[String]) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_as_addresses_and_by_name() {
        let names = ["guard.example".to_owned()];
        for host in ["127.0.0.1:8081", "10.0.0.7", "[::1]:8081", "[::1]", "localhost:1", "LOCALHOST", "guard.example:1"]
        {
            assert!(is_known(host, &names), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example:80"] {
            assert!(!is_known(host, &names), "{host}");
        }
    }
}
