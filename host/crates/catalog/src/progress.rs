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

/// How far work has come that takes long, as a line of a log.
#[must_use]
pub fn progress_line(position: u64, length: Option<u64>, message: &str) -> String {
    let of = length.filter(|length| *length > 0).map(|length| format!(" of {length}")).unwrap_or_default();
    if position == 0 && of.is_empty() && message.is_empty() {
        return "... preparing".to_owned();
    }
    format!("... {position}{of} {message}").trim_end().to_owned()
}

/// Runs work. If it takes longer than two seconds, it is named, and again every ten seconds.
pub(crate) fn while_waiting<T>(what: &str, note: Note, work: impl FnOnce() -> T) -> T {
    let line = format!("{what} ...");
    let signs = SignsOfLife::begin(SOON, move || note(&line));
    let done = work();
    drop(signs);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_the_work_is_and_what_it_is() {
        assert_eq!(progress_line(0, Some(0), ""), "... preparing");
        assert_eq!(progress_line(3, Some(0), ""), "... 3");
        assert_eq!(progress_line(3, None, ""), "... 3");
        assert_eq!(progress_line(3, Some(8), "answers"), "... 3 of 8 answers");
    }
}
