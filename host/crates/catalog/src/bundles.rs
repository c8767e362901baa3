//! Bundles by name: a folder, a file, or a bundle that the program carries.

use crate::{CatalogError, embedded};
use inferenceguard_bundle::{Bundle, MANIFEST};
use inferenceguard_host::{
    OWN_METHOD,
    methods::{Methods, component_name},
};
use inferenceguard_sandbox::SettingValue;
use std::{collections::BTreeMap, path::Path};

/// The demonstration's bundle that is opened where no bundle is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Without networks: for any model.
    Plain,
    /// With the networks of the demonstration model.
    Networks,
}

impl Fallback {
    /// With networks if the model is the demonstration's (`demo`) and one of these methods reads a network.
    #[must_use]
    pub fn of(demo: bool, methods: &[String]) -> Self {
        let table = Methods::default();
        let reads = |name: &String| table.find(name).is_ok_and(|method| method.critic || method.steering.is_some());
        if demo && methods.iter().any(reads) { Self::Networks } else { Self::Plain }
    }

    fn open(self) -> Result<Bundle, CatalogError> {
        let mut files = first_party();
        if self == Self::Plain {
            return Ok(Bundle::from_parts(embedded::MANIFEST, &files)?);
        }
        files.extend(embedded::weak_bundle().iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())));
        let manifest = files.remove(MANIFEST).ok_or(CatalogError::NoDemoNetworks)?;
        Ok(Bundle::from_parts(&String::from_utf8(manifest)?, &files)?)
    }
}

/// The bundle in a folder or file, or the fallback.
///
/// A folder may name first-party components (`safety-budget.wasm`) without holding them; then it gets those that the program
/// carries.
///
/// # Errors
/// [`CatalogError::Bundle`] if it cannot be read or is no bundle, [`CatalogError::NoDemoNetworks`].
pub fn open(path: Option<&Path>, fallback: Fallback) -> Result<Bundle, CatalogError> {
    match path {
        Some(path) => Ok(Bundle::open_with(path, first_party_file)?),
        None => fallback.open(),
    }
}

/// The first-party component that a file is named after: `NAME.wasm` or `NAME`.
#[must_use]
pub fn first_party_file(file: &str) -> Option<Vec<u8>> {
    let is_bare = !file.contains('/');
    is_bare.then(|| embedded::component(component_name(file)))?.map(<[u8]>::to_vec)
}

fn first_party() -> BTreeMap<String, Vec<u8>> {
    embedded::components().iter().map(|(name, bytes)| (format!("{name}.wasm"), bytes.to_vec())).collect()
}

/// The same bundle with another number of candidates for its own policy and for these methods.
///
/// # Errors
/// [`CatalogError::Engine`] for an unknown method, [`CatalogError::Candidates`].
pub fn with_candidates(bundle: &Bundle, methods: &[String], n: u32) -> Result<Bundle, CatalogError> {
    let mut manifest = bundle.manifest().clone();
    let value = SettingValue::Integer(i64::from(n));
    let table = Methods::of(&manifest);
    let own = &manifest.policy.component;
    if methods.iter().any(|method| method == OWN_METHOD) && !table.knows_own(own) {
        return Err(CatalogError::Candidates { policy: own.clone() });
    }
    if let Some(setting) = table.candidates_of_own(own) {
        manifest.policy.settings.insert(setting.to_owned(), value.clone());
    }
    for method in methods.iter().filter(|method| *method != OWN_METHOD) {
        if let Some(setting) = &table.find(method)?.candidates {
            let entry = manifest.methods.entry(method.clone()).or_default();
            entry.settings.insert(setting.clone(), value.clone());
        }
    }
    Ok(Bundle::from_parts(&toml::to_string(&manifest)?, bundle.files())?)
}

/// Budgets by the name of their constraint, from texts `NAME=D`, or `D` for the first constraint.
///
/// # Errors
/// [`CatalogError::NoConstraint`], [`CatalogError::Budget`].
pub fn budgets(bundle: &Bundle, given: &[String]) -> Result<BTreeMap<String, f64>, CatalogError> {
    let first = bundle.manifest().constraints.first();
    let budget = |text: &String| {
        let (name, number) = match text.split_once('=') {
            Some((name, number)) => (name, number),
            None => (first.ok_or(CatalogError::NoConstraint)?.name.as_str(), text.as_str()),
        };
        let number = number.trim().parse();
        Ok((name.to_owned(), number.map_err(|source| CatalogError::Budget { found: text.clone(), source })?))
    };
    given.iter().map(budget).collect()
}
