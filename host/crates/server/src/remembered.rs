//! What a store was told last: for each model that has run, the bundle it ran with.

use inferenceguard_model::{ModelIdentity, OtherModel};
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
    /// The fingerprint of the language model it runs with; of any in the first format. The second has that of its weights and
    /// architecture.
    #[serde(default)]
    pub model: Option<String>,
    /// The digest of its weights and architecture alone; earlier formats do not say.
    #[serde(default)]
    pub base: Option<String>,
    /// The fingerprints of the score models it runs with, by name; of any in the first two formats.
    #[serde(default)]
    pub scores: Option<BTreeMap<String, String>>,
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
    /// As [`Remembered::base`].
    #[serde(default)]
    pub base: Option<String>,
    /// As [`Remembered::scores`].
    #[serde(default)]
    pub scores: Option<BTreeMap<String, String>>,
}

impl Remembered {
    /// The version of the format that is written.
    pub const FORMAT: u32 = 3;

    /// The same once this model runs: with the bundle and the score models that it ran with last, under a number that no
    /// generation has had. A model that never ran here goes on with the active bundle, and has none to go back to.
    #[must_use]
    pub fn with(mut self, model: &ModelIdentity) -> Self {
        let before = self.model.replace(model.fingerprint.clone());
        let base = mem::replace(&mut self.base, Some(model.parts.base.clone()).filter(|base| !base.is_empty()));
        let Some(before) = before.filter(|before| !model.is_called(before)) else { return self };
        let own = self.other_models.keys().find(|key| model.is_called(key)).cloned();
        let own = own.and_then(|key| self.other_models.remove(&key));
        let (bundle, scores) = (self.bundle.clone(), self.scores.clone());
        let (previous, begun, watched) = (mem::take(&mut self.previous), self.begun.take(), self.watched.take());
        self.other_models.insert(before, WithModel { bundle, previous, begun, watched, base, scores });
        if let Some(own) = own {
            (self.bundle, self.previous, self.scores) = (own.bundle, own.previous, own.scores);
            (self.begun, self.watched) = (own.begun, own.watched);
            self.newest = self.next_number();
            self.generation = self.newest;
        }
        self
    }

    /// The bundles that a model of these weights ran with last, whatever its template was then.
    #[must_use]
    pub fn bundles_of(&self, model: &ModelIdentity) -> Vec<&str> {
        let base = model.parts.base.as_str();
        let same = |key: Option<&str>, own: Option<&str>| {
            !base.is_empty() && [key, own].into_iter().flatten().any(|one| one == base)
        };
        let active = same(self.model.as_deref(), self.base.as_deref()).then_some(self.bundle.as_str());
        let others = self.other_models.iter().filter(|(key, one)| same(Some(key.as_str()), one.base.as_deref()));
        active.into_iter().chain(others.map(|(_, one)| one.bundle.as_str())).collect()
    }

    /// Checks that score models are those that the bundle ran with last. One that is new here, or is not there any more, is
    /// no other one: what a bundle reads is there, or it does not begin.
    ///
    /// # Errors
    /// The name of the first one that is another, and both fingerprints.
    pub fn expects(&self, scores: &BTreeMap<String, ModelIdentity>) -> Result<(), (String, OtherModel)> {
        for (name, fingerprint) in self.scores.iter().flatten() {
            let named = ModelIdentity { fingerprint: fingerprint.clone(), ..ModelIdentity::default() };
            let Some(found) = scores.get(name) else { continue };
            found.expect(&named).map_err(|other| (name.clone(), other))?;
        }
        Ok(())
    }

