//! `bundle pin`: writes into a bundle which models it was made for.

use crate::{flags::GuardArguments, output};
use anyhow::Context;
use clap::Args;
use inferenceguard_bundle::{Bundle, MANIFEST, Manifest, ModelEntry};
use inferenceguard_catalog::{
    build,
    bundles::{self, Fallback},
};
use inferenceguard_host::{Engine, Models, OWN_METHOD};
use inferenceguard_model::ModelIdentity;
use inferenceguard_search::RolesInfo;
use std::{collections::BTreeSet, path::Path};
use toml_edit::{DocumentMut, Item, Table, value};

#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    #[command(flatten)]
    guard: GuardArguments,
}

/// Loads the bundle with the models, and writes their digests into its manifest.
pub(super) fn pin(arguments: &PinArguments) -> anyhow::Result<()> {
    let path = arguments.guard.bundle.as_deref().context("name the bundle to write: --bundle DIR")?;
    let bundle = bundles::open(Some(path), Fallback::Plain)?;
    let engine = engine(arguments, &bundle)?;
    let read = scores(&engine.roles(OWN_METHOD)?);
    let text = pinned(bundle.text(), engine.models(), &read)?;
    let made = Bundle::from_parts(&text, bundle.files())?;
    write(path, &made)?;
    let signed = bundle.signature().map(|_| "\nits signature is of the manifest as it was: sign it again");
    output::result(format_args!(
        "{}\n{}{}",
        path.display(),
        described(made.manifest(), engine.models()),
        signed.unwrap_or_default()
    ))
}

/// An engine of the bundle and these models, whatever models it is pinned to.
fn engine(arguments: &PinArguments, bundle: &Bundle) -> anyhow::Result<Engine> {
    let mut manifest = bundle.manifest().clone();
    std::iter::once(&mut manifest.model).chain(manifest.scores.values_mut()).for_each(unpin);
    let bare = Bundle::from_parts(&toml::to_string(&manifest)?, bundle.files())?;
    let choice = arguments.guard.choice();
    let builder = choice.builder_of(choice.language(Some(bare.manifest()))?, &bare, &[], &[])?;
    Ok(build(builder)?)
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
fn pinned(text: &str, models: &Models, read: &BTreeSet<String>) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse().context(MANIFEST)?;
    set(table(document.as_table_mut(), "model")?, &models.model)?;
    if !read.is_empty() {
        let scores = table(document.as_table_mut(), "scores")?;
        scores.set_implicit(true);
        for name in read {
            let found = models.scores.get(name).with_context(|| format!("there is no score model `{name}`"))?;
            set(table(scores, name)?, found)?;
        }
    }
    Ok(document.to_string())
}

/// The table of this name, made if it is not there.
fn table<'a>(parent: &'a mut Table, name: &str) -> anyhow::Result<&'a mut Table> {
    let item = parent.entry(name).or_insert_with(|| Item::Table(Table::new()));
    if let Item::Value(inline) = item {
        let inline = inline.as_inline_table().cloned().with_context(|| format!("`{name}` is no table"))?;
        *item = Item::Table(inline.into_table());
    }
    item.as_table_mut().with_context(|| format!("`{name}` is no table"))
}

fn set(entry: &mut Table, found: &ModelIdentity) -> anyhow::Result<()> {
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

fn write(path: &Path, made: &Bundle) -> anyhow::Result<()> {
    match path.is_file() {
        true => output::file(path, &made.pack()?),
        false => output::file(&path.join(MANIFEST), made.text().as_bytes()),
    }
}

/// Every model, its fingerprint, and whether the bundle names it.
pub(super) fn described(manifest: &Manifest, models: &Models) -> String {
    let line = |what: &str, one: &ModelIdentity, entry: Option<&ModelEntry>| {
        let keys: Vec<&str> = entry.iter().flat_map(|entry| entry.digests().map(|(key, _)| key)).collect();
        let pinned = match keys.is_empty() {
            true => "not pinned: another one in its place is not noticed (`bundle pin` pins it)".to_owned(),
            false => format!("pinned by {}", keys.join(", ")),
        };
        format!("{what:<28} {}  {pinned}", one.fingerprint)
    };
    let language = line("language model", &models.model, Some(&manifest.model));
    let scores = models.scores.iter();
    let scores = scores.map(|(name, one)| line(&format!("score model {name}"), one, manifest.scores.get(name)));
    std::iter::once(language).chain(scores).collect::<Vec<_>>().join("\n")
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
        let once = pinned(text, &models(), &["cost".to_owned()].into()).unwrap();
        assert!(once.starts_with("# mine\nname = \"x\"\n") && once.contains("# kept"), "{once}");
        for words in ["[model]\n", "\"sha256:lm\"", "\"sha256:cost\"", "[scores.cost.parts]", "weights = \"sha256:w\""]
        {
            assert!(once.contains(words), "{words}: {once}");
        }
        assert!(!once.contains("old") && !once.contains("other") && !once.contains("[scores]"), "{once}");
        assert_eq!(pinned(&once, &models(), &["cost".to_owned()].into()).unwrap(), once);
    }
}
