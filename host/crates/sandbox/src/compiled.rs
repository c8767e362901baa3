//! Components compiled in this process: the same bytes are compiled once, however often bundles that name them are
//! activated.

use crate::state::State;
use inferenceguard_model::lock;
use sha2::{Digest, Sha256};
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};
use wasmtime::component::InstancePre;

/// How many are remembered. Forgetting one costs a compilation, nothing else.
const MOST: usize = 64;

type Key = [u8; 32];

/// The newest first.
#[derive(Default)]
pub(crate) struct Compiled(Mutex<VecDeque<(Key, InstancePre<State>)>>);

impl Compiled {
    /// What these bytes were compiled to, or what `compile` makes of them now.
    pub(crate) fn get<E>(
        &self,
        bytes: &[u8],
        compile: impl FnOnce() -> Result<InstancePre<State>, E>,
    ) -> Result<InstancePre<State>, E> {
        let key: Key = Sha256::digest(bytes).into();
        if let Some(known) = self.find(&key) {
            return Ok(known);
        }
        let made = compile()?;
        let mut all = self.lock();
        all.push_front((key, made.clone()));
        all.truncate(MOST);
        Ok(made)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Key, InstancePre<State>)>> {
        lock(&self.0)
    }

    fn find(&self, key: &Key) -> Option<InstancePre<State>> {
        let mut all = self.lock();
        let found = all.iter().position(|(known, _)| known == key).and_then(|at| all.remove(at))?;
        all.push_front(found);
        all.front().map(|(_, made)| made.clone())
    }
}
