//! The active bundle and those before it: in memory, and as the store saves them for each model that has run.

use super::store::{Store, StoreError};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::Engine;
use inferenceguard_model::{ModelIdentity, OtherModel};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, mem};

/// The most bundles to roll back to.
const PREVIOUS: usize = 5;

/// The active bundle and those before it, the oldest first.
pub(super) struct ActiveBundles {
    pub(super) active: Bundle,
    previous: Vec<Bundle>,
}

impl ActiveBundles {
    pub(super) fn new(active: Bundle) -> Self {
        Self { active, previous: Vec::new() }
    }

    /// Reads the bundles to roll back to from the store, and gives back the saved state of the engine's model.
    pub(super) fn restore(
        &mut self,
        last: SavedState,
        store: &Store,
        engine: &Engine,
    ) -> Result<SavedState, StoreError> {
        let (active, models) = (self.active.digest().to_string(), engine.models());
        let (known, state) = (last.knows(&models.model), last.for_model(&models.model));
        store.accepts(&state, &models.scores)?;
        engine.number_beyond(state.newest);
        let replaced = state.bundle != active;
        let digests: Vec<_> = state.previous.iter().chain((replaced && known).then_some(&state.bundle)).collect();
        for digest in &digests[digests.len().saturating_sub(PREVIOUS)..] {
            match store.bundle(digest) {
                Ok(bundle) => self.previous.push(bundle),
                // A damaged bundle may be the reason to begin with another one.
                Err(error) if replaced => tracing::warn!(%error, "a bundle to roll back to is left out"),
                Err(error) => return Err(error),
            }
        }
        let started_with = if replaced { Some(active) } else { state.started_with };
        Ok(SavedState { started_with, ..state })
    }

    /// These bundles once `next` is active. Activating the active bundle again adds nothing to roll back to.
    pub(super) fn with_active(&self, next: Bundle) -> Self {
        let replaced = (self.active.digest() != next.digest()).then_some(&self.active);
        let all: Vec<_> = self.previous.iter().chain(replaced).cloned().collect();
        Self { previous: all[all.len().saturating_sub(PREVIOUS)..].to_vec(), active: next }
    }

    /// These bundles once the bundle before is active again, if there is one.
    pub(super) fn with_previous_active(&self) -> Option<Self> {
        let mut previous = self.previous.clone();
        previous.pop().map(|active| Self { active, previous })
    }

    /// The state to save with this bundle active under that number. Everything else stays as in `last`.
    pub(super) fn state_to_save(&self, last: SavedState, generation: u64, engine: &Engine) -> SavedState {
        let models = engine.models();
        // A score model that is away now stays known for when it comes back.
        let mut scores = last.scores.clone().unwrap_or_default();
        scores.extend(models.scores.iter().map(|(name, one)| (name.clone(), one.fingerprint.clone())));
        SavedState {
            format: SavedState::FORMAT,
            generation,
            newest: engine.newest_number(),
            model: Some(models.model.fingerprint.clone()),
            base: Some(models.model.parts.base.clone()).filter(|base| !base.is_empty()),
            scores: Some(scores),
            bundle: self.active.digest().to_string(),
            previous: self.previous.iter().map(|bundle| bundle.digest().to_string()).collect(),
            ..last
        }
    }
}

/// What the store saves: `active.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedState {
    /// The version of this format.
    pub format: u32,
    /// The number of the active generation.
    pub generation: u64,
    /// The largest number that any generation has had, including those of canaries, shadows and layers.
    #[serde(default)]
    pub newest: u64,
    /// The fingerprint of the language model. Format 1 has none, which means any model; format 2 has the digest of its weights
    /// and architecture.
    #[serde(default)]
    pub model: Option<String>,
    /// The digest of the language model's weights and architecture alone; formats 1 and 2 have none.
    #[serde(default)]
    pub base: Option<String>,
    /// The fingerprints of the score models by name. Formats 1 and 2 have none, which means any models.
    #[serde(default)]
    pub scores: Option<BTreeMap<String, String>>,
    /// The digest of the active bundle.
    pub bundle: String,
    /// The digests of the bundles before it, the oldest first.
    pub previous: Vec<String>,
    /// The digest of the bundle that the operator last made a server with this model begin with, in place of the saved one.
    /// Beginning with it once more would undo what was activated since.
    #[serde(default, rename = "begun")]
    pub started_with: Option<String>,
    /// The digest of the watched bundle when a server looked last, whatever was active. If the bundle is another one when the
    /// next server begins, it was changed while none ran.
    #[serde(default)]
    pub watched: Option<String>,
    /// The state of each other model that has run, by its fingerprint.
    #[serde(default)]
    pub other_models: BTreeMap<String, SavedModelState>,
    /// Why all requests are denied, if they are.
    pub denied: Option<String>,
}

/// The state of a model that does not run now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedModelState {
    /// The digest of the bundle that was active last.
    pub bundle: String,
    /// The digests of the bundles before it, the oldest first.
    pub previous: Vec<String>,
    /// As [`SavedState::started_with`].
    #[serde(rename = "begun")]
    pub started_with: Option<String>,
    /// As [`SavedState::watched`].
    #[serde(default)]
    pub watched: Option<String>,
    /// As [`SavedState::base`].
    #[serde(default)]
    pub base: Option<String>,
    /// As [`SavedState::scores`].
    #[serde(default)]
    pub scores: Option<BTreeMap<String, String>>,
}

impl SavedState {
    /// The version of the format that is written.
    pub const FORMAT: u32 = 3;

