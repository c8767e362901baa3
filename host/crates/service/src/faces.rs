//! Gateways beside clients: which are served, and the listener for Envoy.

use crate::ServiceError;
use inferenceguard_envoy::{EnvoyOptions, serve};
use inferenceguard_gateways::stream::StreamLimits;
use inferenceguard_server::{Face, Server};
use std::{future::Future, str::FromStr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::timeout};

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
/// [`ServiceError::SecondEnvoy`].
pub(crate) fn check(faces: &[FaceOption]) -> Result<(), ServiceError> {
    envoy(faces).map(drop)
}

/// The listener for Envoy, if it is served.
pub(crate) async fn listen(faces: &[FaceOption]) -> Result<Option<TcpListener>, ServiceError> {
    match envoy(faces)? {
        None => Ok(None),
        Some(address) => crate::listen(address, "--face envoy=").await.map(Some),
    }
}

/// The address at which Envoy is served, if it is.
///
/// # Errors
/// [`ServiceError::SecondEnvoy`].
fn envoy(faces: &[FaceOption]) -> Result<Option<&str>, ServiceError> {
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
    let Some(envoy) = envoy else { return Ok(server.run(clients, admin, stop).await?) };
    let (ending, ended) = watch::channel(false);
    let wait = |mut ended: watch::Receiver<bool>| async move { drop(ended.wait_for(|ended| *ended).await) };
    let http = async {
        let served = server.run(clients, admin, wait(ended.clone())).await;
        ending.send_replace(true);
        served.map_err(ServiceError::from)
    };
    let grpc = async {
        let served = serve(envoy, Arc::new(server.clone()), options(server), wait(ended.clone()));
        let served = limited(served, wait(ended.clone()), server.stop_time()).await;
        ending.send_replace(true);
        served
    };
    let stopping = async {
        tokio::select! {
            () = stop => {
                ending.send_replace(true);
            }
            () = wait(ended.clone()) => {}
        }
    };
    let (http, grpc, ()) = tokio::join!(http, grpc, stopping);
    http.and(grpc)
}

/// Exchanges that still run this long after the stop are cut off.
async fn limited(
    served: impl Future<Output = Result<(), inferenceguard_envoy::EnvoyError>>,
    stop: impl Future<Output = ()>,
    most: Duration,
) -> Result<(), ServiceError> {
    let mut served = std::pin::pin!(served);
    tokio::select! {
        done = &mut served => Ok(done?),
        () = stop => timeout(most, served).await.map_or(Ok(()), |done| Ok(done?)),
    }
}

fn options(server: &Server) -> EnvoyOptions {
    let settings = server.settings();
    let stream = StreamLimits {
        step: settings.judge.stream_chars,
        bytes: settings.max_body,
        choices: settings.max_choices as usize,
    };
    EnvoyOptions {
        chat_paths: settings.judge.chat_paths.clone(),
        open_paths: settings.judge.open_paths.clone(),
        max_body: settings.max_body,
        stream,
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
        assert!(envoy(&twice).unwrap_err().to_string().contains("b:2"));
        assert_eq!(envoy(&twice[..1]).unwrap(), Some("a:1"));
        let error = "\u{1b}[2J".parse::<FaceOption>().unwrap_err();
        assert!(!error.contains('\u{1b}') && error.contains("envoy=ADDRESS"), "{error}");
    }
}
