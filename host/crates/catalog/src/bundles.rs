//! Bundles by name: a folder, a file, or a bundle that the program carries.

use crate::{CatalogError, embedded};
use inferenceguard_bundle::{Bundle, MANIFEST, Manifest};
use inferenceguard_host::{
    OWN_METHOD,
    methods::{Methods, component_name},
};
use inferenceguard_sandbox::SettingValue;
use std::{collections::BTreeMap, path::Path};

/// The bundle that is opened where no bundle is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Without networks: for any model.
    Plain,
    /// With the networks of the demonstration model.
    Networks,
    /// For SmolLM2-135M-Instruct.
    Smollm2,
}

impl Fallback {
    /// The fallback for these methods: with networks if the model is the demonstration's (`demo`) and a method reads a network.
    #[must_use]
    pub fn of(demo: bool, methods: &[String]) -> Self {
        let table = Methods::default();
        let reads = |name: &String| table.find(name).is_ok_and(|method| method.critic || method.steering.is_some());
        if demo && methods.iter().any(reads) { Self::Networks } else { Self::Plain }
    }

    fn open(self) -> Result<Bundle, CatalogError> {
        let mut files = first_party();
        let own = match self {
            Self::Plain => return Ok(Bundle::from_parts(embedded::MANIFEST, &files)?),
            Self::Networks => embedded::weak_bundle(),
            Self::Smollm2 => embedded::smollm2_bundle(),
        };
        files.extend(own.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())));
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
/// [`CatalogError::Bundle`] if it cannot be read or is not a bundle, [`CatalogError::NoDemoNetworks`].
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

/// The files of all first-party components, by the names that manifests use.
#[must_use]
pub fn first_party() -> BTreeMap<String, Vec<u8>> {
    embedded::components().iter().map(|(name, bytes)| (format!("{name}.wasm"), bytes.to_vec())).collect()
}

/// The setting that takes the number of candidates of a method in this bundle; none if the method always considers one.
///
/// # Errors
/// [`CatalogError::Engine`] for an unknown method, [`CatalogError::Candidates`] where the policy is the bundle's and nothing names
/// its setting.
pub fn candidates_setting(manifest: &Manifest, method: &str) -> Result<Option<String>, CatalogError> {
    let (table, own) = (Methods::of(manifest), &manifest.policy.component);
    let unknown = |policy: &str| CatalogError::Candidates { method: method.to_owned(), policy: policy.to_owned() };
    if method == OWN_METHOD {
        let setting = table.candidates_of_own(own).map(str::to_owned);
        return if table.knows_own(own) { Ok(setting) } else { Err(unknown(own)) };
    }
    let setting = table.find(method)?.candidates.clone();
    let policy = manifest.methods.get(method).and_then(|entry| entry.policy.as_deref());
    match (setting, policy) {
        (None, Some(policy)) => Err(unknown(policy)),
        (setting, _) => Ok(setting),
    }
}

/// The same bundle with another number of candidates for its own policy and for these methods.
///
/// # Errors
/// As [`candidates_setting`], and [`CatalogError::Bundle`].
pub fn with_candidates(bundle: &Bundle, methods: &[String], n: u32) -> Result<Bundle, CatalogError> {
    let mut manifest = bundle.manifest().clone();
    let value = SettingValue::Integer(i64::from(n));
    if let Some(setting) = Methods::of(&manifest).candidates_of_own(&manifest.policy.component) {
        manifest.policy.settings.insert(setting.to_owned(), value.clone());
    }
    for method in methods {
        let setting = candidates_setting(&manifest, method)?.filter(|_| method != OWN_METHOD);
        if let Some(setting) = setting {
            let entry = manifest.methods.entry(method.clone()).or_default();
            entry.settings.insert(setting, value.clone());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: &str) -> Manifest {
        Manifest::parse(&format!("{}\n{more}", embedded::MANIFEST)).unwrap()
    }

    #[test]
    fn the_bundle_for_smollm2_is_carried_whole() {
        let carried = open(None, Fallback::Smollm2).unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bundles/smollm2-135m-instruct");
        let open = open(Some(&folder), Fallback::Plain).unwrap();
        assert_eq!(carried.manifest(), open.manifest());
        assert!(open.manifest().networks.iter().all(|(_, entry)| carried.file(&entry.file).is_some()));
    }

    #[test]
    fn a_policy_of_a_bundle_takes_a_number_of_candidates_only_where_its_setting_is_named() {
        let named = with("[methods.mine]\npolicy = \"mine.wasm\"\ncandidates = \"width\"\n");
        assert_eq!(candidates_setting(&named, "mine").unwrap().as_deref(), Some("width"));
        for method in ["mine", "base"] {
            let unnamed = with(&format!("[methods.{method}]\npolicy = \"mine.wasm\"\n"));
            let error = candidates_setting(&unnamed, method).unwrap_err();
            assert!(error.to_string().contains(&format!("`[methods.{method}]`")), "{error}");
        }
        // The methods of the table say themselves that they consider one.
        assert_eq!(candidates_setting(&named, "base").unwrap(), None);
        assert_eq!(candidates_setting(&named, "args").unwrap().as_deref(), Some("k"));
        assert!(matches!(candidates_setting(&named, "magic"), Err(CatalogError::Engine(_))));
    }

    #[test]
    fn the_bundles_own_policy_takes_it_where_the_table_or_the_bundle_names_the_setting() {
        let mut manifest = with("");
        assert_eq!(candidates_setting(&manifest, OWN_METHOD).unwrap().as_deref(), Some("n"));
        manifest.policy.component = "mine.wasm".to_owned();
        let error = candidates_setting(&manifest, OWN_METHOD).unwrap_err();
        assert!(error.to_string().contains("mine.wasm") && error.to_string().contains("`[methods.bundle]`"), "{error}");
        let entry = manifest.methods.entry(OWN_METHOD.to_owned()).or_default();
        entry.candidates = Some("width".to_owned());
        assert_eq!(candidates_setting(&manifest, OWN_METHOD).unwrap().as_deref(), Some("width"));
    }
}