    /// This state once this model runs: with the bundle and the score models that it ran with last, under a new number. A model
    /// that never ran here continues with the active bundle, and has none to roll back to.
    #[must_use]
    pub fn for_model(mut self, model: &ModelIdentity) -> Self {
        let before = self.model.replace(model.fingerprint.clone());
        let base = mem::replace(&mut self.base, Some(model.parts.base.clone()).filter(|base| !base.is_empty()));
        let Some(before) = before.filter(|before| !model.is_called(before)) else { return self };
        let own = self.other_models.keys().find(|key| model.is_called(key)).cloned();
        let own = own.and_then(|key| self.other_models.remove(&key));
        let (bundle, scores) = (self.bundle.clone(), self.scores.clone());
        let (previous, started_with, watched) =
            (mem::take(&mut self.previous), self.started_with.take(), self.watched.take());
        self.other_models.insert(before, SavedModelState { bundle, previous, started_with, watched, base, scores });
        if let Some(own) = own {
            (self.bundle, self.previous, self.scores) = (own.bundle, own.previous, own.scores);
            (self.started_with, self.watched) = (own.started_with, own.watched);
            self.newest = self.next_number();
            self.generation = self.newest;
        }
        self
    }

    /// The digests of the bundles that models of these weights ran with last, under any template.
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

    /// Checks that the score models are those that ran last. A score model that is new here, or missing now, passes: a bundle
    /// that reads a missing one does not fit the engine anyway.
    ///
    /// # Errors
    /// The name of the first score model that differs, and both fingerprints.
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

    /// The digests of all bundles in it.
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
        let found: SavedState = serde_json::from_str(first).unwrap();
        assert!(found.knows(&model("any")), "the first format does not say which model ran");
        let old = found.for_model(&model("old"));
        assert!(old.knows(&model("old")) && !old.knows(&model("new")));
        assert_eq!((old.generation, old.bundle.as_str(), old.other_models.len()), (3, "b", 0));
        let mut new = old.clone().for_model(&model("new"));
        assert_eq!((new.generation, new.bundle.as_str(), new.previous.len()), (3, "b", 0));
        new.bundle = "c".to_owned();
        new.denied = Some("a leak".to_owned());
        let back = new.clone().for_model(&model("old"));
        assert_eq!((back.generation, back.newest), (5, 5));
        assert_eq!((&back.bundle, &back.previous), (&old.bundle, &old.previous));
        assert_eq!(back.denied, new.denied, "a denial is of the server");
        assert_eq!(back.clone().for_model(&model("new")).bundle, "c");
        let text = serde_json::to_string(&back).unwrap();
        assert_eq!(serde_json::from_str::<SavedState>(&text).unwrap(), back);
        let named: Vec<_> = back.bundles().map(String::as_str).collect();
        assert!(["a", "b", "c"].iter().all(|one| named.contains(one)), "{named:?}");
    }

    #[test]
    fn what_the_second_format_calls_a_model_is_that_model() {
        let second = r#"{"format": 2, "generation": 3, "newest": 4, "model": "base-a", "bundle": "b", "previous": [],
            "begun": null, "other_models": {"base-b": {"bundle": "c", "previous": [], "begun": null}}, "denied": null}"#;
        let found: SavedState = serde_json::from_str(second).unwrap();
        let mut named = [model("sha256:a"), model("sha256:b")];
        for (one, base) in named.iter_mut().zip(["base-a", "base-b"]) {
            one.parts.base = base.to_owned();
            assert!(found.knows(one));
        }
        let [a, b] = named;
        assert_eq!(found.clone().for_model(&a).bundle, "b");
        assert_eq!(found.clone().for_model(&b).bundle, "c");
        assert_eq!((found.bundles_of(&a), found.bundles_of(&b)), (vec!["b"], vec!["c"]));
        let changed = ModelIdentity { fingerprint: "sha256:another template".to_owned(), ..b.clone() };
        let later = found.clone().for_model(&b).for_model(&a);
        assert!(!later.knows(&changed));
        assert_eq!(later.bundles_of(&changed), ["c"], "by what the template does not change");
        assert!(later.bundles_of(&model("sha256:b")).is_empty(), "a back end that does not say");
        let back = found.for_model(&b).for_model(&a);
        assert_eq!((back.bundle.as_str(), back.model.as_deref()), ("b", Some("sha256:a")));
        assert_eq!(back.other_models.keys().collect::<Vec<_>>(), ["sha256:b"]);
    }

    #[test]
    fn a_score_model_that_was_exchanged_is_found_with_every_language_model() {
        let scores = |cost: &str| BTreeMap::from([("cost".to_owned(), cost.to_owned())]);
        let there = |cost: &str| BTreeMap::from([("cost".to_owned(), model(cost))]);
        let silent = SavedState { model: Some("a".into()), ..SavedState::default() };
        assert_eq!(silent.expects(&there("x")), Ok(()), "earlier formats do not say");
        let ran = SavedState { scores: Some(scores("x")), ..silent };
        assert_eq!(ran.expects(&there("x")), Ok(()));
        assert_eq!(ran.expects(&there("y")).unwrap_err().0, "cost");
        assert_eq!(ran.expects(&BTreeMap::new()), Ok(()), "what a bundle reads must be there all the same");
        let mut new = ran.clone().for_model(&model("b"));
        assert!(
            new.expects(&there("y")).is_err(),
            "a language model that is new here goes on with the bundle, so with all of it"
        );
        new.scores = Some(scores("y"));
        assert!(new.for_model(&model("a")).expects(&there("y")).is_err(), "the first one ran with another");
    }
}
