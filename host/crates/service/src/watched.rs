//! What is watched: a bundle, and the layer of a tenant.

use crate::reload::{indented, show_bundle};
use inferenceguard_bundle::{Bundle, Digest, LAYER, Layer, MANIFEST, Signature};
use inferenceguard_catalog::Note;
use inferenceguard_host::Generation;
use inferenceguard_server::{OpenError, Server};
use std::path::{Path, PathBuf};

/// Something in files that is activated when it changes.
pub(crate) trait Watched: Clone + Send + 'static {
    /// The content of the files.
    type Opened;
    /// Equal for equal contents.
    type Identity: Clone + PartialEq + Send + 'static;

    /// Its name in messages.
    fn name(&self) -> String;

    /// Reads the files, and activates nothing.
    fn open(&self, server: &Server) -> Result<Self::Opened, OpenError>;

    /// The identity of what was opened.
    fn identity(opened: &Self::Opened) -> Self::Identity;

    /// The files that belong to what was opened, also those that could be there and are not.
    fn files(&self, opened: &Self::Opened) -> Vec<PathBuf>;

    /// Whether this was activated otherwise; from then on it is known.
    fn was_activated(&mut self, found: &Self::Identity, server: &Server) -> bool;

    /// Whether there is nothing to activate.
    fn is_known(&self, found: &Self::Identity, server: &Server) -> bool;

    /// Activates what was opened, shows the result, and returns whether it succeeded. What could not be opened counts as a refused
    /// activation.
    fn activate(&mut self, opened: Result<Self::Opened, OpenError>, server: &Server) -> bool;
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

/// A bundle that is watched.
#[derive(Debug, Clone)]
pub(crate) struct WatchedBundle {
    path: PathBuf,
    /// The bundle that was activated last, or that was there at the start.
    known: Identity,
    note: Note,
}

impl WatchedBundle {
    /// The bundle of this path, which was `known` at the start.
    pub(crate) fn new(path: &Path, known: Identity, note: Note) -> Self {
        Self { path: path.to_owned(), known, note }
    }

    /// Saves the known identity, so that the next server knows whether the bundle changed while no server ran.
    pub(crate) fn save(&self, server: &Server) {
        if let Err(error) = server.save_watched(&self.known.digest) {
            (self.note)(&format!("error: the digest of the watched bundle could not be saved: {error}"));
        }
    }

    fn learn(&mut self, identity: Identity, server: &Server) {
        self.known = identity;
        server.forget_activated_from(&self.path);
        self.save(server);
    }
}

impl Watched for WatchedBundle {
    type Opened = Bundle;
    type Identity = Identity;

    fn name(&self) -> String {
        "the watched bundle".to_owned()
    }

    fn open(&self, server: &Server) -> Result<Bundle, OpenError> {
        server.open(&self.path)
    }

    fn identity(opened: &Bundle) -> Identity {
        Identity::of(opened)
    }

    /// The files to watch: of a folder the manifest, its signature and all files that the manifest names; otherwise the one file of
    /// the bundle.
    fn files(&self, opened: &Bundle) -> Vec<PathBuf> {
        if self.path.is_file() {
            return vec![self.path.clone()];
        }
        let own = [MANIFEST, Signature::STATEMENT, Signature::FILE].into_iter();
        own.chain(opened.files().keys().map(String::as_str)).map(|name| self.path.join(name)).collect()
    }

    /// What an administrator activated from this path is known, also if it was rolled back since.
    fn was_activated(&mut self, found: &Identity, server: &Server) -> bool {
        let activated = server.activated_from(&self.path).as_ref() == Some(&found.digest);
        if activated {
            self.learn(found.clone(), server);
        }
        activated
    }

    fn is_known(&self, found: &Identity, _: &Server) -> bool {
        *found == self.known
    }

    /// A bundle that is active already is only saved as known.
    fn activate(&mut self, opened: Result<Bundle, OpenError>, server: &Server) -> bool {
        let identity = opened.as_ref().ok().map(Identity::of);
        let active = identity.as_ref().is_some_and(|identity| identity.digest == server.active_digest());
        let done = active || show_bundle(server.activate_opened(opened), self.note);
        if let Some(identity) = identity.filter(|_| done) {
            self.learn(identity, server);
        }
        done
    }
}

/// The layer of a tenant that is watched. The layer that decides is known: every activation of a bundle reads the layers again.
#[derive(Debug, Clone)]
pub(crate) struct WatchedLayer {
    tenant: String,
    path: PathBuf,
    note: Note,
}

impl WatchedLayer {
    /// The layers of all tenants.
    pub(crate) fn all(server: &Server, note: Note) -> Vec<Self> {
        let tenants = server.settings().tenants.iter();
        let layers = tenants.filter_map(|(name, tenant)| Some((name.clone(), tenant.layer.clone()?)));
        layers.map(|(tenant, path)| Self { tenant, path, note }).collect()
    }
}

impl Watched for WatchedLayer {
    type Opened = Layer;
    type Identity = Digest;

    fn name(&self) -> String {
        format!("the layer of tenant {}", self.tenant)
    }

    fn open(&self, server: &Server) -> Result<Layer, OpenError> {
        server.open_layer(&self.tenant)
    }

    fn identity(opened: &Layer) -> Digest {
        opened.digest()
    }

    fn files(&self, opened: &Layer) -> Vec<PathBuf> {
        let names = [LAYER].into_iter().chain(opened.files().keys().map(String::as_str));
        names.map(|name| self.path.join(name)).collect()
    }

    fn was_activated(&mut self, found: &Digest, server: &Server) -> bool {
        self.is_known(found, server)
    }

    fn is_known(&self, found: &Digest, server: &Server) -> bool {
        server.active_layer(&self.tenant) == Some(*found)
    }

    fn activate(&mut self, opened: Result<Layer, OpenError>, server: &Server) -> bool {
        let (done, name) = (server.activate_layer(&self.tenant, opened), self.name());
        match &done {
            Ok(Generation { number, .. }) => {
                (self.note)(&format!("activated       {name}, over generation {number}"));
            }
            Err(error) => {
                (self.note)(&format!("error: {name} was not activated; the old one stays: {}", indented(error)));
            }
        }
        done.is_ok()
    }
}
