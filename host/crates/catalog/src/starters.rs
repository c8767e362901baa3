//! First bundles of one's own: manifests that work as they are, to be changed by their reader.

use crate::{
    CatalogError,
    bundles::{self, Fallback},
    embedded,
};
use inferenceguard_bundle::{Bundle, network::Network};
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

/// How the manifest of [`Starter::Latent`] reads weights that do not say how they were learnt, and what an answer may then cost.
const PLAIN: [&str; 2] = ["{ network = \"probe\" }", "budget = 10.0"];

/// The budget of hazards in place of that one.
const HALF: &str = "# An answer may be harmful with a modelled probability of a half: 1 - e^-0.69.\nbudget = 0.69";

/// What stands for the bundle's name.
const NAME: &str = "\"NAME\"";

impl Starter {
    /// The manifest of a bundle with this name, and the bundle. `probe` holds the weights that a starter of latents needs, as a
    /// file of the bundle (see [`inferenceguard_bundle::network`]); the other starters take none.
    ///
    /// # Errors
    /// [`CatalogError::NoProbe`], [`CatalogError::UnusedProbe`] and [`CatalogError::RewardProbe`]; [`CatalogError::Bundle`] for a
    /// name or weights that no bundle may have.
    pub fn bundle(self, name: &str, probe: Option<Vec<u8>>) -> Result<(String, Bundle), CatalogError> {
        let mut text = self.manifest(&toml::Value::from(name).to_string())?;
        let mut files: BTreeMap<String, Vec<u8>> = bundles::first_party();
        match (self, probe) {
            (Self::Latent, Some(bytes)) => {
                text = fitting(text, &bytes)?;
                files.insert(PROBE.to_owned(), bytes);
            }
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

/// The manifest of [`Starter::Latent`] for weights that say how they were learnt: which latent they read, and whether their output
/// is a hazard, as that of `train cost`. Read in another way such weights would find nothing, and nobody would notice.
fn fitting(text: String, probe: &[u8]) -> Result<String, CatalogError> {
    // Weights that cannot be read are refused with the bundle.
    let Ok(Network { metadata, .. }) = Network::parse(probe) else { return Ok(text) };
    let value = |key: &str| metadata.get(key).map(String::as_str);
    if value("kind") == Some("reward") {
        return Err(CatalogError::RewardProbe);
    }
    let latent = toml::Value::from(value("latent").unwrap_or("final-norm"));
    let hazard = matches!(value("objective"), Some("survival" | "pairwise"));
    let form = if hazard { "hazard" } else { "linear" };
    let settings = format!("{{ network = \"probe\", latent = {latent}, form = {form:?} }}");
    let text = text.replacen(PLAIN[0], &settings, 1);
    Ok(if hazard { text.replacen(PLAIN[1], HALF, 1) } else { text })
}

/// The demonstration's manifest under another name, without its first line, which describes the demonstration.
fn demonstration(name: &str) -> Result<String, CatalogError> {
    let demo = bundles::open(None, Fallback::Plain)?;
    let (was, version) = (&demo.manifest().name, &demo.manifest().version);
    let body = embedded::MANIFEST.split_once('\n').map_or(embedded::MANIFEST, |(_, body)| body);
    let text = body.replacen(&format!("name = {was:?}"), &format!("name = {name}"), 1);
    Ok(text.replacen(&format!("version = {version:?}"), "version = \"1.0.0\"", 1))
}
