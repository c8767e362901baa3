//! The active bundle, and how it changes.

use crate::{
    error::ApiError,
    metrics::Metrics,
    remembered::Remembered,
    settings::{Overload, Settings, Tenant},
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
/// How many bundles one can go back.
const PREVIOUS: usize = 5;

/// What an administrator puts in place.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(crate) enum Next {
    /// A bundle on the server's machine.
    Path(PathBuf),
    /// Another manifest over the files of the active bundle: other budgets, settings or limits.
    Manifest(String),
}

/// What is active and what was.
struct State {
    active: Bundle,
    previous: Vec<Bundle>,
}

pub(crate) struct Bundles {
    pub(crate) engine: Arc<Engine>,
    opener: Box<Opener>,
    trust: Option<PathBuf>,
    pub(crate) tenants: BTreeMap<String, Tenant>,
    pub(crate) lender: Box<Lender>,
    pub(crate) overload: Option<Overload>,
    store: Option<Store>,
    /// Held during a whole activation: one after the other. Nothing that serves requests waits for it.
    state: Mutex<State>,
    /// Why all requests are denied. Held for a moment: every request looks.
    denied: Mutex<Option<String>>,
    /// What the store was told last. Held while it is told.
    kept: Mutex<Option<Remembered>>,
    history: Mutex<VecDeque<Swap>>,
}

impl Bundles {
    pub(crate) fn new(engine: Arc<Engine>, active: Bundle, opener: Box<Opener>, settings: &Settings) -> Self {
        let state = Mutex::new(State { active, previous: Vec::new() });
        let (trust, tenants, overload) = (settings.trust.clone(), settings.tenants.clone(), settings.overload);
        let lender: Box<Lender> = Box::new(|_| None);
        let (denied, kept, history) = Default::default();
        Self { engine, opener, trust, tenants, lender, overload, store: None, state, denied, kept, history }
    }

    /// The same with a lender of files.
    pub(crate) fn lent_by(self, lender: Box<Lender>) -> Self {
        Self { lender, ..self }
    }

    /// The same, remembered in a store, and going on from what that remembers.
    pub(crate) fn remembered_in(self, store: Store) -> Result<Self, StoreError> {
        let mut state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let found = store.remembered()?;
        let found = found.map(|found| state.go_on(found, &store, &self.engine)).transpose()?;
        let (denied, other_models) = found.map(|found| (found.denied, found.other_models)).unwrap_or_default();
        store.keep(&state.active)?;
        let kept = state.remembered(self.engine.generation().number, &self.engine);
        let kept = Remembered { denied: denied.clone(), other_models, ..kept };
        store.commit(&kept)?;
        let (history, kept) = (Mutex::new(store.history(HISTORY).into()), Mutex::new(Some(kept)));
        let (state, denied) = (Mutex::new(state), Mutex::new(denied));
        Ok(Self { state, store: Some(store), denied, kept, history, ..self })
    }

    /// Whether a bundle may be activated here: what is trusted is read anew each time.
    pub(crate) fn check(&self, bundle: &Bundle) -> Result<(), String> {
        let Some(path) = &self.trust else { return Ok(()) };
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let trust = Trust::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        trust.check(bundle, seconds_now()).map(drop).map_err(|error| error.to_string())
    }

    /// Puts a bundle in place; blocks while it is compiled and checked. The old one stays if anything is wrong.
    pub(crate) fn activate(&self, next: &Next, metrics: &Metrics) -> Result<Generation, ApiError> {
        // One at a time: a manifest is laid over the files of what is active by then.
        let mut state = lock(&self.state);
        self.told(Change::Activate, metrics, || {
            let (bundle, prepared) = self.prepare(next, &state.active)?;
            let previous = state.previous_then();
            self.switch(&mut state, bundle, previous, prepared)
        })
    }

    /// Puts back what was active before.
    pub(crate) fn roll_back(&self, metrics: &Metrics) -> Result<Generation, ApiError> {
        let mut state = lock(&self.state);
        self.told(Change::RollBack, metrics, || {
            let mut previous = state.previous.clone();
            let bundle = previous.pop().ok_or("nothing was active before")?;
            self.check(&bundle)?;
            let prepared = self.engine.prepare(&bundle).map_err(|error| error.to_string())?;
            self.switch(&mut state, bundle, previous, prepared)
        })
    }

