//! Words to the person who waits while work goes on.

use crate::Note;
use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

/// Nobody needs a word about what is done sooner.
const SOON: Duration = Duration::from_secs(2);
/// How long there is no word afterwards.
const LATER: Duration = Duration::from_secs(10);

/// Something is written at intervals on a thread of its own, until this is dropped.
#[derive(Debug)]
pub struct SignsOfLife(Option<(Sender<()>, JoinHandle<()>)>);

impl SignsOfLife {
    /// Writes after `silence`, and again every ten seconds.
    #[must_use]
    pub fn begin(silence: Duration, write: impl Fn() + Send + 'static) -> Self {
        let (stop, stopped) = channel::<()>();
        let written = move || {
            let mut silence = silence;
            while stopped.recv_timeout(silence) == Err(RecvTimeoutError::Timeout) {
                write();
                silence = LATER;
            }
        };
        Self(Some((stop, thread::spawn(written))))
    }
}

impl Drop for SignsOfLife {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // A thread that panicked has written less; the work itself is done.
            let _ = thread.join();
        }
    }
}

/// Runs work. If it takes longer than two seconds, it is named, and again every ten seconds.
pub(crate) fn while_waiting<T>(what: &str, note: Note, work: impl FnOnce() -> T) -> T {
    let line = format!("{what} ...");
    let signs = SignsOfLife::begin(SOON, move || note(&line));
    let done = work();
    drop(signs);
    done
}
