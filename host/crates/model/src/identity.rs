//! Which model: a digest of all that its numbers depend on, and of each part.

use crate::{ModelInfo, ScoreInfo};
use serde::{Deserialize, Serialize};

/// Digests of the parts that a model's numbers depend on. An empty part is unknown: the back end does not give it, or an earlier
/// version wrote the record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelParts {
    /// A digest of the tensors: names, shapes, formats, numbers. A back end may sample large ones.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub weights: String,
    /// A digest of the tokenizer's files.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tokenizer: String,
    /// A digest of the prompt template.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// A digest of the configuration.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub config: String,
    /// The number format it computes in, such as `f32` or `q8_0`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub precision: String,
    /// Where it computes, such as `cpu` or `cuda:0`. Not part of the fingerprint, because another device differs by rounding only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device: String,
    /// Architecture and weights in one digest. Networks name the model that they were made for by it, and so did records
    /// and stores of earlier versions.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// As the fingerprint, with every tensor read whole: only where it was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub full: String,
}

impl ModelParts {
    /// The parts that a fingerprint covers, by name.
    pub const COVERED: [&'static str; 5] = ["weights", "tokenizer", "template", "config", "precision"];

    /// A part by its name; empty if it was not named, `None` if there is no such part.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        Some(match name {
            "weights" => &self.weights,
            "tokenizer" => &self.tokenizer,
            "template" => &self.template,
            "config" => &self.config,
            "precision" => &self.precision,
            "device" => &self.device,
            "base" => &self.base,
            "full" => &self.full,
            _ => return None,
        })
    }

    /// The parts that a fingerprint covers and that both name, where they differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let differ = |name: &str| match (self.get(name), other.get(name)) {
            (Some(own), Some(others)) => !own.is_empty() && !others.is_empty() && own != others,
            _ => false,
        };
        Self::COVERED.into_iter().filter(|name| differ(name)).collect()
    }
}

/// Which model generated or scored an answer. It is written the same way in answers, records, stores and statuses.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Its name.
    pub name: String,
    /// A digest of everything that its numbers depend on. Earlier versions wrote [`ModelParts::base`] here.
    pub fingerprint: String,
    /// What that is made of.
    #[serde(flatten)]
    pub parts: ModelParts,
}

/// Two models are not the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {}, expected {expected}{}", or_none(found), in_words(differing))]
pub struct OtherModel {
    /// The fingerprint of the model that is there; empty if there is none.
    pub found: String,
    /// The fingerprint that was named.
    pub expected: String,
    /// The parts that differ, as far as both are named.
    pub differing: Vec<&'static str>,
}

fn or_none(fingerprint: &str) -> &str {
    if fingerprint.is_empty() { "none" } else { fingerprint }
}

fn in_words(parts: &[&str]) -> String {
    if parts.is_empty() { String::new() } else { format!(" (they differ in: {})", parts.join(", ")) }
}

impl ModelIdentity {
    /// Whether this digest names it: its fingerprint, or the fingerprint that earlier versions used.
    #[must_use]
    pub fn is_called(&self, digest: &str) -> bool {
        digest == self.fingerprint || (!digest.is_empty() && digest == self.parts.base)
    }

    /// Checks that it is the model that was named, by this version or an earlier one.
    ///
    /// # Errors
    /// [`OtherModel`], with both fingerprints and the parts that differ.
    pub fn expect(&self, named: &Self) -> Result<(), OtherModel> {
        if self.is_called(&named.fingerprint) {
            return Ok(());
        }
        let (found, expected) = (self.fingerprint.clone(), named.fingerprint.clone());
        Err(OtherModel { found, expected, differing: self.parts.differences(&named.parts) })
    }

    /// Whether it names the tokenizer, the template and the precision, and not the weights alone.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        ModelParts::COVERED.iter().all(|name| self.parts.get(name).is_some_and(|part| !part.is_empty()))
    }
}

impl From<&ModelInfo> for ModelIdentity {
    fn from(info: &ModelInfo) -> Self {
        Self { name: info.name.clone(), fingerprint: info.fingerprint.clone(), parts: info.parts.clone() }
    }
}

impl From<&ScoreInfo> for ModelIdentity {
    fn from(info: &ScoreInfo) -> Self {
        Self { name: info.name.clone(), fingerprint: info.fingerprint.clone(), parts: info.parts.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(weights: &str, template: &str) -> ModelIdentity {
        let parts = ModelParts {
            weights: weights.into(),
            template: template.into(),
            base: "old".into(),
            ..ModelParts::default()
        };
        ModelIdentity { name: "m".into(), fingerprint: format!("sha256:{weights}{template}"), parts }
    }

    #[test]
    fn the_part_in_which_two_models_differ_is_named() {
        let (one, other) = (identity("w", "t"), identity("w", "u"));
        assert_eq!(one.expect(&one.clone()), Ok(()));
        let wrong = one.expect(&other).unwrap_err();
        assert_eq!(wrong.differing, ["template"]);
        assert_eq!(wrong.to_string(), "found sha256:wt, expected sha256:wu (they differ in: template)");
    }

    #[test]
    fn what_an_earlier_version_wrote_names_the_same_model() {
        let earlier = ModelIdentity { name: "m".into(), fingerprint: "old".into(), ..ModelIdentity::default() };
        assert_eq!(identity("w", "t").expect(&earlier), Ok(()));
        let other = ModelIdentity { fingerprint: "older".into(), ..earlier };
        assert!(identity("w", "t").expect(&other).is_err());
        let nameless = ModelIdentity::default();
        assert!(identity("w", "t").expect(&nameless).is_err(), "an empty digest names no model");
        assert!(!nameless.is_whole());
    }
}
