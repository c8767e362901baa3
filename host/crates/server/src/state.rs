//! The active bundle, and those before it.

use crate::{
    remembered::Remembered,
    store::{Store, StoreError},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::Engine;

/// How many bundles one can go back.
const PREVIOUS: usize = 5;

/// What is active and what was.
pub(crate) struct State {
    pub(crate) active: Bundle,
    pub(crate) previous: Vec<Bundle>,
}

impl State {
    /// Goes on from what a store remembers, which is given back as it is of the engine's model.
    pub(crate) fn go_on(&mut self, last: Remembered, store: &Store, engine: &Engine) -> Result<Remembered, StoreError> {
        let (active, models) = (self.active.digest().to_string(), engine.models());
        let (known, found) = (last.knows(&models.model), last.with(&models.model));
        store.accepts(&found, &models.scores)?;
        engine.number_beyond(found.newest);
        let anew = found.bundle != active;
        let digests = found.previous.iter().chain((anew && known).then_some(&found.bundle));
        let all: Vec<_> = digests.collect();
        for digest in &all[all.len().saturating_sub(PREVIOUS)..] {
            match store.bundle(digest) {
                Ok(bundle) => self.previous.push(bundle),
                // Whoever begins anew may do so because of it.
                Err(error) if anew => tracing::warn!(%error, "a bundle that one could have gone back to is left out"),
                Err(error) => return Err(error),
            }
        }
        let begun = if anew { Some(active) } else { found.begun };
        Ok(Remembered { begun, ..found })
    }

    /// What one can go back to once this is active. The same bundle once more is no other.
    pub(crate) fn previous_then(&self, next: &Bundle) -> Vec<Bundle> {
        let own = (self.active.digest() != next.digest()).then_some(&self.active);
        let all: Vec<_> = self.previous.iter().chain(own).cloned().collect();
        all[all.len().saturating_sub(PREVIOUS)..].to_vec()
    }

    /// What is to be remembered with this active under that number: all else stays as it was last.
    pub(crate) fn written(&self, last: Remembered, generation: u64, engine: &Engine) -> Remembered {
        let models = engine.models();
        // One that is not there now is remembered for when it comes back.
        let mut scores = last.scores.clone().unwrap_or_default();
        scores.extend(models.scores.iter().map(|(name, one)| (name.clone(), one.fingerprint.clone())));
        Remembered {
            format: Remembered::FORMAT,
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
