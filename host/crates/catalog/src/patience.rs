//! A word to the person who waits while a model loads.

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

/// Runs work. If it takes longer than two seconds, it is named, and again every ten seconds.
pub(crate) fn while_waiting<T>(what: &str, note: Note, work: impl FnOnce() -> T) -> T {
    let (stop, thread) = words(format!("{what} ..."), note);
    let done = work();
    drop(stop);
    // A thread that panicked has written less; the work itself is done.
    let _ = thread.join();
    done
}

fn words(line: String, note: Note) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel::<()>();
    let write = move || {
        let mut silence = SOON;
        while stopped.recv_timeout(silence) == Err(RecvTimeoutError::Timeout) {
            note(&line);
            silence = LATER;
        }
    };
    (stop, thread::spawn(write))
}
