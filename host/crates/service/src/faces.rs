//! Gateways beside clients: which are served, and the listener for Envoy.

use crate::{
    ServiceError,
    envoy::{self, with_envoy},
};
use inferenceguard_server::{Face, Server};
use std::{future::Future, str::FromStr};
use tokio::net::TcpListener;

/// A gateway that is served, as the option `--face` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaceOption {
    /// A route of the clients' listener.
    Route(Face),
    /// Envoy, on this address.
    Envoy(String),
}

impl FaceOption {
    /// Which kind of gateway it is.
    #[must_use]
    pub fn face(&self) -> Face {
        match self {
            Self::Route(face) => *face,
            Self::Envoy(_) => Face::Envoy,
        }
    }
}

impl FromStr for FaceOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((name, address)) = text.split_once('=') {
            let is_envoy = name == Face::Envoy.name() && !address.is_empty();
            return if is_envoy { Ok(Self::Envoy(address.to_owned())) } else { Err(expected(text)) };
        }
        let route = Face::ALL.into_iter().find(|face| *face != Face::Envoy && face.name() == text);
        route.map(Self::Route).ok_or_else(|| expected(text))
    }
}

fn expected(found: &str) -> String {
    let found: String = found.chars().take(60).collect();
    format!("found `{}`; expected judge, litellm, moderations or envoy=ADDRESS", found.escape_debug())
}

/// Whether these can be served together: before anything is loaded.
///
/// # Errors
/// [`ServiceError::SecondEnvoy`], [`ServiceError::NoEnvoy`].
pub(crate) fn check(faces: &[FaceOption]) -> Result<(), ServiceError> {
    envoy_address(faces)?.map_or(Ok(()), |_| envoy::check())
}

/// The listener for Envoy, if it is served.
pub(crate) async fn listen(faces: &[FaceOption]) -> Result<Option<TcpListener>, ServiceError> {
    match envoy_address(faces)? {
        None => Ok(None),
        Some(address) => crate::listen(address, "--face envoy=").await.map(Some),
    }
}

/// The address at which Envoy is served, if it is.
///
/// # Errors
/// [`ServiceError::SecondEnvoy`].
fn envoy_address(faces: &[FaceOption]) -> Result<Option<&str>, ServiceError> {
    let mut addresses = faces.iter().filter_map(|face| match face {
        FaceOption::Envoy(address) => Some(address.as_str()),
        FaceOption::Route(_) => None,
    });
    match (addresses.next(), addresses.next()) {
        (first, None) => Ok(first),
        (_, Some(second)) => Err(ServiceError::SecondEnvoy { found: second.to_owned() }),
    }
}

/// Serves clients, administrators and Envoy until `stop` ends. If one of the listeners fails, all of them stop.
pub(crate) async fn run(
    server: &Server,
    (clients, admin): (TcpListener, Option<TcpListener>),
    envoy: Option<TcpListener>,
    stop: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
    match envoy {
        None => Ok(server.run(clients, admin, stop).await?),
        Some(envoy) => with_envoy(server, (clients, admin), envoy, stop).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_is_named_exactly() {
        for (text, face) in [
            ("judge", Some(FaceOption::Route(Face::Judge))),
            ("litellm", Some(FaceOption::Route(Face::Litellm))),
            ("moderations", Some(FaceOption::Route(Face::Moderations))),
            ("envoy=127.0.0.1:9", Some(FaceOption::Envoy("127.0.0.1:9".to_owned()))),
            ("envoy", None),
            ("envoy=", None),
            ("litellm=127.0.0.1:9", None),
            ("Judge", None),
            ("", None),
        ] {
            assert_eq!(text.parse().ok(), face, "{text}");
        }
        let twice = ["a:1", "b:2"].map(|address| FaceOption::Envoy(address.to_owned()));
        assert!(envoy_address(&twice).unwrap_err().to_string().contains("b:2"));
        assert_eq!(envoy_address(&twice[..1]).unwrap(), Some("a:1"));
        let error = "\u{1b}[2J".parse::<FaceOption>().unwrap_err();
        assert!(!error.contains('\u{1b}') && error.contains("envoy=ADDRESS"), "{error}");
    }
}
