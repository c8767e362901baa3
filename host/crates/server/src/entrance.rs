//! What every request passes before its handler: who asks, from where, and its whole body in time.

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

/// How long the body of one who is sent away is waited for.
const LINGER: Duration = Duration::from_secs(1);

/// Lets clients in, and tells the handler which one it is.
pub(crate) async fn client(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let client = app.clients.client(request.headers());
    let known = client.map(|client| drop(request.extensions_mut().insert(client)));
    pass(known, request, next).await
}

/// Lets administrators in.
pub(crate) async fn administrator(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let known = app.clients.administrator(request.headers());
    pass(known, request, next).await
}

/// Keeps out what pages of other sites make a browser send.
pub(crate) async fn own_page(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, ApiError> {
    let own = is_own(&app, request.headers());
    pass(own, request, next).await
}

fn is_own(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let (host, origin) = (text(headers, &HOST).unwrap_or_default(), text(headers, &ORIGIN));
    let own = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
    if origin.is_some_and(|origin| !own(origin)) {
        return Err(forbidden("foreign_origin", "pages of other sites may not administer this server"));
    }
    // A name of somebody else's may be made to mean this machine; then their page is no other site.
    if app.settings.admin_token_sha256.is_none() && !is_known(host, &app.settings.admin_hosts) {
        let message = format!("the host `{host}` is not known here; add it to `admin_hosts`, or set a token");
        return Err(forbidden("unknown_host", message));
    }
    Ok(())
}

/// Goes on, or sends away. Where a body is on its way, a connection that is closed at once would lose the refusal as well.
async fn pass(checked: Result<(), ApiError>, request: Request, next: Next) -> Result<Response, ApiError> {
    let Err(refusal) = checked else { return Ok(next.run(request).await) };
    let mut rest = request.into_body().into_data_stream();
    let thrown_away = async { while rest.next().await.is_some_and(|part| part.is_ok()) {} };
    let _ = timeout(LINGER, thrown_away).await;
    Err(refusal)
}

/// Waits for the whole body, however slowly it comes, for no longer than clients have.
pub(crate) async fn whole_body(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if let Err(packed) = plain(request.headers()) {
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

/// Bodies are read as they are: none is unpacked.
fn plain(headers: &HeaderMap) -> Result<(), ApiError> {
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

/// Whether this `Host` is an address, this machine's own name, or one of these names.
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