    /// Puts in place what was prepared from this bundle.
    pub(crate) fn promote(&self, bundle: Bundle, from: Prepared, metrics: &Metrics) -> Result<Generation, ApiError> {
        let mut state = lock(&self.state);
        self.told(Change::Promote, metrics, || {
            // Trust may have ended since it began.
            self.check(&bundle)?;
            let previous = state.previous_then();
            self.switch(&mut state, bundle, previous, from)
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
        };
        self.check(&bundle)?;
        let prepared = self.engine.prepare(&bundle).map_err(|error| error.to_string())?;
        Ok((bundle, prepared))
    }

    /// First on the disk, then for requests: what was acknowledged survives a kill.
    fn switch(
        &self,
        state: &mut State,
        active: Bundle,
        previous: Vec<Bundle>,
        prepared: Prepared,
    ) -> Result<Generation, String> {
        let next = State { active, previous };
        let layered = self.layered(&next.active)?;
        self.commit(&next, prepared.generation().number)?;
        *state = next;
        let generation = self.engine.install(None, prepared);
        layered.into_iter().for_each(|(lane, prepared)| drop(self.engine.install(Some(&lane), prepared)));
        Ok(generation)
    }

    /// Remembers a bundle that will decide, whatever lane in: records name it.
    pub(crate) fn keep(&self, bundle: &Bundle) -> Result<(), String> {
        self.store.as_ref().map_or(Ok(()), |store| store.keep(bundle)).map_err(|error| error.to_string())
    }

    fn commit(&self, next: &State, number: u64) -> Result<(), String> {
        self.keep(&next.active)?;
        let mut kept = lock(&self.kept);
        let told = self.tell(&mut kept, |last| Remembered {
            denied: self.denied(),
            other_models: last.other_models,
            ..next.remembered(number, &self.engine)
        });
        told.map_err(|error| error.to_string())
    }

    /// Tells the store, where there is one, of a change to what it was told last.
    fn tell(
        &self,
        kept: &mut Option<Remembered>,
        change: impl FnOnce(Remembered) -> Remembered,
    ) -> Result<(), StoreError> {
        let (Some(store), Some(last)) = (&self.store, kept.clone()) else { return Ok(()) };
        let next = change(last);
        store.commit(&next)?;
        *kept = Some(next);
        Ok(())
    }

    /// Remembers which numbers were given to generations that are not the active one, so that none is given twice.
    pub(crate) fn remember_numbers(&self) -> Result<(), String> {
        let newest = |last| Remembered { newest: self.engine.newest_number(), ..last };
        self.tell(&mut lock(&self.kept), newest).map_err(|error| error.to_string())
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
        let mut kept = lock(&self.kept);
        if let Some(reason) = &reason {
            self.deny(reason);
        }
        let failed =
            |error: StoreError| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "store_error", error.to_string());
        self.tell(&mut kept, |last| Remembered { denied: reason.clone(), ..last }).map_err(failed)?;
        *lock(&self.denied) = reason;
        Ok(())
    }

    /// Does it, counts it, and remembers how it went.
    pub(crate) fn told(
        &self,
        change: Change,
        metrics: &Metrics,
        work: impl FnOnce() -> Result<Generation, String>,
    ) -> Result<Generation, ApiError> {
        let start = Instant::now();
        let made = work();
        let seconds = start.elapsed().as_secs_f64();
        let decides = !matches!(change, Change::Canary | Change::Shadow);
        metrics.swapped(change, made.is_ok(), seconds);
        made.iter().filter(|_| decides).for_each(|generation| metrics.active(generation));
        let (generation, error) = (made.as_ref().ok().cloned(), made.as_ref().err().cloned());
        self.remember(Swap { at: seconds_now(), change, seconds, generation, error });
        made.map_err(|error| {
            let message = format!("the bundle was not activated; the old one stays: {error}");
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bundle_refused", message)
        })
    }

    pub(crate) fn remember(&self, swap: Swap) {
        if let Some(Err(error)) = self.store.as_ref().map(|store| store.note(&swap)) {
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

impl State {
    /// Goes on from what a store remembers, which is given back as it is of the engine's model. A bundle that the server begins
    /// with anew is noted, and one can go back from it to what ran with this model.
    fn go_on(&mut self, found: Remembered, store: &Store, engine: &Engine) -> Result<Remembered, StoreError> {
        let (active, model) = (self.active.digest().to_string(), &engine.model().fingerprint);
        if found.bundle != active {
            store.note(&Swap::beginning(engine.generation()))?;
        }
        let (known, found) = (found.knows(model), found.with(model));
        let replaced = (known && found.bundle != active).then_some(&found.bundle);
        let digests = found.previous.iter().chain(replaced);
        self.previous = digests.map(|digest| store.bundle(digest)).collect::<Result<_, _>>()?;
        engine.number_beyond(found.newest);
        Ok(found)
    }

    /// What one can go back to once something else is active.
    fn previous_then(&self) -> Vec<Bundle> {
        let all: Vec<_> = self.previous.iter().chain([&self.active]).cloned().collect();
        all[all.len().saturating_sub(PREVIOUS)..].to_vec()
    }

    /// Of this model, and without a denial.
    fn remembered(&self, generation: u64, engine: &Engine) -> Remembered {
        Remembered {
            format: Remembered::FORMAT,
            generation,
            newest: engine.newest_number(),
            model: Some(engine.model().fingerprint.clone()),
            bundle: self.active.digest().to_string(),
            previous: self.previous.iter().map(|bundle| bundle.digest().to_string()).collect(),
            other_models: BTreeMap::new(),
            denied: None,
        }
    }
}

pub(crate) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
