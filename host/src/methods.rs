//! Methods by name: which components play each of them, and with which settings. They are data: `methods.toml` beside this
//! file holds the rows of the paper's table 2 and two later methods, an embedder may give another table, and a bundle adds or
//! replaces methods.
//!
//! ```toml
//! [methods.cautious]                   # in a bundle: a method of its own
//! policy = "best-of-n.wasm"            # a file of the bundle
//! candidates = "n"                     # the policy's setting for the number of candidates
//! settings = { objective = "augmented", n = 8 }
//! ```

use crate::{EngineError, OWN_METHOD};
use inferenceguard_bundle::{Bundle, Manifest, MethodEntry, RoleEntry, SettingValue};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings by name.
type Settings = BTreeMap<String, SettingValue>;

/// The table that holds where no other is given.
const PAPER: &str = include_str!("methods.toml");

/// A component, and the settings that a method gives it; the others come from the bundle or are the component's defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The component, by the name of its package.
    pub component: String,
    /// Its settings.
    #[serde(default)]
    pub settings: Settings,
    /// The file of the bundle that holds it; none for a component that the embedder gives.
    #[serde(skip)]
    pub file: Option<String>,
}

/// One method.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The name by which requests ask for it.
    pub name: String,
    /// The component that plans and selects.
    pub policy: Part,
    /// The component that edits latents, if any does.
    #[serde(default)]
    pub steering: Option<Part>,
    /// Whether the bundle's critic takes part.
    #[serde(default)]
    pub critic: bool,
    /// The policy's setting for the number of candidates; none if it always considers one, or does not say.
    #[serde(default)]
    pub candidates: Option<String>,
}

/// A table of methods, in its own order. The default has the paper's, and two later ones.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Methods {
    #[serde(rename = "method")]
    all: Vec<Method>,
    /// For the bundle's own policy.
    #[serde(skip)]
    own_candidates: Option<String>,
}

impl Default for Methods {
    fn default() -> Self {
        // A test reads it. Without a table every method would be unknown.
        Self::parse(PAPER).unwrap_or(Self { all: Vec::new(), own_candidates: None })
    }
}

impl Methods {
    /// Reads a table: a list `[[method]]` of what [`Method`] holds.
    ///
    /// # Errors
    /// [`EngineError::MethodTable`], with the line.
    pub fn parse(text: &str) -> Result<Self, EngineError> {
        toml::from_str(text).map_err(|error| EngineError::MethodTable { problem: error.to_string() })
    }

    /// The methods of this crate's table, and those of this bundle.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self::default().with(manifest)
    }

    /// The same table with the methods of a bundle, which replace those of the same name.
    #[must_use]
    pub fn with(mut self, manifest: &Manifest) -> Self {
        // The bundle's own policy is no row of the table.
        for (name, entry) in manifest.methods.iter().filter(|(name, _)| *name != OWN_METHOD) {
            let method = entry.policy.as_deref().map(|policy| Method::of_bundle(name, policy, entry));
            let there = self.all.iter_mut().find(|one| one.name == *name);
            match (there, method) {
                (Some(there), Some(method)) => *there = method,
                (Some(there), None) if entry.candidates.is_some() => there.candidates.clone_from(&entry.candidates),
                (None, Some(method)) => self.all.push(method),
                _ => {}
            }
        }
        self.own_candidates = manifest.methods.get(OWN_METHOD).and_then(|entry| entry.candidates.clone());
        self
    }

    /// The names, in the order of the table.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|method| method.name.as_str())
    }

    /// The method of this name.
    ///
    /// # Errors
    /// [`EngineError::UnknownMethod`].
    pub fn find(&self, name: &str) -> Result<&Method, EngineError> {
        let known = || self.names().collect::<Vec<_>>().join(", ");
        let unknown = || EngineError::UnknownMethod { found: name.to_owned(), known: known() };
        self.all.iter().find(|method| method.name == name).ok_or_else(unknown)
    }

    /// The policy of a method with all settings that it gets in this bundle, each over the one before: the bundle's own for
    /// the same component, the method's, the bundle's for the method.
    ///
    /// # Errors
    /// [`EngineError::UnknownMethod`].
    pub fn policy(&self, bundle: &Bundle, name: &str) -> Result<Part, EngineError> {
        let (policy, own) = (&self.find(name)?.policy, &bundle.manifest().policy);
        let over = bundle.manifest().methods.get(name).map(|entry| &entry.settings);
        Ok(policy.in_bundle(bundle, Some(own), over))
    }

    /// A bundle's own policy, with its settings.
    #[must_use]
    pub fn own_policy(bundle: &Bundle) -> Part {
        let own = &bundle.manifest().policy;
        let (component, settings) = (component_name(&own.component).to_owned(), bundle.settings(own));
        Part { component, settings, file: Some(own.component.clone()) }
    }

    /// The steering component and its settings, if the method has one.
    ///
    /// # Errors
    /// [`EngineError::UnknownMethod`].
    pub fn steering(&self, bundle: &Bundle, name: &str) -> Result<Option<Part>, EngineError> {
        let (steering, own) = (self.find(name)?.steering.as_ref(), bundle.manifest().steering.as_ref());
        let over = bundle.manifest().methods.get(name).map(|entry| &entry.steering);
        Ok(steering.map(|part| part.in_bundle(bundle, own, over)))
    }

    /// The setting for the number of candidates of a bundle's own policy, which is the file `component`: what the bundle
    /// says (`[methods.bundle] candidates`), or what the table says of that component.
    #[must_use]
    pub fn candidates_of_own(&self, component: &str) -> Option<&str> {
        let same = || self.all.iter().find(|method| method.policy.component == component_name(component));
        self.own_candidates.as_deref().or_else(|| same()?.candidates.as_deref())
    }

    /// Whether a bundle or the table says how the policy in the file `component` takes its number of candidates, or that it
    /// takes none.
    #[must_use]
    pub fn knows_own(&self, component: &str) -> bool {
        self.own_candidates.is_some()
            || self.all.iter().any(|method| method.policy.component == component_name(component))
    }
}

