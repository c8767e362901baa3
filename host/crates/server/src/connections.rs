//! Connections: so many and no more, slow clients are cut off, and a stop lets running requests finish.

use crate::{patience::Patience, settings::Settings};
use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
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

/// After a failed accept, such as one without a free file descriptor.
const PAUSE: Duration = Duration::from_millis(50);

/// Bytes that nobody reads yet hide from a wait that a client has left: then it is looked for this often.
const LOOK: Duration = Duration::from_millis(100);

/// A connection, what it is served, and its place among those that are open.
struct Arrived {
    stream: TcpStream,
    routes: Router,
    place: OwnedSemaphorePermit,
}

/// Serves each listener with its routes until `stop` ends.
pub(crate) async fn serve(
    doors: Vec<(TcpListener, Router)>,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (sender, mut arrived) = unbounded_channel();
    // Places of its own for each: clients in any number do not keep administrators out.
    let places = || Arc::new(Semaphore::new(settings.max_connections.min(Semaphore::MAX_PERMITS)));
    let accepting: Vec<_> = doors
        .into_iter()
        .map(|(listener, routes)| tokio::spawn(accept(listener, routes, places(), sender.clone())))
        .collect();
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(settings.read_time());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(Arrived { stream, routes, place }) = arrived.recv() => {
                let (reads, writes) = stream.into_split();
                let reads = Arc::new(reads);
                let stream = join(Shared(Arc::clone(&reads)), Patience::new(writes, settings.write_time()));
                let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
                let watched = graceful.watch(connection);
                tokio::spawn(async move {
                    tokio::select! {
                        // A connection that breaks is the client's affair.
                        broken = watched => drop(broken),
                        // What runs for the client is dropped with its connection.
                        () = left(&reads) => {}
                    }
                    drop(place);
                });
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

/// What a client sends, read by the protocol while [`left`] watches it.
struct Shared(Arc<OwnedReadHalf>);

impl AsyncRead for Shared {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.as_ref().as_ref().poll_read_ready(cx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Ends when the client has closed its connection, or its half of it, whatever it sent before: the protocol reads nothing while
/// it answers, and would not see it.
async fn left(reads: &OwnedReadHalf) {
    while let Ok(ready) = reads.ready(Interest::READABLE).await
        && !ready.is_read_closed()
    {
        sleep(LOOK).await;
    }
}

/// Takes connections while there are places; the others wait where the system keeps them.
async fn accept(listener: TcpListener, routes: Router, places: Arc<Semaphore>, sender: UnboundedSender<Arrived>) {
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small events must not wait for one another.
                drop(stream.set_nodelay(true));
                if sender.send(Arrived { stream, routes: routes.clone(), place }).is_err() {
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
