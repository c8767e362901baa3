//! Envoy beside clients and administrators.

use crate::ServiceError;
use inferenceguard_envoy::{EnvoyOptions, serve};
use inferenceguard_gateways::stream::StreamLimits;
use inferenceguard_server::Server;
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, time::timeout};

/// Accepts Envoy: this build serves it.
pub(crate) fn check() -> Result<(), ServiceError> {
    Ok(())
}

/// Serves clients, administrators and Envoy until `stop` ends. If one of the listeners fails, all of them stop.
pub(crate) async fn with_envoy(
    server: &Server,
    (clients, admin): (TcpListener, Option<TcpListener>),
    envoy: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), ServiceError> {
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
