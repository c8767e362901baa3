//! Checks that the models are those that a bundle was made for.

use crate::{EngineError, Models};
use inferenceguard_bundle::{Manifest, ModelEntry};
use inferenceguard_model::ModelIdentity;
use std::collections::BTreeMap;

/// The models that a bundle names, by digest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pins {
    model: ModelEntry,
    scores: BTreeMap<String, ModelEntry>,
}

impl From<&Manifest> for Pins {
    fn from(manifest: &Manifest) -> Self {
        Self { model: manifest.model.clone(), scores: manifest.scores.clone() }
    }
}

/// Checks that these are the models that a bundle was made for, where it says so. An engine does it by itself.
///
/// # Errors
/// [`EngineError::OtherModel`], [`EngineError::NoPinnedModel`].
pub fn check_models(models: &Models, manifest: &Manifest) -> Result<(), EngineError> {
    Pins::from(manifest).check(models)
}

impl Pins {
    /// Compares every digest that the bundle names.
    pub(crate) fn check(&self, models: &Models) -> Result<(), EngineError> {
        compare("model", &self.model, &models.model)?;
        for (name, entry) in self.scores.iter().filter(|(_, entry)| entry.digests().next().is_some()) {
            let known = || models.scores.keys().cloned().collect::<Vec<_>>().join(", ");
            let found = models.scores.get(name);
            let found = found.ok_or_else(|| EngineError::NoPinnedModel { name: name.clone(), known: known() })?;
            compare(&format!("scores.{name}"), entry, found)?;
        }
        Ok(())
    }
}

/// Compares the parts first: an error about a part is more specific than one about the digest of them all.
fn compare(table: &str, entry: &ModelEntry, found: &ModelIdentity) -> Result<(), EngineError> {
    let digest = |key: &str| match key {
        "fingerprint" => found.fingerprint.clone(),
        _ => found.parts.get(key).unwrap_or_default().to_owned(),
    };
    let wrong: Vec<(&str, &str)> = entry.digests().filter(|(key, named)| digest(key) != *named).collect();
    let part = |key: &str| ModelEntry::PARTS.contains(&key);
    let Some(&(key, expected)) = wrong.iter().find(|(key, _)| part(key)).or(wrong.first()) else { return Ok(()) };
    let found = digest(key);
    let unknown = || if key == "full" { "not known (--full-digest computes it)" } else { "not known" };
    let found = if found.is_empty() { unknown().to_owned() } else { found };
    let key = if part(key) { format!("parts.{key}") } else { key.to_owned() };
    Err(EngineError::OtherModel { table: table.to_owned(), key, found, expected: expected.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_model::ModelParts;

    fn models() -> Models {
        let parts = ModelParts { weights: "w".into(), template: "t".into(), ..ModelParts::default() };
        let one = ModelIdentity { name: "m".into(), fingerprint: "f".into(), parts };
        Models { model: one.clone(), scores: [("cost".to_owned(), one)].into() }
    }

    fn pins(model: &[(&str, &str)], scores: &[(&str, &str)]) -> Pins {
        let entry = |digests: &[(&str, &str)]| {
            let mut entry = ModelEntry::default();
            for (key, digest) in digests {
                match *key {
                    "fingerprint" => entry.fingerprint = Some((*digest).to_owned()),
                    "full" => entry.full = Some((*digest).to_owned()),
                    part => drop(entry.parts.insert(part.to_owned(), (*digest).to_owned())),
                }
            }
            entry
        };
        Pins { model: entry(model), scores: [("cost".to_owned(), entry(scores))].into() }
    }

    #[test]
    fn every_digest_is_compared_and_the_part_that_differs_is_named() {
        pins(&[("fingerprint", "f"), ("weights", "w")], &[("template", "t")]).check(&models()).unwrap();
        let refusal = |pins: Pins| pins.check(&models()).unwrap_err().to_string();
        let other = refusal(pins(&[("fingerprint", "g")], &[]));
        assert!(other.contains("`[model] fingerprint`") && other.contains(" g") && other.contains(" f"), "{other}");
        let part = refusal(pins(&[], &[("fingerprint", "g"), ("template", "u")]));
        assert!(part.contains("`[scores.cost] parts.template`") && part.contains(" u"), "{part}");
        let full = refusal(pins(&[("full", "x")], &[]));
        assert!(full.contains("`[model] full`") && full.contains("not known"), "{full}");
    }

    #[test]
    fn a_model_that_is_named_and_not_there_is_refused() {
        let mut pins = pins(&[], &[]);
        pins.scores.insert("cots".into(), ModelEntry { fingerprint: Some("f".into()), ..ModelEntry::default() });
        let error = pins.check(&models()).unwrap_err().to_string();
        assert!(error.contains("`[scores.cots]`") && error.contains("cost"), "{error}");
    }
}
