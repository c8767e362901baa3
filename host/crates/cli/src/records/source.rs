//! Where the bundles that decided are found: by their digests.

use anyhow::{Context, bail};
use inferenceguard_bundle::Bundle;
use inferenceguard_catalog::{
    Choice,
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

/// Bundles and their roles.
pub(super) struct Source<'a> {
    choice: &'a Choice,
    /// Files of a server's store.
    packed: Vec<PathBuf>,
    opened: BTreeMap<(String, String), Rc<Opened>>,
    /// Keeps what was compiled, for all bundles.
    sandbox: Sandbox,
}

/// A bundle that decided, ready to decide again.
pub(super) struct Opened {
    pub(super) bundle: Bundle,
    roles: Arc<dyn RolesFactory>,
    /// Beside the one engine that judges, once it does.
    prepared: OnceCell<Prepared>,
}

impl Opened {
    /// Fresh roles as they decided.
    pub(super) fn roles(&self) -> anyhow::Result<Roles> {
        Ok(self.roles.open()?)
    }

    /// As this engine judges by it.
    pub(super) fn prepared(&self, engine: &Engine) -> anyhow::Result<&Prepared> {
        if self.prepared.get().is_none() {
            drop(self.prepared.set(engine.prepare(&self.bundle)?));
        }
        self.prepared.get().context("a bundle was not prepared")
    }
}

impl<'a> Source<'a> {
    pub(super) fn new(choice: &'a Choice, state: Option<&Path>) -> anyhow::Result<Self> {
        let list = |dir: &Path| -> std::io::Result<Vec<PathBuf>> {
            fs::read_dir(dir.join("bundles"))?.map(|entry| Ok(entry?.path())).collect()
        };
        let packed = state.map(|dir| list(dir).with_context(|| dir.display().to_string())).transpose()?;
        let sandbox = Sandbox::new(Limits::default(), cache().as_deref())?;
        Ok(Self { choice, packed: packed.unwrap_or_default(), opened: BTreeMap::new(), sandbox })
    }

    /// A bundle that decided by this method.
    fn bundle(&self, identity: &BundleIdentity, method: &str) -> anyhow::Result<Bundle> {
        let wanted = &identity.digest;
        let hex = wanted.trim_start_matches("sha256:");
        let stored = self.packed.iter().find(|path| path.file_stem().is_some_and(|stem| stem == hex));
        if let Some(path) = stored {
            return Ok(Bundle::open(path)?);
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
        let (name, version) = (&identity.name, &identity.version);
        bail!("it was decided by the bundle {name} {version}, {wanted}; name that with --bundle or --state")
    }

    /// All bundles that decided: with each, what its names end with in the record.
    pub(super) fn decided(&mut self, header: &Header) -> anyhow::Result<Vec<(String, Rc<Opened>)>> {
        let mut decided = vec![(String::new(), self.open(&header.bundle, &header.method)?)];
        for later in &header.migrations {
            decided.push((format!("@{}", later.number), self.open(&later.bundle, &later.method)?));
        }
        Ok(decided)
    }

    fn open(&mut self, identity: &BundleIdentity, method: &str) -> anyhow::Result<Rc<Opened>> {
        let key = (identity.digest.clone(), method.to_owned());
        if let Some(opened) = self.opened.get(&key) {
            return Ok(Rc::clone(opened));
        }
        let bundle = self.bundle(identity, method)?;
        let builder = inferenceguard_host::EngineBuilder::new().bundle(&bundle).sandbox(self.sandbox.clone());
        let builder = if method == OWN_METHOD { builder } else { builder.method(method) };
        let roles = with_components(builder)?.build_roles(method)?;
        let opened = Rc::new(Opened { roles, bundle, prepared: OnceCell::new() });
        self.opened.insert(key, Rc::clone(&opened));
        Ok(opened)
    }
}
