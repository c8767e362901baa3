//! Connections: their number is limited, slow clients are cut off, and a stop lets running requests finish.

use crate::{
    head_time::{HeadTimer, Received},
    metrics::Metrics,
    settings::Settings,
    write_timeout::WriteTimeout,
};
use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use std::{
    future::Future,
    io::{self, ErrorKind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, Interest, ReadBuf, join},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{UnboundedSender, unbounded_channel},
    },
    time::{sleep, timeout},
};

/// The wait after a failed accept, for instance when there was no free file descriptor.
const PAUSE: Duration = Duration::from_millis(50);

/// How often to check whether a client has left. Unread bytes of a client make its socket readable, so waiting for a change would
/// not end when it leaves.
const LOOK: Duration = Duration::from_millis(100);

/// A new connection, and its permit among the open ones.
struct Connection {
    stream: TcpStream,
    routes: Router,
    permit: OwnedSemaphorePermit,
}

/// Serves each listener with its routes until `stop` ends.
pub(crate) async fn serve(
    listeners: Vec<(TcpListener, Router)>,
    settings: &Settings,
    metrics: &Arc<Metrics>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (sender, mut connections) = unbounded_channel();
    // Each listener has its own permits, so that clients cannot keep administrators out.
    let permits = || Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS)));
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|(listener, routes)| tokio::spawn(accept(listener, routes, permits(), sender.clone())))
        .collect();
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new();
    builder.header_read_timeout(settings.idle_time());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(connection) = connections.recv() => {
                connection.serve(builder.clone(), &graceful, settings, Arc::clone(metrics));
            }
        }
    }
    accepting.iter().for_each(tokio::task::JoinHandle::abort);
    let stop_seconds = settings.stop_seconds;
    if timeout(Duration::from_secs(stop_seconds), graceful.shutdown()).await.is_err() {
        tracing::warn!(stop_seconds, "requests were still running when the server stopped");
    }
    Ok(())
}

impl Connection {
    /// Serves the connection on a task of its own, until it ends, breaks, or its client leaves.
    fn serve(self, mut builder: Builder, graceful: &GracefulShutdown, settings: &Settings, metrics: Arc<Metrics>) {
        let received = Received::default();
        builder.timer(HeadTimer::new(received.clone(), settings.read_time()));
        let (reads, writes) = self.stream.into_split();
        let reads = Arc::new(reads);
        let stream = join(Shared(Arc::clone(&reads), received), WriteTimeout::new(writes, settings.write_time()));
        let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.routes));
        let (watched, permit) = (graceful.watch(connection), self.permit);
        tokio::spawn(async move {
            tokio::select! {
                // A broken connection is not the server's fault.
                ended = watched => ended.err().iter().for_each(|error| metrics.count_connection_error(kind_of(error))),
                // What runs for the client is dropped with its connection.
                () = left(&reads) => {}
            }
            drop(permit);
        });
    }
}

/// Why a connection ended, where no request could be made of it.
fn kind_of(error: &hyper::Error) -> &'static str {
    match error {
        error if error.is_parse() => "not_http",
        error if error.is_timeout() => "no_request",
        _ => "broken",
    }
}

/// The reading half of a connection, which HTTP reads while [`left`] watches it.
struct Shared(Arc<OwnedReadHalf>, Received);

impl AsyncRead for Shared {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.as_ref().as_ref().poll_read_ready(cx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    self.1.add(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Ends when the client has closed its connection, or its half of it. While HTTP answers a request it does not read, so it would
/// not notice.
async fn left(reads: &OwnedReadHalf) {
    while let Ok(ready) = reads.ready(Interest::READABLE).await
        && !ready.is_read_closed()
    {
        sleep(LOOK).await;
    }
}

/// Accepts connections while there are permits; the others wait in the system's queue.
async fn accept(listener: TcpListener, routes: Router, permits: Arc<Semaphore>, sender: UnboundedSender<Connection>) {
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small events of a stream must go out at once.
                drop(stream.set_nodelay(true));
                if sender.send(Connection { stream, routes: routes.clone(), permit }).is_err() {
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
