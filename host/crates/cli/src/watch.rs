//! Activates a bundle again: on SIGHUP, and when it has become another one.
//!
//! What counts is what a bundle is once it is opened: its digest and its signature. How its files look only says when to open
//! it again, and what else lies in its folder does not matter.

use crate::{output, signals::Signals};
use inferenceguard_bundle::{Bundle, MANIFEST, Signature};
use inferenceguard_host::Generation;
use inferenceguard_server::{DeployError, OpenError, Server};
use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};
use tokio::{task::spawn_blocking, time::sleep};

/// How often a watched bundle is looked at. What it has become is activated when two looks in a row found the same.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long after a failed activation the same bundle is tried again: the disk may have been full.
const AGAIN: Duration = Duration::from_secs(60);

/// From now on, activates the bundle on SIGHUP; without one, says that there is nothing to reload.
pub(crate) fn on_hangup(server: &Server, bundle: Option<&Path>, signals: &Signals) {
    let (server, bundle) = (server.clone(), bundle.map(Path::to_owned));
    signals.on_hangup(move || {
        let (server, bundle) = (server.clone(), bundle.clone());
        async move {
            let Some(path) = bundle else {
                output::note("SIGHUP          ignored: without --bundle there is nothing to reload");
                return;
            };
            if spawn_blocking(move || said(server.activate(&path))).await.is_err() {
                output::note("error: the activation panicked; the old bundle stays");
            }
        }
    });
}

/// From now on, activates the bundle when it has become another one than `known`.
pub(crate) fn on_change(server: &Server, bundle: &Path, known: Identity) {
    let (server, path) = (server.clone(), bundle.to_owned());
    tokio::spawn(async move {
        let mut watch = Watch { path, known, last: None, failed: None };
        loop {
            sleep(INTERVAL).await;
            let (own, mut next) = (server.clone(), watch.clone());
            let looked = spawn_blocking(move || {
                next.look(&own);
                next
            });
            match looked.await {
                Ok(next) => watch = next,
                Err(_) => output::note("error: looking at the watched bundle panicked; the old bundle stays"),
            }
        }
    });
}

/// Says what an activation came to.
fn said(done: Result<Generation, DeployError>) -> bool {
    match &done {
        Ok(Generation { number, bundle, .. }) => {
            output::note(format_args!("activated       generation {number}: {} {}", bundle.name, bundle.version));
        }
        // Indented: no line of what it quotes looks like one of the server.
        Err(error) => {
            let error = error.to_string().trim_end().replace('\n', "\n    ");
            output::note(format_args!("error: the bundle was not activated; the old one stays: {error}"));
        }
    }
    done.is_ok()
}

/// What a bundle is. Where its first signature was not trusted, another one may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// As the store remembers it.
    pub(crate) digest: String,
    signature: Option<Signature>,
}

impl Identity {
    pub(crate) fn of(bundle: &Bundle) -> Self {
        Self { digest: bundle.digest().to_string(), signature: bundle.signature().cloned() }
    }
}

/// What opening the bundle came to.
type Found = Result<Identity, OpenError>;

fn identity(opened: &Result<Bundle, OpenError>) -> Found {
    opened.as_ref().map(Identity::of).map_err(Clone::clone)
}

/// A bundle that is watched.
#[derive(Debug, Clone)]
struct Watch {
    path: PathBuf,
    /// What was taken last, or was there at the beginning.
    known: Identity,
    last: Option<Last>,
    /// What could not be activated, and when that was tried.
    failed: Option<(Found, Instant)>,
}

/// The last look.
#[derive(Debug, Clone)]
struct Last {
    found: Found,
    /// The names of its files.
    names: Vec<String>,
    /// How they looked before they were read, where the names were known by then.
    looks: Vec<Look>,
}

/// How a file looks; nothing where there is none.
type Look = Option<(u64, Option<SystemTime>, [i64; 4])>;

impl Watch {
    /// Looks once, and activates what two looks in a row have found.
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

    /// What an administrator activated from here is known, though it may have been rolled back since.
    fn learn(&mut self, found: &Found, server: &Server) {
        if let (Ok(found), Some(digest)) = (found, server.activated_from(&self.path))
            && found.digest == digest
        {
            server.forget_activated_from(&self.path);
            (self.known, self.failed) = (found.clone(), None);
            remember(server, found);
        }
    }

    /// What cannot be opened is the same until it changes; what was refused may be taken a little later.
    fn is_due(&self, found: &Found) -> bool {
        let tried = self.failed.as_ref();
        let tried = tried.is_some_and(|(failed, at)| failed == found && (found.is_err() || at.elapsed() < AGAIN));
        !tried && found.as_ref() != Ok(&self.known)
    }

    /// Activates what was found, and says whether it is still there; what is active already is only remembered.
    fn take(&mut self, found: &Found, server: &Server) -> bool {
        let opened = server.open(&self.path);
        if identity(&opened) != *found {
            return false;
        }
        let active = found.as_ref().is_ok_and(|found| found.digest == server.active_digest());
        let done = active || said(server.activate_opened(opened));
        match found {
            Ok(identity) if done => {
                (self.known, self.failed) = (identity.clone(), None);
                server.forget_activated_from(&self.path);
                remember(server, identity);
            }
            _ => self.failed = Some((found.clone(), Instant::now())),
        }
        true
    }
}

/// Remembers what a watched bundle is, so that the next server knows whether it was changed while none ran.
pub(crate) fn remember(server: &Server, identity: &Identity) {
    if let Err(error) = server.save_watched(&identity.digest) {
        output::note(format_args!("error: what the watched bundle is could not be remembered: {error}"));
    }
}

impl Last {
    /// Opens the bundle, whose files had these names before.
    fn open(path: &Path, names: &[String], server: &Server) -> Self {
        let looks = looks(path, names);
        let opened = server.open(path);
        let now = opened.as_ref().map_or_else(|_| Vec::new(), names_of);
        // Only where the same files were looked at and read is the look one of what was found.
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
    let look = |path: PathBuf| fs::metadata(path).ok().map(|there| (there.len(), there.modified().ok(), place(&there)));
    if path.is_file() { vec![look(path.to_owned())] } else { names.iter().map(|name| look(path.join(name))).collect() }
}

/// Which file it is, and when anything about it changed: unlike the time of its contents, that cannot be set.
#[cfg(unix)]
fn place(there: &Metadata) -> [i64; 4] {
    use std::os::unix::fs::MetadataExt;
    [there.dev() as i64, there.ino() as i64, there.ctime(), there.ctime_nsec()]
}

#[cfg(not(unix))]
fn place(_: &Metadata) -> [i64; 4] {
    [0; 4]
}
