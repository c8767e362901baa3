//! Finds the bundles that decided, by their digests.

use crate::ReplayError;
use inferenceguard_bundle::Bundle;
use inferenceguard_catalog::{
    CatalogError, Choice,
    bundles::{self, Fallback},
    cache, with_components,
};
use inferenceguard_host::{BundleIdentity, Engine, OWN_METHOD, Prepared, Roles, RolesFactory};
use inferenceguard_record::Header;
use inferenceguard_sandbox::{Limits, Sandbox};
use std::{
    cell::OnceCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

/// The bundles that are at hand, and their roles.
pub(super) struct Source<'a> {
    choice: &'a Choice,
    /// The bundles in a server's store, as files.
    packed: Vec<PathBuf>,
    opened: BTreeMap<(String, String), Rc<DecidingBundle>>,
    /// Shares compiled components between the bundles.
    sandbox: Sandbox,
}

/// A bundle that decided, ready to decide again.
pub(super) struct DecidingBundle {
    pub(super) bundle: Bundle,
    roles: Arc<dyn RolesFactory>,
    /// As the engine that judges has it; filled at the first judgement.
    prepared: OnceCell<Prepared>,
}

impl DecidingBundle {
    /// Fresh roles as they decided.
    pub(super) fn roles(&self) -> Result<Roles, ReplayError> {
        Ok(self.roles.open()?)
    }

    /// Prepared for this engine.
    pub(super) fn prepare(&self, engine: &Engine) -> Result<&Prepared, ReplayError> {
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared);
        }
        let prepared = engine.prepare(&self.bundle)?;
        Ok(self.prepared.get_or_init(|| prepared))
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(choice: &'a Choice, state: Option<&Path>) -> Result<Self, ReplayError> {
        let list = |dir: &Path| -> std::io::Result<Vec<PathBuf>> {
            fs::read_dir(dir.join("bundles"))?.map(|entry| Ok(entry?.path())).collect()
        };
        let unread = |dir: &Path, source| ReplayError::Store { path: dir.to_owned(), source };
        let packed = state.map(|dir| list(dir).map_err(|source| unread(dir, source))).transpose()?;
        let sandbox = Sandbox::new(Limits::default(), cache().as_deref())?;
        Ok(Self { choice, packed: packed.unwrap_or_default(), opened: BTreeMap::new(), sandbox })
    }

    /// A bundle that decided by this method.
    fn bundle(&self, identity: &BundleIdentity, method: &str) -> Result<Bundle, ReplayError> {
        let wanted = &identity.digest;
        let hex = wanted.trim_start_matches("sha256:");
        let stored = self.packed.iter().find(|path| path.file_stem().is_some_and(|stem| stem == hex));
        if let Some(path) = stored {
            return Ok(Bundle::open(path).map_err(CatalogError::from)?);
        }
        let methods = [method.to_owned()];
        for fallback in [Fallback::Plain, Fallback::Networks] {
            let named = bundles::open(self.choice.bundle.as_deref(), fallback)?;
            let changed = self.choice.n.map(|n| bundles::with_candidates(&named, &methods, n)).transpose()?;
            let found = [Some(named), changed].into_iter().flatten().find(|one| one.digest().to_string() == *wanted);
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let (name, version, digest) = (identity.name.clone(), identity.version.clone(), wanted.clone());
        Err(ReplayError::NoBundle { name, version, digest })
    }

    /// All bundles that decided, each with the suffix of its constraints' names in the record.
    pub(super) fn deciding_bundles(
        &mut self,
        header: &Header,
    ) -> Result<Vec<(String, Rc<DecidingBundle>)>, ReplayError> {
        let mut decided = vec![(String::new(), self.open(&header.bundle, &header.method)?)];
        for later in &header.migrations {
            decided.push((format!("@{}", later.number), self.open(&later.bundle, &later.method)?));
        }
        Ok(decided)
    }

    fn open(&mut self, identity: &BundleIdentity, method: &str) -> Result<Rc<DecidingBundle>, ReplayError> {
        let key = (identity.digest.clone(), method.to_owned());
        if let Some(opened) = self.opened.get(&key) {
            return Ok(Rc::clone(opened));
        }
        let bundle = self.bundle(identity, method)?;
        let builder = inferenceguard_host::EngineBuilder::new().bundle(&bundle).sandbox(self.sandbox.clone());
        let builder = if method == OWN_METHOD { builder } else { builder.method(method) };
        let roles = with_components(builder)?.build_roles(method)?;
        let opened = Rc::new(DecidingBundle { roles, bundle, prepared: OnceCell::new() });
        self.opened.insert(key, Rc::clone(&opened));
        Ok(opened)
    }
}
