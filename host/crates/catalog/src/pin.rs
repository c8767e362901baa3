//! Writes into a bundle's manifest which models it was made for.

use crate::{
    CatalogError, Choice, build,
    bundles::{self, Fallback},
};
use inferenceguard_bundle::{Bundle, ModelEntry};
use inferenceguard_host::{Engine, Models, OWN_METHOD};
use inferenceguard_model::ModelIdentity;
use inferenceguard_search::RolesInfo;
use std::collections::BTreeSet;
use toml_edit::{DocumentMut, Item, Table, value};

/// A bundle with the digests of its models in the manifest.
#[derive(Debug)]
pub struct Pinned {
    /// The bundle, without a signature.
    pub bundle: Bundle,
    /// The models.
    pub models: Models,
    /// Whether the bundle was signed before: the signature no longer holds.
    pub was_signed: bool,
}

/// Loads the bundle with the models, and pins it to them.
///
/// # Errors
/// [`CatalogError::NoBundleNamed`], models and bundles that cannot be opened, a manifest whose keys are not tables.
pub fn pin(choice: &Choice) -> Result<Pinned, CatalogError> {
    let path = choice.bundle.as_deref().ok_or(CatalogError::NoBundleNamed)?;
    let bundle = bundles::open(Some(path), Fallback::Plain)?;
    let engine = engine(choice, &bundle)?;
    let read = scores(&engine.roles(OWN_METHOD)?);
    let text = with_digests(bundle.text(), engine.models(), &read)?;
    let (models, was_signed) = (engine.models().clone(), bundle.signature().is_some());
    Ok(Pinned { bundle: Bundle::from_parts(&text, bundle.files())?, models, was_signed })
}

/// An engine of the bundle and these models, whatever models it is pinned to.
fn engine(choice: &Choice, bundle: &Bundle) -> Result<Engine, CatalogError> {
    let mut manifest = bundle.manifest().clone();
    std::iter::once(&mut manifest.model).chain(manifest.scores.values_mut()).for_each(unpin);
    let bare = Bundle::from_parts(&toml::to_string(&manifest)?, bundle.files())?;
    let builder = choice.builder_of(choice.language(Some(bare.manifest()))?, &bare, &[], &[])?;
    build(builder)
}

fn unpin(entry: &mut ModelEntry) {
    (entry.fingerprint, entry.full) = (None, None);
    entry.parts.clear();
}

/// The names of all score models that the roles read.
fn scores(roles: &RolesInfo) -> BTreeSet<String> {
    let others = [Some(&roles.policy), roles.critic.as_ref(), roles.steering.as_ref()];
    let needs = roles.costs.values().map(|cost| &cost.needs).chain(others.into_iter().flatten());
    needs.flat_map(|needs| needs.scores.iter().cloned()).collect()
}

/// The manifest's text with the digests of the models, all else as it is.
fn with_digests(text: &str, models: &Models, read: &BTreeSet<String>) -> Result<String, CatalogError> {
    let mut document: DocumentMut = text.parse().map_err(CatalogError::ManifestText)?;
    set(table(document.as_table_mut(), "model")?, &models.model)?;
    if !read.is_empty() {
        let scores = table(document.as_table_mut(), "scores")?;
        scores.set_implicit(true);
        for name in read {
            let found = models.scores.get(name).ok_or_else(|| CatalogError::NoSuchScoreModel { name: name.clone() })?;
            set(table(scores, name)?, found)?;
        }
    }
    Ok(document.to_string())
}

/// The table of this name, made if it is not there.
pub(crate) fn table<'a>(parent: &'a mut Table, name: &str) -> Result<&'a mut Table, CatalogError> {
    let no_table = || CatalogError::NoTable { key: name.to_owned() };
    let item = parent.entry(name).or_insert_with(|| Item::Table(Table::new()));
    if let Item::Value(inline) = item {
        let inline = inline.as_inline_table().cloned().ok_or_else(no_table)?;
        *item = Item::Table(inline.into_table());
    }
    item.as_table_mut().ok_or_else(no_table)
}

fn set(entry: &mut Table, found: &ModelIdentity) -> Result<(), CatalogError> {
    entry["fingerprint"] = value(&found.fingerprint);
    entry.remove("full");
    if !found.parts.full.is_empty() {
        entry["full"] = value(&found.parts.full);
    }
    let named = |name| Some((name, found.parts.get(name).filter(|part| !part.is_empty())?));
    let parts: Vec<(&str, &str)> = ModelEntry::PARTS.into_iter().filter_map(named).collect();
    entry.remove("parts");
    if !parts.is_empty() {
        let written = table(entry, "parts")?;
        parts.into_iter().for_each(|(name, part)| written[name] = value(part));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_model::ModelParts;

    fn models() -> Models {
        let parts = ModelParts { weights: "sha256:w".into(), ..ModelParts::default() };
        let one = |name: &str| ModelIdentity {
            name: name.into(),
            fingerprint: format!("sha256:{name}"),
            parts: parts.clone(),
        };
        Models {
            model: one("lm"),
            scores: [("cost".to_owned(), one("cost")), ("other".to_owned(), one("other"))].into(),
        }
    }

    #[test]
    fn a_manifest_keeps_its_words_and_is_pinned_to_what_is_read() {
        let text =
            "# mine\nname = \"x\"\n\n[scores.cost] # kept\nfingerprint = \"sha256:old\"\nfull = \"sha256:old\"\n";
        let once = with_digests(text, &models(), &["cost".to_owned()].into()).unwrap();
        assert!(once.starts_with("# mine\nname = \"x\"\n") && once.contains("# kept"), "{once}");
        for words in ["[model]\n", "\"sha256:lm\"", "\"sha256:cost\"", "[scores.cost.parts]", "weights = \"sha256:w\""]
        {
            assert!(once.contains(words), "{words}: {once}");
        }
        assert!(!once.contains("old") && !once.contains("other") && !once.contains("[scores]"), "{once}");
        assert_eq!(with_digests(&once, &models(), &["cost".to_owned()].into()).unwrap(), once);
    }
}
