//! What a store was told last: for each model that has run, the bundle it ran with.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, mem};

/// What was acknowledged last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// The version of this format.
    pub format: u32,
    /// The number of the active generation.
    pub generation: u64,
    /// The largest number that any generation has had: those of canaries, shadows and layers included.
    #[serde(default)]
    pub newest: u64,
    /// The fingerprint of the language model it runs with; of any in the first format.
    #[serde(default)]
    pub model: Option<String>,
    /// The digest of the active bundle.
    pub bundle: String,
    /// The digests of those before it, oldest first.
    pub previous: Vec<String>,
    /// The digest of the bundle that was named when a server with this model began with it, rather than with what is remembered:
    /// to begin with it once more would undo what was activated since.
    #[serde(default)]
    pub begun: Option<String>,
    /// The digest of the watched bundle as it was last, whatever is active: where the bundle is another one when a server
    /// begins, it was changed while none ran.
    #[serde(default)]
    pub watched: Option<String>,
    /// What ran with other models, by their fingerprints.
    #[serde(default)]
    pub other_models: BTreeMap<String, WithModel>,
    /// Why all requests are denied, if they are.
    pub denied: Option<String>,
}

/// The bundles of a model that does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithModel {
    /// The digest of the bundle that was active last.
    pub bundle: String,
    /// The digests of those before it, oldest first.
    pub previous: Vec<String>,
    /// As [`Remembered::begun`].
    pub begun: Option<String>,
    /// As [`Remembered::watched`].
    #[serde(default)]
    pub watched: Option<String>,
}

impl Remembered {
    /// The version of the format that is written.
    pub const FORMAT: u32 = 2;

    /// The same once this model runs: with the bundle that it ran with last, under a number that no generation has had. A
    /// model that never ran here goes on with the active bundle, and has none to go back to.
    #[must_use]
    pub fn with(mut self, model: &str) -> Self {
        let before = self.model.replace(model.to_owned());
        let Some(before) = before.filter(|before| before != model) else { return self };
        let (bundle, previous) = (self.bundle.clone(), mem::take(&mut self.previous));
        let (begun, watched) = (self.begun.take(), self.watched.take());
        self.other_models.insert(before, WithModel { bundle, previous, begun, watched });
        if let Some(own) = self.other_models.remove(model) {
            (self.bundle, self.previous) = (own.bundle, own.previous);
            (self.begun, self.watched) = (own.begun, own.watched);
            self.newest = self.next_number();
            self.generation = self.newest;
        }
        self
    }

    /// A number that no generation has had.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.newest.max(self.generation) + 1
    }

    /// Whether this model has run here, or may have.
    #[must_use]
    pub fn knows(&self, model: &str) -> bool {
        self.model.as_deref().is_none_or(|last| last == model) || self.other_models.contains_key(model)
    }

    /// The digests of all bundles that it names.
    pub(crate) fn bundles(&self) -> impl Iterator<Item = &String> {
        let others = self.other_models.values().flat_map(|one| one.previous.iter().chain([&one.bundle]));
        self.previous.iter().chain([&self.bundle]).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_comes_back_with_the_bundle_it_ran_with() {
        let first = r#"{"format": 1, "generation": 3, "newest": 4, "bundle": "b", "previous": ["a"], "denied": null}"#;
        let found: Remembered = serde_json::from_str(first).unwrap();
        assert!(found.knows("any"), "the first format does not say which model ran");
        let old = found.with("old");
        assert!(old.knows("old") && !old.knows("new"));
        assert_eq!((old.generation, old.bundle.as_str(), old.other_models.len()), (3, "b", 0));
        let mut new = old.clone().with("new");
        assert_eq!((new.generation, new.bundle.as_str(), new.previous.len()), (3, "b", 0));
        new.bundle = "c".to_owned();
        new.denied = Some("a leak".to_owned());
        let back = new.clone().with("old");
        assert_eq!((back.generation, back.newest), (5, 5));
        assert_eq!((&back.bundle, &back.previous), (&old.bundle, &old.previous));
        assert_eq!(back.denied, new.denied, "a denial is of the server");
        assert_eq!(back.clone().with("new").bundle, "c");
        let text = serde_json::to_string(&back).unwrap();
        assert_eq!(serde_json::from_str::<Remembered>(&text).unwrap(), back);
        let named: Vec<_> = back.bundles().map(String::as_str).collect();
        assert!(["a", "b", "c"].iter().all(|one| named.contains(one)), "{named:?}");
    }
}
