//! What the program carries: first-party components, the demonstration models, the default bundle.

use crate::CatalogError;
use inferenceguard_candle::ModelFiles;
use std::{borrow::Cow, fs, path::Path};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The manifest of the default bundle; its files are first-party components.
pub const MANIFEST: &str = include_str!("../../../demo/bundle/bundle.toml");

/// The files of the bundle with networks for the demonstration model, other than first-party components.
pub(crate) fn weak_bundle() -> &'static [(&'static str, &'static [u8])] {
    WEAK_BUNDLE
}

/// The files of the bundle for SmolLM2-135M-Instruct, other than first-party components.
pub(crate) fn smollm2_bundle() -> &'static [(&'static str, &'static [u8])] {
    SMOLLM2_BUNDLE
}

/// The bytes of a first-party component.
#[must_use]
pub fn component(name: &str) -> Option<&'static [u8]> {
    COMPONENTS.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// The bytes of a component, by its file or by the name of a first-party component.
///
/// # Errors
/// [`CatalogError::ComponentFile`], [`CatalogError::NoComponent`].
pub fn read_component(name: &str) -> Result<Cow<'static, [u8]>, CatalogError> {
    if Path::new(name).is_file() {
        let bytes = fs::read(name).map_err(|source| CatalogError::ComponentFile { name: name.to_owned(), source })?;
        return Ok(Cow::Owned(bytes));
    }
    let known = || CatalogError::NoComponent { name: name.to_owned(), known: component_names() };
    component(name).map(Cow::Borrowed).ok_or_else(known)
}

/// The names of all first-party components.
#[must_use]
pub fn component_names() -> String {
    COMPONENTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// All first-party components: name and bytes.
#[must_use]
pub fn components() -> &'static [(&'static str, &'static [u8])] {
    COMPONENTS
}

/// The role that a first-party component fills: `policy`, `tracker`, `critic`, `cost` or `steering`.
#[must_use]
pub fn role(name: &str) -> Option<&'static str> {
    ROLES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
}

/// A demo model by name: `weak`, `reward` or `cost`; `None` if this build carries none.
#[must_use]
pub fn model(name: &str) -> Option<ModelFiles> {
    let files = match name {
        "weak" => WEAK,
        "reward" => REWARD,
        "cost" => COST,
        _ => return None,
    };
    let map = files.iter().map(|(file, bytes)| ((*file).to_owned(), Cow::Borrowed(*bytes)));
    (!files.is_empty()).then(|| ModelFiles::memory(name, map.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_componentize::inspect;

    #[test]
    fn components_fill_the_roles_that_are_noted() {
        assert!(!components().is_empty());
        for (name, bytes) in components() {
            assert_eq!(role(name), Some(inspect(bytes).unwrap().role.name()), "{name}");
        }
        assert_eq!(role("none"), None);
    }
}
