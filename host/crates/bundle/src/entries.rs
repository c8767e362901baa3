//! The tables of `bundle.toml`: components, methods, networks, models, constraints.

use crate::{
    BundleError, SettingValue,
    values::{check_name, require, value},
};
use inferenceguard_search::{Constraint, ConstraintMode, CostClip, Granularity, PricedConstraint};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A component and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleEntry {
    /// The file, relative to the bundle's folder.
    pub component: String,
    /// Settings by name; those left out have the component's defaults.
    #[serde(default, deserialize_with = "crate::setting_value::by_name")]
    pub settings: BTreeMap<String, SettingValue>,
    /// Settings that are long lists of texts, by name: each a file of the bundle, relative to its folder, with one text on
    /// each line, and its weight behind a tab if it has one. Empty lines, and lines that begin with `# `, are skipped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, String>,
}

impl RoleEntry {
    /// The files it names, each with its key; `key` is the entry's own.
    pub(crate) fn files(&self, key: &str) -> Vec<(String, &str)> {
        let component = (format!("{key}.component"), self.component.as_str());
        let lists = self.lists.iter().map(|(name, file)| (format!("{key}.lists.{name}"), file.as_str()));
        std::iter::once(component).chain(lists).collect()
    }
}

/// Refuses a setting that has both a value and a file.
pub(crate) fn stated_once(key: &str, entry: &RoleEntry) -> Result<(), BundleError> {
    let twice = entry.lists.keys().find(|name| entry.settings.contains_key(*name));
    let key = format!("{key}.lists");
    twice.map_or(Ok(()), |name| Err(value(&key, &format!("`{name}`, which `settings` has too"), "every setting once")))
}

/// A method: settings over those that it has, or one of the bundle's own, with a policy from the bundle.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodEntry {
    /// The policy's component, a file of the bundle: the entry then defines the method and replaces any other of its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The steering component of a method that the entry defines, a file of the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering_component: Option<String>,
    /// Whether the bundle's critic takes part in a method that the entry defines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critic: bool,
    /// The policy's setting for the number of candidates. Under the name `bundle`, that of the bundle's own policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<String>,
    /// Of its policy, by name.
    #[serde(default, deserialize_with = "crate::setting_value::by_name")]
    pub settings: BTreeMap<String, SettingValue>,
    /// Of its steering, by name.
    #[serde(default, deserialize_with = "crate::setting_value::by_name")]
    pub steering: BTreeMap<String, SettingValue>,
}

impl MethodEntry {
    /// The component files it names, each with its key.
    pub(crate) fn files(&self, method: &str) -> impl Iterator<Item = (String, &str)> {
        let parts = [("policy", &self.policy), ("steering_component", &self.steering_component)];
        let key = |part| format!("methods.{method}.{part}");
        parts.map(|(part, file)| Some((key(part), file.as_deref()?))).into_iter().flatten()
    }

    /// Steering and critic are parts of a method that the entry defines.
    pub(crate) fn check(&self, method: &str) -> Result<(), BundleError> {
        let parts = self.critic || self.steering_component.is_some();
        let found = "a critic or a steering component without a policy";
        let expected = "`policy`, which defines the method";
        require(self.policy.is_some() || !parts, &format!("methods.{method}"), &found, expected)
    }
}

/// The weights of a network that components open by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkEntry {
    /// The file, relative to the bundle's folder; its format is described at [`crate::network`].
    pub file: String,
}

/// What a model must be. What is left out is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// How a conversation becomes its prompt: chat, beaver, hh, plain, or a text with `{prompt}` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A digest of everything that its numbers depend on, as `model check` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// The same with every tensor read whole, as `model check --full-digest` shows it. A model is then loaded with its full digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// What the fingerprint is made of, so that an error can say which part differs: [`ModelEntry::PARTS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
}

impl ModelEntry {
    /// The parts that may be named.
    pub const PARTS: [&'static str; 5] = ["weights", "tokenizer", "template", "config", "precision"];

    /// Every digest that it names, by the key that names it.
    pub fn digests(&self) -> impl Iterator<Item = (&str, &str)> {
        let whole = [("fingerprint", self.fingerprint.as_deref()), ("full", self.full.as_deref())];
        let parts = self.parts.iter().map(|(name, digest)| (name.as_str(), digest.as_str()));
        whole.into_iter().filter_map(|(key, digest)| Some((key, digest?))).chain(parts)
    }

    pub(crate) fn check(&self, key: &str) -> Result<(), BundleError> {
        let expected = format!("one of: {}", Self::PARTS.join(", "));
        for name in self.parts.keys() {
            require(Self::PARTS.contains(&name.as_str()), &format!("{key}.parts"), &format!("{name:?}"), &expected)?;
        }
        self.digests().try_for_each(|(name, digest)| check_name(&format!("{key}.{name}"), digest))
    }
}

/// One constraint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstraintEntry {
    /// Unique within the bundle.
    pub name: String,
    /// The cost that prices it: a key of `[costs]`.
    pub cost: String,
    /// d: finite, above 0, in the cost's unit.
    pub budget: f64,
    /// The discount per token, in (0, 1].
    #[serde(default = "default_gamma")]
    pub gamma: f64,
    /// What becomes of negative costs.
    #[serde(default)]
    pub clip: CostClip,
    /// When the constraint must hold.
    #[serde(default)]
    pub mode: ConstraintMode,
    /// When costs are charged.
    #[serde(default)]
    pub granularity: Granularity,
}

fn default_gamma() -> f64 {
    0.999
}

impl ConstraintEntry {
    pub(crate) fn to_constraint(&self) -> PricedConstraint {
        let constraint = Constraint {
            name: self.name.clone(),
            budget: self.budget,
            gamma: self.gamma,
            clip: self.clip,
            mode: self.mode,
        };
        PricedConstraint { constraint, cost: self.cost.clone(), granularity: self.granularity }
    }
}
