//! Activates what is watched when its content changes: the bundle, and the tenants' layers over it.
//!
//! The sizes and times of files only decide when something is opened again; other files in its folder do not count.

use crate::watched::{Watched, WatchedBundle, WatchedLayer};
use inferenceguard_catalog::Note;
use inferenceguard_server::{OpenError, Server};
use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use tokio::{task::spawn_blocking, time::sleep};

/// The pause between two looks. A change is activated when two looks in a row found the same.
const INTERVAL: Duration = Duration::from_secs(1);
/// The pause before something that could not be activated is tried again: the disk may have been full.
const AGAIN: Duration = Duration::from_secs(60);

/// From now on, activates the bundle and the layers when they change. The bundle comes first: its activation reads the layers too.
pub(crate) fn on_change(server: &Server, bundle: WatchedBundle, layers: Vec<WatchedLayer>, note: Note) {
    let server = server.clone();
    let mut bundle = Watch::new(bundle, note);
    let mut layers: Vec<_> = layers.into_iter().map(|layer| Watch::new(layer, note)).collect();
    tokio::spawn(async move {
        loop {
            sleep(INTERVAL).await;
            bundle.turn(&server).await;
            for layer in &mut layers {
                layer.turn(&server).await;
            }
        }
    });
}

/// The result of opening what is watched.
type Found<W> = Result<<W as Watched>::Identity, OpenError>;

fn identity<W: Watched>(opened: &Result<W::Opened, OpenError>) -> Found<W> {
    opened.as_ref().map(W::identity).map_err(Clone::clone)
}

/// Something that is watched, and what was found last.
#[derive(Clone)]
struct Watch<W: Watched> {
    watched: W,
    last: Option<Last<W>>,
    /// What could not be activated, and when that was tried.
    failed: Option<(Found<W>, Instant)>,
    note: Note,
}

/// The last look.
#[derive(Clone)]
struct Last<W: Watched> {
    found: Found<W>,
    /// Its files.
    files: Vec<PathBuf>,
    /// How they looked before they were read; empty if the files were not known by then.
    looks: Vec<Look>,
}

/// How a file looks; `None` if there is no file.
type Look = Option<(u64, Option<SystemTime>, [i64; 4])>;

impl<W: Watched> Watch<W> {
    fn new(watched: W, note: Note) -> Self {
        Self { watched, last: None, failed: None, note }
    }

    /// Looks once, on a thread that may block. A look that panics changes nothing here, and the next one follows.
    async fn turn(&mut self, server: &Server) {
        let (own, mut next) = (server.clone(), self.clone());
        let looked = spawn_blocking(move || {
            next.look(&own);
            next
        });
        match looked.await {
            Ok(next) => *self = next,
            Err(_) => (self.note)(&format!("error: looking at {} panicked; the old one stays", self.watched.name())),
        }
    }

    /// Looks once, and activates a change that two looks in a row have found.
    fn look(&mut self, server: &Server) {
        let before = self.last.take();
        let unchanged = |last: &Last<W>| !last.looks.is_empty() && last.looks == looks(&last.files);
        let (mut now, stable) = match before {
            Some(last) if unchanged(&last) => (last, true),
            before => {
                let now = Last::open(&self.watched, before.as_ref().map_or(&[], |last| &last.files), server);
                let stable = before.is_some_and(|before| before.found == now.found);
                (now, stable)
            }
        };
        self.learn(&now.found, server);
        if stable && self.is_due(&now.found, server) && !self.take(&now.found, server) {
            now.looks.clear();
        }
        self.last = Some(now);
    }

    /// Learns what was activated otherwise, by an administrator for instance.
    fn learn(&mut self, found: &Found<W>, server: &Server) {
        if found.as_ref().is_ok_and(|found| self.watched.was_activated(found, server)) {
            self.failed = None;
        }
    }

    /// Whether to activate what was found. What cannot be opened waits until it changes; what was refused is tried again after a
    /// pause.
    fn is_due(&self, found: &Found<W>, server: &Server) -> bool {
        let tried = self.failed.as_ref();
        let tried = tried.is_some_and(|(failed, at)| failed == found && (found.is_err() || at.elapsed() < AGAIN));
        !tried && !found.as_ref().is_ok_and(|found| self.watched.is_known(found, server))
    }

    /// Activates what was found, and returns whether it is still there.
    fn take(&mut self, found: &Found<W>, server: &Server) -> bool {
        let opened = self.watched.open(server);
        if identity::<W>(&opened) != *found {
            return false;
        }
        let done = self.watched.activate(opened, server);
        self.failed = (!done).then(|| (found.clone(), Instant::now()));
        true
    }
}

impl<W: Watched> Last<W> {
    /// Opens what is watched, which had these files before.
    fn open(watched: &W, files: &[PathBuf], server: &Server) -> Self {
        let looks = looks(files);
        let opened = watched.open(server);
        let now = opened.as_ref().map_or_else(|_| Vec::new(), |opened| watched.files(opened));
        // The look counts only if the files that were looked at are those that were read.
        let looks = if now == files { looks } else { Vec::new() };
        Self { found: identity::<W>(&opened), files: now, looks }
    }
}

/// How these files look now.
fn looks(files: &[PathBuf]) -> Vec<Look> {
    let look = |path: &Path| fs::metadata(path).ok().map(|there| (there.len(), there.modified().ok(), inode(&there)));
    files.iter().map(|file| look(file)).collect()
}

/// Device, inode and time of change of a file. Unlike the time of its contents, programs cannot set the time of change.
#[cfg(unix)]
fn inode(there: &Metadata) -> [i64; 4] {
    use std::os::unix::fs::MetadataExt;
    [there.dev() as i64, there.ino() as i64, there.ctime(), there.ctime_nsec()]
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> [i64; 4] {
    [0; 4]
}
