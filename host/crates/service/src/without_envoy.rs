//! Takes the place of `envoy` in builds without the feature `gateways`, which do not serve Envoy.

use crate::ServiceError;
use inferenceguard_server::Server;
use std::future::Future;
use tokio::net::TcpListener;

/// Refuses Envoy, before anything is loaded.
pub(crate) fn check() -> Result<(), ServiceError> {
    Err(ServiceError::NoEnvoy)
}

/// Serves nothing: [`check`] refuses Envoy before.
pub(crate) async fn with_envoy(
    _: &Server,
    _: (TcpListener, Option<TcpListener>),
    _: TcpListener,
    _: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    check()
}
