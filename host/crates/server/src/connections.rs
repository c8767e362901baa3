//! Connections: slow clients are cut off, and a stop lets running requests finish.

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{future::Future, io, pin::pin, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    time::{sleep, timeout},
};

/// After a failed accept, such as one without a free file descriptor.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves each listener with its routes until `stop` ends.
pub(crate) async fn serve(
    doors: Vec<(TcpListener, Router)>,
    read_time: Duration,
    stop_seconds: u64,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (sender, mut arrived) = unbounded_channel();
    let accepting: Vec<_> =
        doors.into_iter().map(|(listener, routes)| tokio::spawn(accept(listener, routes, sender.clone()))).collect();
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(read_time);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some((stream, routes)) = arrived.recv() => {
                let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
                // A connection that breaks is the client's affair.
                let watched = graceful.watch(connection);
                tokio::spawn(async move { drop(watched.await) });
            }
        }
    }
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    if timeout(Duration::from_secs(stop_seconds), graceful.shutdown()).await.is_err() {
        tracing::warn!(stop_seconds, "requests were still running when the server stopped");
    }
    Ok(())
}

async fn accept(listener: TcpListener, routes: Router, sender: UnboundedSender<(TcpStream, Router)>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small events must not wait for one another.
                drop(stream.set_nodelay(true));
                if sender.send((stream, routes.clone())).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}