    /// A number that no generation has had.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.newest.max(self.generation) + 1
    }

    /// Whether this model has run here, or may have.
    #[must_use]
    pub fn knows(&self, model: &ModelIdentity) -> bool {
        self.model.as_deref().is_none_or(|last| model.is_called(last))
            || self.other_models.keys().any(|one| model.is_called(one))
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

    fn model(name: &str) -> ModelIdentity {
        ModelIdentity { fingerprint: name.to_owned(), ..ModelIdentity::default() }
    }

    #[test]
    fn each_model_comes_back_with_the_bundle_it_ran_with() {
        let first = r#"{"format": 1, "generation": 3, "newest": 4, "bundle": "b", "previous": ["a"], "denied": null}"#;
        let found: Remembered = serde_json::from_str(first).unwrap();
        assert!(found.knows(&model("any")), "the first format does not say which model ran");
        let old = found.with(&model("old"));
        assert!(old.knows(&model("old")) && !old.knows(&model("new")));
        assert_eq!((old.generation, old.bundle.as_str(), old.other_models.len()), (3, "b", 0));
        let mut new = old.clone().with(&model("new"));
        assert_eq!((new.generation, new.bundle.as_str(), new.previous.len()), (3, "b", 0));
        new.bundle = "c".to_owned();
        new.denied = Some("a leak".to_owned());
        let back = new.clone().with(&model("old"));
        assert_eq!((back.generation, back.newest), (5, 5));
        assert_eq!((&back.bundle, &back.previous), (&old.bundle, &old.previous));
        assert_eq!(back.denied, new.denied, "a denial is of the server");
        assert_eq!(back.clone().with(&model("new")).bundle, "c");
        let text = serde_json::to_string(&back).unwrap();
        assert_eq!(serde_json::from_str::<Remembered>(&text).unwrap(), back);
        let named: Vec<_> = back.bundles().map(String::as_str).collect();
        assert!(["a", "b", "c"].iter().all(|one| named.contains(one)), "{named:?}");
    }

    #[test]
    fn what_the_second_format_calls_a_model_is_that_model() {
        let second = r#"{"format": 2, "generation": 3, "newest": 4, "model": "base-a", "bundle": "b", "previous": [],
            "begun": null, "other_models": {"base-b": {"bundle": "c", "previous": [], "begun": null}}, "denied": null}"#;
        let found: Remembered = serde_json::from_str(second).unwrap();
        let mut named = [model("sha256:a"), model("sha256:b")];
        for (one, base) in named.iter_mut().zip(["base-a", "base-b"]) {
            one.parts.base = base.to_owned();
            assert!(found.knows(one));
        }
        let [a, b] = named;
        assert_eq!(found.clone().with(&a).bundle, "b");
        assert_eq!(found.clone().with(&b).bundle, "c");
        assert_eq!((found.bundles_of(&a), found.bundles_of(&b)), (vec!["b"], vec!["c"]));
        let changed = ModelIdentity { fingerprint: "sha256:another template".to_owned(), ..b.clone() };
        let later = found.clone().with(&b).with(&a);
        assert!(!later.knows(&changed));
        assert_eq!(later.bundles_of(&changed), ["c"], "by what the template does not change");
        assert!(later.bundles_of(&model("sha256:b")).is_empty(), "a back end that does not say");
        let back = found.with(&b).with(&a);
        assert_eq!((back.bundle.as_str(), back.model.as_deref()), ("b", Some("sha256:a")));
        assert_eq!(back.other_models.keys().collect::<Vec<_>>(), ["sha256:b"]);
    }

    #[test]
    fn a_score_model_that_was_exchanged_is_found_with_every_language_model() {
        let scores = |cost: &str| BTreeMap::from([("cost".to_owned(), cost.to_owned())]);
        let there = |cost: &str| BTreeMap::from([("cost".to_owned(), model(cost))]);
        let silent = Remembered { model: Some("a".into()), ..Remembered::default() };
        assert_eq!(silent.expects(&there("x")), Ok(()), "earlier formats do not say");
        let ran = Remembered { scores: Some(scores("x")), ..silent };
        assert_eq!(ran.expects(&there("x")), Ok(()));
        assert_eq!(ran.expects(&there("y")).unwrap_err().0, "cost");
        assert_eq!(ran.expects(&BTreeMap::new()), Ok(()), "what a bundle reads must be there all the same");
        let mut new = ran.clone().with(&model("b"));
        assert!(
            new.expects(&there("y")).is_err(),
            "a language model that is new here goes on with the bundle, so with all of it"
        );
        new.scores = Some(scores("y"));
        assert!(new.with(&model("a")).expects(&there("y")).is_err(), "the first one ran with another");
    }
}
