//! Where the bundles that decided are found: by their digests.

use crate::{
    args::GuardArguments,
    bundle::{self, Fallback},
    engine,
};
use anyhow::{Context, bail};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{OWN_METHOD, Roles, RolesFactory};
use inferenceguard_record::Header;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bundles and their roles.
pub(crate) struct Source<'a> {
    guard: &'a GuardArguments,
    /// Files of a server's store.
    packed: Vec<PathBuf>,
    roles: BTreeMap<(String, String), Arc<dyn RolesFactory>>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(guard: &'a GuardArguments, state: Option<&Path>) -> anyhow::Result<Self> {
        let list = |dir: &Path| -> std::io::Result<Vec<PathBuf>> {
            fs::read_dir(dir.join("bundles"))?.map(|entry| Ok(entry?.path())).collect()
        };
        let packed = state.map(|dir| list(dir).with_context(|| dir.display().to_string())).transpose()?;
        Ok(Self { guard, packed: packed.unwrap_or_default(), roles: BTreeMap::new() })
    }

    /// The bundle that decided.
    pub(crate) fn bundle(&self, header: &Header) -> anyhow::Result<Bundle> {
        let wanted = &header.bundle.digest;
        let hex = wanted.trim_start_matches("sha256:");
        let stored = self.packed.iter().find(|path| path.file_stem().is_some_and(|stem| stem == hex));
        if let Some(path) = stored {
            return Ok(Bundle::open(path)?);
        }
        let methods = [header.method.clone()];
        for fallback in [Fallback::Plain, Fallback::Networks] {
            let named = bundle::open(self.guard.bundle.as_deref(), fallback)?;
            let changed = self.guard.n.map(|n| bundle::with_candidates(&named, &methods, n)).transpose()?;
            let found = [Some(named), changed].into_iter().flatten().find(|one| one.digest().to_string() == *wanted);
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let (name, version) = (&header.bundle.name, &header.bundle.version);
        bail!("it was decided by the bundle {name} {version}, {wanted}; name that with --bundle or --state")
    }

    /// Fresh roles as they decided.
    pub(crate) fn roles(&mut self, header: &Header) -> anyhow::Result<Roles> {
        let key = (header.bundle.digest.clone(), header.method.clone());
        if !self.roles.contains_key(&key) {
            let bundle = self.bundle(header)?;
            let builder = inferenceguard_host::EngineBuilder::new().bundle(&bundle);
            let builder = if header.method == OWN_METHOD { builder } else { builder.method(&header.method) };
            let roles = engine::with_components(builder)?.build_roles(&header.method)?;
            self.roles.insert(key.clone(), roles);
        }
        let factory = self.roles.get(&key).context("roles that were just made")?;
        Ok(factory.open()?)
    }
}
