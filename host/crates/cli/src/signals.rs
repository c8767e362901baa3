//! What a server does on SIGHUP, SIGTERM and SIGINT, from its first moment on.
//!
//! While it loads, a stop ends the process at once: nothing runs yet. Afterwards it lets requests finish. SIGHUP reloads the
//! bundle; one that comes while the server loads is remembered until it serves.

use crate::output;
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

/// Signals of this process. Clones are told of the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    serves: Arc<AtomicBool>,
    stop: Arc<Notify>,
    hangup: Arc<Notify>,
}

impl Signals {
    /// Takes over what signals do to this process.
    pub(crate) fn listen(runtime: &Handle) -> io::Result<Self> {
        let signals = Self::default();
        let _runtime = runtime.enter();
        // All are in place when this returns.
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
            output::note("stopped         before it served anybody");
            exit(0);
        }
        self.stop.notify_one();
    }

    /// From now on a stop is for [`Signals::stopped`] to act on.
    pub(crate) fn serve(&self) {
        self.serves.store(true, Ordering::SeqCst);
    }

    /// Ends when the server should stop.
    pub(crate) async fn stopped(self) {
        self.stop.notified().await;
    }

    /// On each SIGHUP from now on, and for one that came before, does this.
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
