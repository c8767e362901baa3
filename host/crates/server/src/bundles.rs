//! The active bundle, and how it changes.

use crate::{
    error::ApiError,
    memory::{Beginning, Held, Memory},
    metrics::Metrics,
    remembered::Remembered,
    settings::{Overload, Settings, Tenant},
    state::State,
    store::{Store, StoreError},
    swap::{Change, Swap},
};
use axum::http::StatusCode;
use inferenceguard_bundle::{Bundle, Trust};
use inferenceguard_host::{Engine, Generation, Prepared};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Opens a bundle of the server's machine; the error is one sentence for the administrator.
pub type Opener = dyn Fn(&Path) -> Result<Bundle, String> + Send + Sync;

/// Gives a file that a layer names and does not hold, such as a first-party component.
pub type Lender = dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync;

/// How many activations are remembered.
const HISTORY: usize = 100;

/// What an administrator puts in place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Next {
    /// A bundle on the server's machine.
    Path(PathBuf),
    /// Another manifest over the files of the active bundle: other budgets, settings or limits.
    Manifest(String),
    /// A bundle that was opened before, or why that failed.
    #[serde(skip)]
    Opened(Result<Box<Bundle>, String>),
}

pub(crate) struct Bundles {
    pub(crate) engine: Arc<Engine>,
    opener: Box<Opener>,
    trust: Option<PathBuf>,
    pub(crate) tenants: BTreeMap<String, Tenant>,
    pub(crate) lender: Box<Lender>,
    pub(crate) overload: Option<Overload>,
    metrics: Arc<Metrics>,
    memory: Option<Memory>,
    /// Held during a whole activation: one after the other. Nothing that serves requests waits for it.
    state: Mutex<State>,
    /// Why all requests are denied. Held for a moment: every request looks.
    denied: Mutex<Option<String>>,
    history: Mutex<VecDeque<Swap>>,
    /// The digest of what was activated last from each path that an administrator named.
    named: Mutex<BTreeMap<PathBuf, String>>,
}

impl Bundles {
    pub(crate) fn new(
        engine: Arc<Engine>,
        active: Bundle,
        opener: Box<Opener>,
        settings: &Settings,
        metrics: Arc<Metrics>,
    ) -> Self {
        let state = Mutex::new(State { active, previous: Vec::new() });
        let (trust, tenants, overload) = (settings.trust.clone(), settings.tenants.clone(), settings.overload);
        let lender: Box<Lender> = Box::new(|_| None);
        let (denied, history, named) = Default::default();
        Self { engine, opener, trust, tenants, lender, overload, metrics, memory: None, state, denied, history, named }
    }

    /// The same with a lender of files.
    pub(crate) fn lent_by(self, lender: Box<Lender>) -> Self {
        Self { lender, ..self }
    }

