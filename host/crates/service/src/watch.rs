//! Activates a bundle again: on SIGHUP, and when its content changes. Without a bundle, SIGHUP reads the tenants' layers again.
//!
//! Two bundles differ if their digests or signatures differ once they are opened. The sizes and times of files only decide when a
//! bundle is opened again; other files in its folder do not count.

use crate::signals::Signals;
use inferenceguard_bundle::{Bundle, MANIFEST, Signature};
use inferenceguard_catalog::Note;
use inferenceguard_host::Generation;
use inferenceguard_server::{DeployError, OpenError, Server};
use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use tokio::{task::spawn_blocking, time::sleep};

/// How often a watched bundle is looked at. A change is activated when two looks in a row found the same.
const INTERVAL: Duration = Duration::from_secs(1);
/// The pause before a bundle that could not be activated is tried again: the disk may have been full.
const AGAIN: Duration = Duration::from_secs(60);

/// From now on, activates the bundle on SIGHUP, with the tenants' layers; without a bundle, reads the layers again.
pub(crate) fn on_hangup(server: &Server, bundle: Option<&Path>, signals: &Signals, note: Note) {
    let (server, bundle) = (server.clone(), bundle.map(Path::to_owned));
    signals.on_hangup(move || {
        let (server, bundle) = (server.clone(), bundle.clone());
        async move {
            if spawn_blocking(move || reload(&server, bundle.as_deref(), note)).await.is_err() {
                note("error: the activation panicked; the old bundle stays");
            }
        }
    });
}

fn reload(server: &Server, bundle: Option<&Path>, note: Note) {
    match bundle {
        Some(path) => drop(show(server.activate(path), note)),
        None if server.has_layers() => show_layers(server.reload_layers(), note),
        None => note("SIGHUP          ignored: without --bundle and tenants' layers there is nothing to reload"),
    }
}

fn show_layers(done: Result<Generation, DeployError>, note: Note) {
    match done {
        Ok(Generation { number, .. }) => {
            note(&format!("reloaded        the tenants' layers, over generation {number}"))
        }
        Err(error) => {
            let error = error.to_string().trim_end().replace('\n', "\n    ");
            note(&format!("error: the tenants' layers were not reloaded; the old ones stay: {error}"));
        }
    }
}

/// From now on, activates the bundle when it differs from `known`.
pub(crate) fn on_change(server: &Server, bundle: &Path, known: Identity, note: Note) {
    let (server, path) = (server.clone(), bundle.to_owned());
    tokio::spawn(async move {
        let mut watch = Watch { path, known, last: None, failed: None, note };
        loop {
            sleep(INTERVAL).await;
            let (own, mut next) = (server.clone(), watch.clone());
            let looked = spawn_blocking(move || {
                next.look(&own);
                next
            });
            match looked.await {
                Ok(next) => watch = next,
                Err(_) => note("error: looking at the watched bundle panicked; the old bundle stays"),
            }
        }
    });
}

/// Shows the result of an activation, and returns whether it succeeded.
fn show(done: Result<Generation, DeployError>, note: Note) -> bool {
    match &done {
        Ok(Generation { number, bundle, .. }) => {
            note(&format!("activated       generation {number}: {} {}", bundle.name, bundle.version));
        }
        // Indented, so that no quoted line looks like a line of the server.
        Err(error) => {
            let error = error.to_string().trim_end().replace('\n', "\n    ");
            note(&format!("error: the bundle was not activated; the old one stays: {error}"));
        }
    }
    done.is_ok()
}

/// The identity of a bundle. The signature belongs to it: another signature of the same content may be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The digest, as the store saves it.
    pub(crate) digest: String,
    signature: Option<Signature>,
}

impl Identity {
    pub(crate) fn of(bundle: &Bundle) -> Self {
        Self { digest: bundle.digest().to_string(), signature: bundle.signature().cloned() }
    }
}

/// The result of opening the bundle.
type Found = Result<Identity, OpenError>;

fn identity(opened: &Result<Bundle, OpenError>) -> Found {
    opened.as_ref().map(Identity::of).map_err(Clone::clone)
}

