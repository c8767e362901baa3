//! What a server does on SIGHUP, SIGTERM and SIGINT, from its first moment on.
//!
//! While it loads, SIGTERM and SIGINT end the process at once: no request runs yet. Afterwards they let requests finish. SIGHUP
//! reloads the bundle; a SIGHUP while the server loads takes effect when it serves.

use inferenceguard_catalog::Note;
use std::{
    future::Future,
    io,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{runtime::Handle, sync::Notify};

/// The signals of this process. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    note: Note,
    serves: Arc<AtomicBool>,
    stop: Arc<Notify>,
    hangup: Arc<Notify>,
}

impl Signals {
    /// Installs the handlers.
    pub(crate) fn listen(runtime: &Handle, note: Note) -> io::Result<Self> {
        let signals = Self { note, serves: Arc::default(), stop: Arc::default(), hangup: Arc::default() };
        let _runtime = runtime.enter();
        // All handlers are installed when this returns.
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
                let (own, mut signal) = (signals.clone(), signal(kind)?);
                runtime.spawn(async move {
                    while signal.recv().await.is_some() {
                        own.stop()
                    }
                });
            }
            let (own, mut signal) = (signals.clone(), signal(SignalKind::hangup())?);
            runtime.spawn(async move {
                while signal.recv().await.is_some() {
                    own.hangup.notify_one()
                }
            });
        }
        #[cfg(not(unix))]
        {
            let own = signals.clone();
            runtime.spawn(async move {
                while tokio::signal::ctrl_c().await.is_ok() {
                    own.stop()
                }
            });
        }
        Ok(signals)
    }

    fn stop(&self) {
        if !self.serves.load(Ordering::SeqCst) {
            (self.note)("stopped         before it served requests");
            exit(0);
        }
        self.stop.notify_one();
    }

    /// From now on, SIGTERM and SIGINT complete [`Signals::stopped`].
    pub(crate) fn serve(&self) {
        self.serves.store(true, Ordering::SeqCst);
    }

    /// Ends when the server should stop.
    pub(crate) async fn stopped(self) {
        self.stop.notified().await;
    }

    /// Runs `work` on each SIGHUP from now on, and once for a SIGHUP before.
    pub(crate) fn on_hangup<F: Future<Output = ()> + Send>(&self, mut work: impl FnMut() -> F + Send + 'static) {
        let hangup = Arc::clone(&self.hangup);
        tokio::spawn(async move {
            loop {
                hangup.notified().await;
                work().await;
            }
        });
    }
}