    /// The same, remembered in a store, and going on from what that remembers. Nothing is written before [`Bundles::begin`].
    pub(crate) fn remembered_in(self, store: Store) -> Result<Self, StoreError> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (active, generation) = (state.active.digest().to_string(), self.engine.generation());
        let last = store.remembered()?;
        let other = last.as_ref().is_some_and(|last| last.bundle != active);
        let found = match last {
            Some(last) => state.go_on(last, &store, &self.engine)?,
            None => Remembered { begun: Some(active), ..Remembered::default() },
        };
        let denied = found.denied.clone();
        let swap = other.then(|| Swap::beginning(generation.clone()));
        let beginning = Beginning { bundle: state.active.clone(), swap };
        let last = state.written(found, generation.number, &self.engine);
        let history = Mutex::new(store.history(HISTORY).into());
        let (state, denied) = (Mutex::new(state), Mutex::new(denied));
        Ok(Self { state, memory: Some(Memory::new(store, last, beginning)), denied, history, ..self })
    }

    /// Requests come from now on: what they are decided by is written. Does nothing the second time.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let Some(mut held) = self.memory.as_ref().map(Memory::hold).filter(Held::is_beginning) else { return Ok(()) };
        let swap = held.change(|last| Remembered { newest: self.engine.newest_number(), ..last })?;
        drop(held);
        self.noted(swap);
        Ok(())
    }

    /// Opens a bundle of the server's machine.
    pub(crate) fn open(&self, path: &Path) -> Result<Bundle, String> {
        (self.opener)(path)
    }

    /// Remembers what a watched bundle is, once this server has begun.
    pub(crate) fn remember_watched(&self, digest: &str) -> Result<(), StoreError> {
        let held = self.memory.as_ref().map(Memory::hold);
        let Some(mut held) = held.filter(|held| !held.is_beginning()) else { return Ok(()) };
        held.change(|last| Remembered { watched: Some(digest.to_owned()), ..last }).map(drop)
    }

    /// Whether a bundle may be activated here: what is trusted is read anew each time.
    pub(crate) fn check(&self, bundle: &Bundle) -> Result<(), String> {
        let Some(path) = &self.trust else { return Ok(()) };
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let trust = Trust::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        trust.check(bundle, seconds_now()).map(drop).map_err(|error| error.to_string())
    }

    /// Puts a bundle in place; blocks while it is compiled and checked. The old one stays if anything is wrong.
    pub(crate) fn activate(&self, next: &Next) -> Result<Generation, ApiError> {
        // One at a time: a manifest is laid over the files of what is active by then.
        let mut state = lock(&self.state);
        // What is watched is tried again and again.
        let watched = matches!(next, Next::Opened(_));
        self.told_of(Change::Activate, watched, || {
            let (bundle, prepared) = self.prepare(next, &state.active)?;
            let (previous, digest) = (state.previous_then(&bundle), bundle.digest().to_string());
            // In one step: the next server must not take what is active for a change.
            let remembered = watched.then(|| digest.clone());
            let generation = self.switch(&mut state, State { active: bundle, previous }, prepared, remembered)?;
            if let Next::Path(path) = next {
                lock(&self.named).insert(real(path), digest);
            }
            Ok(generation)
        })
    }

    /// The digest of what an administrator activated last from this path, unless it was forgotten.
    pub(crate) fn activated_from(&self, path: &Path) -> Option<String> {
        lock(&self.named).get(&real(path)).cloned()
    }

    /// Forgets what was activated from this path.
    pub(crate) fn forget_activated_from(&self, path: &Path) {
        lock(&self.named).remove(&real(path));
    }

    /// Puts back what was active before.
    pub(crate) fn roll_back(&self) -> Result<Generation, ApiError> {
        let mut state = lock(&self.state);
        self.told(Change::RollBack, || {
            let mut previous = state.previous.clone();
            let bundle = previous.pop().ok_or("nothing was active before")?;
            self.check(&bundle)?;
            let prepared = self.engine.prepare(&bundle).map_err(|error| error.to_string())?;
            self.switch(&mut state, State { active: bundle, previous }, prepared, None)
        })
    }

    /// Puts in place what was prepared from this bundle.
    pub(crate) fn promote(&self, bundle: Bundle, from: Prepared) -> Result<Generation, ApiError> {
        let mut state = lock(&self.state);
        self.told(Change::Promote, || {
            // Trust may have ended since it began.
            self.check(&bundle)?;
            let previous = state.previous_then(&bundle);
            self.switch(&mut state, State { active: bundle, previous }, from, None)
        })
    }

    /// A bundle, trusted, compiled and checked, which decides nothing yet.
    pub(crate) fn prepare_next(&self, next: &Next) -> Result<(Bundle, Prepared), String> {
        self.prepare(next, &self.active())
    }

    /// What is active once no activation is under way.
    pub(crate) fn active(&self) -> Bundle {
        lock(&self.state).active.clone()
    }

    fn prepare(&self, next: &Next, active: &Bundle) -> Result<(Bundle, Prepared), String> {
        let bundle = match next {
            Next::Path(path) => (self.opener)(path)?,
            Next::Manifest(text) => Bundle::from_parts(text, active.files()).map_err(|error| error.to_string())?,
            Next::Opened(opened) => *opened.clone()?,
        };
        self.check(&bundle)?;
        let prepared = self.engine.prepare(&bundle).map_err(|error| error.to_string())?;
        Ok((bundle, prepared))
    }

    /// First on the disk, then for requests: what was acknowledged survives a kill.
    fn switch(
        &self,
        state: &mut State,
        next: State,
        prepared: Prepared,
        watched: Option<String>,
    ) -> Result<Generation, String> {
        let layered = self.layered(&next.active)?;
        self.commit(&next, prepared.generation().number, watched)?;
        *state = next;
        let generation = self.engine.install(None, prepared);
        layered.into_iter().for_each(|(lane, prepared)| drop(self.engine.install(Some(&lane), prepared)));
        Ok(generation)
    }

    /// Remembers a bundle that will decide, whatever lane in: records name it.
    pub(crate) fn keep(&self, bundle: &Bundle) -> Result<(), String> {
        let Some(memory) = &self.memory else { return Ok(()) };
        memory.store().keep(bundle).map_err(|error| error.to_string())
    }

    fn commit(&self, next: &State, number: u64, watched: Option<String>) -> Result<(), String> {
        self.keep(&next.active)?;
        let Some(mut held) = self.memory.as_ref().map(Memory::hold) else { return Ok(()) };
        let swap = held.change(|last| {
            let watched = watched.or_else(|| last.watched.clone());
            Remembered { denied: self.denied(), watched, ..next.written(last, number, &self.engine) }
        });
        drop(held);
        self.noted(swap.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Remembers which numbers were given to generations that are not the active one, so that none is given twice. Those of
    /// before it begins are remembered then.
    pub(crate) fn remember_numbers(&self) -> Result<(), String> {
        let held = self.memory.as_ref().map(Memory::hold);
        let Some(mut held) = held.filter(|held| !held.is_beginning()) else { return Ok(()) };
        let told = held.change(|last| Remembered { newest: self.engine.newest_number(), ..last });
        told.map(drop).map_err(|error| error.to_string())
    }

    fn noted(&self, swap: Option<Swap>) {
        swap.into_iter().for_each(|swap| self.remember(swap));
    }

    /// Why all requests are denied, if they are.
    pub(crate) fn denied(&self) -> Option<String> {
        lock(&self.denied).clone()
    }

    /// Denies all requests that begin, at once. It is not remembered yet.
    pub(crate) fn deny(&self, reason: &str) {
        *lock(&self.denied) = Some(reason.to_owned());
    }

    /// Denies all requests, or none any more, and remembers it. A denial holds even where it cannot be remembered; an end
    /// to it does not.
    pub(crate) fn remember_denial(&self, reason: Option<String>) -> Result<(), ApiError> {
        let mut held = self.memory.as_ref().map(Memory::hold);
        if let Some(reason) = &reason {
            self.deny(reason);
        }
        let failed =
            |error: StoreError| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "store_error", error.to_string());
        let told = held.as_mut().map(|held| held.change(|last| Remembered { denied: reason.clone(), ..last }));
        let swap = told.transpose().map_err(failed)?.flatten();
        *lock(&self.denied) = reason;
        drop(held);
        self.noted(swap);
        Ok(())
    }

    /// Does it, and remembers how it went.
    pub(crate) fn told(
        &self,
        change: Change,
        work: impl FnOnce() -> Result<Generation, String>,
    ) -> Result<Generation, ApiError> {
        self.told_of(change, false, work)
    }

    /// The same; what is `repeated` and fails as it did the last time is counted and stands in the history once.
    fn told_of(
        &self,
        change: Change,
        repeated: bool,
        work: impl FnOnce() -> Result<Generation, String>,
    ) -> Result<Generation, ApiError> {
        let start = Instant::now();
        let made = work();
        let seconds = start.elapsed().as_secs_f64();
        let decides = !matches!(change, Change::Canary | Change::Shadow);
        made.iter().filter(|_| decides).for_each(|generation| self.metrics.active(generation));
        let (generation, error) = (made.as_ref().ok().cloned(), made.as_ref().err().cloned());
        let swap = Swap { at: seconds_now(), change, seconds, generation, error };
        if repeated && self.has_failed_like(&swap) {
            self.count(&swap);
        } else {
            self.remember(swap);
        }
        made.map_err(|error| {
            let message = format!("the bundle was not activated; the old one stays: {error}");
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bundle_refused", message)
        })
    }

    fn has_failed_like(&self, swap: &Swap) -> bool {
        let same = |last: &Swap| (last.change, &last.error) == (swap.change, &swap.error);
        !swap.is_done() && lock(&self.history).front().is_some_and(same)
    }

    fn count(&self, swap: &Swap) {
        self.metrics.swapped(swap.change, swap.is_done(), Some(swap.seconds).filter(|seconds| *seconds > 0.0));
    }

    /// Counts an attempt to change what decides, and puts it into the history.
    pub(crate) fn remember(&self, swap: Swap) {
        self.count(&swap);
        if let Some(Err(error)) = self.memory.as_ref().map(|memory| memory.store().note(&swap)) {
            tracing::error!(%error, "the history of activations could not be written");
        }
        let mut history = lock(&self.history);
        history.push_front(swap);
        history.truncate(HISTORY);
    }

    /// The newest first.
    pub(crate) fn history(&self) -> Vec<Swap> {
        lock(&self.history).iter().cloned().collect()
    }
}

/// A path without links and detours, where it leads anywhere.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

pub(crate) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