/// A bundle that is watched.
#[derive(Debug, Clone)]
struct Watch {
    path: PathBuf,
    /// The bundle that was activated last, or that was there at the start.
    known: Identity,
    last: Option<Last>,
    /// The bundle that could not be activated, and when that was tried.
    failed: Option<(Found, Instant)>,
    note: Note,
}

/// The last look.
#[derive(Debug, Clone)]
struct Last {
    found: Found,
    /// The names of its files.
    names: Vec<String>,
    /// How they looked before they were read; empty if the names were not known by then.
    looks: Vec<Look>,
}

/// How a file looks; `None` if there is no file.
type Look = Option<(u64, Option<SystemTime>, [i64; 4])>;

impl Watch {
    /// Looks once, and activates a change that two looks in a row have found.
    fn look(&mut self, server: &Server) {
        let before = self.last.take();
        let unchanged = |last: &Last| !last.looks.is_empty() && last.looks == looks(&self.path, &last.names);
        let (mut now, stable) = match before {
            Some(last) if unchanged(&last) => (last, true),
            before => {
                let now = Last::open(&self.path, before.as_ref().map_or(&[], |last| &last.names), server);
                let stable = before.is_some_and(|before| before.found == now.found);
                (now, stable)
            }
        };
        self.learn(&now.found, server);
        if stable && self.is_due(&now.found) && !self.take(&now.found, server) {
            now.looks.clear();
        }
        self.last = Some(now);
    }

    /// Learns what an administrator activated from this path: it is known, also if it was rolled back since.
    fn learn(&mut self, found: &Found, server: &Server) {
        if let (Ok(found), Some(digest)) = (found, server.activated_from(&self.path))
            && found.digest == digest
        {
            server.forget_activated_from(&self.path);
            (self.known, self.failed) = (found.clone(), None);
            save(server, found, self.note);
        }
    }

    /// Whether to activate what was found. A bundle that cannot be opened waits until it changes; a bundle that was refused is
    /// tried again after a pause.
    fn is_due(&self, found: &Found) -> bool {
        let tried = self.failed.as_ref();
        let tried = tried.is_some_and(|(failed, at)| failed == found && (found.is_err() || at.elapsed() < AGAIN));
        !tried && found.as_ref() != Ok(&self.known)
    }

    /// Activates what was found, and returns whether it is still there. A bundle that is active already is only saved as known.
    fn take(&mut self, found: &Found, server: &Server) -> bool {
        let opened = server.open(&self.path);
        if identity(&opened) != *found {
            return false;
        }
        let active = found.as_ref().is_ok_and(|found| found.digest == server.active_digest());
        let done = active || show(server.activate_opened(opened), self.note);
        match found {
            Ok(identity) if done => {
                (self.known, self.failed) = (identity.clone(), None);
                server.forget_activated_from(&self.path);
                save(server, identity, self.note);
            }
            _ => self.failed = Some((found.clone(), Instant::now())),
        }
        true
    }
}

/// Saves the identity of a watched bundle, so that the next server knows whether it changed while no server ran.
pub(crate) fn save(server: &Server, identity: &Identity, note: Note) {
    if let Err(error) = server.save_watched(&identity.digest) {
        note(&format!("error: the digest of the watched bundle could not be saved: {error}"));
    }
}

impl Last {
    /// Opens the bundle, whose files had these names before.
    fn open(path: &Path, names: &[String], server: &Server) -> Self {
        let looks = looks(path, names);
        let opened = server.open(path);
        let now = opened.as_ref().map_or_else(|_| Vec::new(), names_of);
        // The look counts only if the files that were looked at are those that were read.
        let looks = if now == names { looks } else { Vec::new() };
        Self { found: identity(&opened), names: now, looks }
    }
}

/// The manifest, its signature, and all that it names.
fn names_of(bundle: &Bundle) -> Vec<String> {
    let own = [MANIFEST, Signature::STATEMENT, Signature::FILE].map(str::to_owned);
    own.into_iter().chain(bundle.files().keys().cloned()).collect()
}

/// How the files of a bundle look now: those of a folder, or the one file of everything.
fn looks(path: &Path, names: &[String]) -> Vec<Look> {
    let look = |path: PathBuf| fs::metadata(path).ok().map(|there| (there.len(), there.modified().ok(), inode(&there)));
    if path.is_file() { vec![look(path.to_owned())] } else { names.iter().map(|name| look(path.join(name))).collect() }
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
