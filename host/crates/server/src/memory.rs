//! A store, and what it was told last.

use crate::{
    bundles::lock,
    remembered::Remembered,
    store::{Store, StoreError},
    swap::Swap,
};
use inferenceguard_bundle::Bundle;
use std::sync::{Mutex, MutexGuard};

/// What a server begins with: not written before it has begun, so that one which could not begin has changed nothing.
pub(crate) struct Beginning {
    pub(crate) bundle: Bundle,
    /// If it is another bundle than the one that was active last.
    pub(crate) swap: Option<Swap>,
}

struct Told {
    last: Remembered,
    beginning: Option<Beginning>,
}

pub(crate) struct Memory {
    store: Store,
    told: Mutex<Told>,
}

/// The memory while it is changed: one change after the other.
pub(crate) struct Held<'a> {
    store: &'a Store,
    told: MutexGuard<'a, Told>,
}

impl Memory {
    pub(crate) fn new(store: Store, last: Remembered, beginning: Beginning) -> Self {
        Self { store, told: Mutex::new(Told { last, beginning: Some(beginning) }) }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn hold(&self) -> Held<'_> {
        Held { store: &self.store, told: lock(&self.told) }
    }
}

impl Held<'_> {
    /// Whether nothing was written yet.
    pub(crate) fn is_beginning(&self) -> bool {
        self.told.beginning.is_some()
    }

    /// Tells the store of a change to what it was told last; on the disk when this returns. The first change is the beginning
    /// as well: what is then to be noted is given back.
    pub(crate) fn change(&mut self, change: impl FnOnce(Remembered) -> Remembered) -> Result<Option<Swap>, StoreError> {
        if let Some(first) = &self.told.beginning {
            self.store.keep(&first.bundle)?;
        }
        let next = change(self.told.last.clone());
        self.store.commit(&next)?;
        self.told.last = next;
        Ok(self.told.beginning.take().and_then(|first| first.swap))
    }
}
