//! Who uses a model in turns: everybody who projected, or stepped, since the last step is about to make the next one.

use crate::combine::Expected;
use std::{
    collections::BTreeSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Default)]
struct Turns {
    /// Those who came since the last step began.
    came: BTreeSet<u64>,
    /// How many were part of the last step.
    stepped: usize,
    /// How many are projecting or drawing: they come back to step.
    busy: usize,
}

/// Somebody who projects or draws, until it is dropped.
pub(crate) struct Busy<'a>(&'a Users);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.hold().busy -= 1;
    }
}

/// The users of one model.
#[derive(Default)]
pub(crate) struct Users {
    last: AtomicU64,
    turns: Mutex<Turns>,
}

impl Users {
    /// A number for another user.
    pub(crate) fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// This user asks for a step.
    pub(crate) fn came(&self, user: u64) {
        self.hold().came.insert(user);
    }

    /// This user projects or draws.
    pub(crate) fn busy(&self, user: u64) -> Busy<'_> {
        let mut turns = self.hold();
        turns.came.insert(user);
        turns.busy += 1;
        Busy(self)
    }

    /// A step of so many begins.
    pub(crate) fn stepping(&self, users: usize) {
        let mut turns = self.hold();
        turns.came.clear();
        turns.stepped = users;
    }

    /// Those about to step: whoever is elsewhere, with scores or a policy, has not come since the last one.
    pub(crate) fn about_to_step(&self) -> Expected {
        let turns = self.hold();
        Expected { users: turns.came.len(), busy: turns.busy > 0 }
    }

    /// Those of the last step: they are about to project.
    pub(crate) fn about_to_project(&self) -> Expected {
        Expected { users: self.hold().stepped, busy: false }
    }

    fn hold(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