impl Part {
    /// With the settings and the file that a bundle gives it; `own` is the bundle's own entry of the role.
    fn in_bundle(&self, bundle: &Bundle, own: Option<&RoleEntry>, over: Option<&Settings>) -> Self {
        let own = own.filter(|own| component_name(&own.component) == self.component);
        let mut settings = own.map(|own| bundle.settings(own)).unwrap_or_default();
        settings.extend(self.settings.clone());
        settings.extend(over.cloned().unwrap_or_default());
        let file = self.file.clone().or_else(|| Some(own?.component.clone()));
        Self { component: self.component.clone(), settings, file }
    }
}

impl Method {
    fn of_bundle(name: &str, policy: &str, entry: &MethodEntry) -> Self {
        let part = |file: &str| Part {
            component: component_name(file).to_owned(),
            settings: BTreeMap::new(),
            file: Some(file.to_owned()),
        };
        Self {
            name: name.to_owned(),
            policy: part(policy),
            steering: entry.steering_component.as_deref().map(part),
            critic: entry.critic,
            candidates: entry.candidates.clone(),
        }
    }
}

/// The name of the component that a file holds: `parts/beam-search.wasm` is `beam-search`.
#[must_use]
pub fn component_name(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".wasm").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let table = Methods::parse(PAPER).unwrap();
        assert_eq!((table.all.len(), &table), (18, &Methods::default()));
        assert!(table.find("inference-guard+critic").unwrap().critic);
        for method in ["args", "value-filtered-decoding"] {
            assert_eq!(table.find(method).unwrap().candidates.as_deref(), Some("k"), "{method}");
        }
        let abstention = table.find("dynamic-abstention+critic").unwrap();
        assert_eq!((abstention.critic, &abstention.candidates), (true, &None));
        assert!(table.find("magic").unwrap_err().to_string().contains("inference-guard"));
    }

    #[test]
    fn a_policy_that_nobody_knows_is_not_assumed_to_have_a_number_of_candidates() {
        let table = Methods::default();
        assert_eq!(table.candidates_of_own("parts/inference-guard.wasm"), Some("n"));
        assert_eq!((table.candidates_of_own("base.wasm"), table.candidates_of_own("mine.wasm")), (None, None));
        assert!(table.knows_own("base.wasm") && !table.knows_own("mine.wasm"));
    }

    #[test]
    fn a_bundle_adds_methods_and_replaces_them() {
        let text = "name = \"b\"\nversion = \"1.0.0\"\nunguarded = true\n[policy]\ncomponent = \"mine.wasm\"\n[tracker]\ncomponent = \"t.wasm\"\n\
                    [methods.bundle]\ncandidates = \"width\"\n[methods.base]\npolicy = \"other.wasm\"\n\
                    [methods.cautious]\npolicy = \"parts/best-of-n.wasm\"\ncandidates = \"n\"\ncritic = true\n";
        let table = Methods::of(&Manifest::parse(text).unwrap());
        assert_eq!(table.candidates_of_own("mine.wasm"), Some("width"));
        assert_eq!(table.find("base").unwrap().policy.file.as_deref(), Some("other.wasm"));
        let cautious = table.find("cautious").unwrap();
        assert_eq!((cautious.policy.component.as_str(), cautious.critic), ("best-of-n", true));
        assert_eq!(table.names().last(), Some("cautious"));
    }
}
