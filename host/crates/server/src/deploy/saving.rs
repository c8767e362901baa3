//! What the deployer writes to its store: bundles, the state that the next server continues from, the denial.

use super::{
    active::{ActiveBundles, SavedState},
    deployer::Deployer,
    history::Attempt,
    layers::PreparedLane,
    store::StoreError,
    writer::{StateUpdate, StateWriter},
};
use inferenceguard_bundle::Bundle;

impl Deployer {
    /// Saves the bundles that the server begins with. Does nothing the second time.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let Some(mut update) = self.update().filter(|update| !update.has_begun()) else { return Ok(()) };
        let attempt = update.apply(|last| SavedState { newest: self.engine.newest_number(), ..last })?;
        drop(update);
        self.add(attempt);
        Ok(())
    }

    pub(super) fn save_active(
        &self,
        next: &ActiveBundles,
        number: u64,
        watched: Option<String>,
    ) -> Result<(), StoreError> {
        self.save_bundle(&next.active)?;
        let Some(mut update) = self.update() else { return Ok(()) };
        let attempt = update.apply(|last| {
            let watched = watched.or_else(|| last.watched.clone());
            SavedState { denied: self.denial.reason(), watched, ..next.state_to_save(last, number, &self.engine) }
        });
        drop(update);
        self.add(attempt?);
        Ok(())
    }

    /// Saves a bundle that will decide in any lane: records name it.
    pub(super) fn save_bundle(&self, bundle: &Bundle) -> Result<(), StoreError> {
        self.writer.as_ref().map_or(Ok(()), |writer| writer.store().keep(bundle))
    }

    /// Saves the bundles of these lanes with the first write.
    pub(super) fn save_at_begin(&self, layers: &[PreparedLane]) {
        if let Some(mut update) = self.update() {
            update.add_to_first(layers.iter().map(|layer| layer.bundle.clone()));
        }
    }

    /// Saves the largest number of a generation, so that no number is given twice. [`Deployer::begin`] does so for numbers that
    /// were given before it.
    pub(super) fn save_numbers(&self) -> Result<(), StoreError> {
        self.save(|last| SavedState { newest: self.engine.newest_number(), ..last })
    }

    /// Saves the digest of the watched bundle, once the server has begun.
    pub(crate) fn save_watched(&self, digest: &str) -> Result<(), StoreError> {
        self.save(|last| SavedState { watched: Some(digest.to_owned()), ..last })
    }

    /// Saves a change that does not concern the active bundle, once the server has begun.
    fn save(&self, change: impl FnOnce(SavedState) -> SavedState) -> Result<(), StoreError> {
        let Some(mut update) = self.update().filter(StateUpdate::has_begun) else { return Ok(()) };
        update.apply(change).map(drop)
    }

    fn update(&self) -> Option<StateUpdate<'_>> {
        self.writer.as_ref().map(StateWriter::lock)
    }

    fn add(&self, attempt: Option<Attempt>) {
        attempt.into_iter().for_each(|attempt| self.history.add(attempt));
    }

    /// Denies all requests that begin, at once. Saves nothing.
    pub(crate) fn deny(&self, reason: &str) {
        self.denial.set(Some(reason.to_owned()));
    }

    /// Denies all requests, or no longer, and saves it. A denial holds even if it cannot be saved; its end does not.
    pub(crate) fn save_denial(&self, reason: Option<String>) -> Result<(), StoreError> {
        let mut update = self.update();
        if let Some(reason) = &reason {
            self.deny(reason);
        }
        let saved = update.as_mut().map(|update| update.apply(|last| SavedState { denied: reason.clone(), ..last }));
        let attempt = saved.transpose()?.flatten();
        self.denial.set(reason);
        drop(update);
        self.add(attempt);
        Ok(())
    }
}
