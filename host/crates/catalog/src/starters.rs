//! First bundles of one's own: manifests that work as they are, to be changed by their reader.

use crate::{
    CatalogError,
    bundles::{self, Fallback},
    embedded,
};
use inferenceguard_bundle::Bundle;
use std::collections::BTreeMap;

/// What a first bundle guards against, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starter {
    /// Words and phrases of a list.
    Words,
    /// Personal data: addresses, numbers of phones, cards and accounts.
    Privacy,
    /// Access keys and other secrets.
    Secrets,
    /// What a score model dislikes: the demonstration's bundle.
    Score,
    /// What a probe on the model's latents dislikes.
    Latent,
}

/// The weights that the manifest of [`Starter::Latent`] names.
const PROBE: &str = "probe.safetensors";

/// What stands for the bundle's name.
const NAME: &str = "\"NAME\"";

impl Starter {
    /// The manifest of a bundle with this name, and the bundle. `probe` holds the weights that a starter of latents needs, as a
    /// file of the bundle (see [`inferenceguard_bundle::network`]); the other starters take none.
    ///
    /// # Errors
    /// [`CatalogError::NoProbe`] and [`CatalogError::UnusedProbe`]; [`CatalogError::Bundle`] for a name or weights that no bundle
    /// may have.
    pub fn bundle(self, name: &str, probe: Option<Vec<u8>>) -> Result<(String, Bundle), CatalogError> {
        let text = self.manifest(&toml::Value::from(name).to_string())?;
        let mut files: BTreeMap<String, Vec<u8>> = bundles::first_party();
        match (self, probe) {
            (Self::Latent, Some(bytes)) => drop(files.insert(PROBE.to_owned(), bytes)),
            (Self::Latent, None) => return Err(CatalogError::NoProbe),
            (_, Some(_)) => return Err(CatalogError::UnusedProbe),
            (_, None) => {}
        }
        let bundle = Bundle::from_parts(&text, &files)?;
        Ok((text, bundle))
    }

    fn manifest(self, name: &str) -> Result<String, CatalogError> {
        let text = match self {
            Self::Words => include_str!("../starters/words.toml"),
            Self::Privacy => include_str!("../starters/privacy.toml"),
            Self::Secrets => include_str!("../starters/secrets.toml"),
            Self::Latent => include_str!("../starters/latent.toml"),
            Self::Score => return demonstration(name),
        };
        Ok(text.replacen(NAME, name, 1))
    }
}

/// The demonstration's manifest under another name, without its first line, which describes the demonstration.
fn demonstration(name: &str) -> Result<String, CatalogError> {
    let demo = bundles::open(None, Fallback::Plain)?;
    let (was, version) = (&demo.manifest().name, &demo.manifest().version);
    let body = embedded::MANIFEST.split_once('\n').map_or(embedded::MANIFEST, |(_, body)| body);
    let text = body.replacen(&format!("name = {was:?}"), &format!("name = {name}"), 1);
    Ok(text.replacen(&format!("version = {version:?}"), "version = \"1.0.0\"", 1))
}
