//! Writes the saved state, one change after the other.

use super::{
    active::{ActiveBundles, SavedState},
    history::Attempt,
    store::{Store, StoreError},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::Engine;
use inferenceguard_model::lock;
use std::sync::{Arc, Mutex, MutexGuard};

/// The store, and the state that it holds.
pub(super) struct StateWriter {
    store: Arc<Store>,
    current: Mutex<Current>,
}

struct Current {
    /// What the store holds, or will hold after the first write.
    state: SavedState,
    /// The first write, until it is done. A server that fails to begin leaves the store as it was.
    first: Option<FirstWrite>,
}

/// What the first write saves and adds to the history beside the state.
struct FirstWrite {
    /// The active bundle, and those of the lanes beside it.
    bundles: Vec<Bundle>,
    /// If the server begins with another bundle than the last active one.
    attempt: Option<Attempt>,
}

/// The saved state while it is changed.
pub(super) struct StateUpdate<'a> {
    store: &'a Store,
    current: MutexGuard<'a, Current>,
}

impl StateWriter {
    /// Continues from the store's state: reads the bundles to roll back to into `bundles`. Writes nothing yet.
    pub(super) fn restore(store: Arc<Store>, bundles: &mut ActiveBundles, engine: &Engine) -> Result<Self, StoreError> {
        let (active, generation) = (bundles.active.digest().to_string(), engine.generation());
        let last = store.state()?;
        let replaced = last.as_ref().is_some_and(|last| last.bundle != active);
        let last = match last {
            Some(last) => bundles.restore(last, &store, engine)?,
            None => SavedState { started_with: Some(active), ..SavedState::default() },
        };
        let state = bundles.state_to_save(last, generation.number, engine);
        let attempt = replaced.then(|| Attempt::begin(generation));
        let first = Some(FirstWrite { bundles: vec![bundles.active.clone()], attempt });
        Ok(Self { store, current: Mutex::new(Current { state, first }) })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Why all requests were denied when the state was saved last.
    pub(super) fn denial_reason(&self) -> Option<String> {
        lock(&self.current).state.denied.clone()
    }

    /// Waits for other changes to end, and begins one.
    pub(super) fn lock(&self) -> StateUpdate<'_> {
        StateUpdate { store: &self.store, current: lock(&self.current) }
    }
}

impl StateUpdate<'_> {
    /// Whether the first write is done.
    pub(super) fn has_begun(&self) -> bool {
        self.current.first.is_none()
    }

    /// Adds bundles to the first write, if it is not done.
    pub(super) fn add_to_first(&mut self, bundles: impl Iterator<Item = Bundle>) {
        if let Some(first) = &mut self.current.first {
            first.bundles.extend(bundles);
        }
    }

    /// Saves the changed state; it is on the disk when this returns. The first write also gives back what it adds to the
    /// history.
    ///
    /// # Errors
    /// [`StoreError`]; the state is then unchanged.
    pub(super) fn apply(
        &mut self,
        change: impl FnOnce(SavedState) -> SavedState,
    ) -> Result<Option<Attempt>, StoreError> {
        if let Some(first) = &self.current.first {
            first.bundles.iter().try_for_each(|bundle| self.store.keep(bundle))?;
        }
        let next = change(self.current.state.clone());
        self.store.commit(&next)?;
        self.current.state = next;
        Ok(self.current.first.take().and_then(|first| first.attempt))
    }
}
