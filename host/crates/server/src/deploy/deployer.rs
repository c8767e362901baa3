//! Activates, rolls back and promotes bundles.

use super::{
    active::{ActiveBundles, SavedState},
    canary::Canary,
    denial::Denial,
    error::DeployError,
    history::{Attempt, Change, History},
    layers::PreparedLane,
    shadow::Shadow,
    source::{BundleSource, Lender, OpenError, Opener, TrustFile},
    store::{Store, StoreError},
    text_only,
    writer::{StateUpdate, StateWriter},
};
use crate::{
    metrics::Metrics,
    settings::{CanarySettings, Overload, Settings, Tenant},
};
use inferenceguard_bundle::{Bundle, Digest};
use inferenceguard_host::{Engine, Generation, Prepared};
use inferenceguard_model::lock;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

/// Changes what decides in an engine.
pub(crate) struct Deployer {
    pub(super) engine: Arc<Engine>,
    opener: Box<Opener>,
    pub(super) lender: Box<Lender>,
    trust: TrustFile,
    pub(super) tenants: BTreeMap<String, Tenant>,
    pub(super) overload: Option<Overload>,
    pub(super) canary_settings: CanarySettings,
    /// Whether gateways are served: then every bundle must judge text alone.
    text_only: bool,
    pub(super) metrics: Arc<Metrics>,
    writer: Option<StateWriter>,
    /// Held during a whole activation, so that they happen one after the other. Requests never wait for it.
    bundles: Mutex<ActiveBundles>,
    pub(crate) denial: Denial,
    pub(crate) history: History,
    pub(super) canary: Mutex<Option<Canary>>,
    pub(super) shadow: Mutex<Option<Shadow>>,
    /// The digest of the bundle that was activated last from each path that an administrator named.
    activated: Mutex<BTreeMap<PathBuf, String>>,
    /// The digest of the layer that decides for each tenant with one.
    pub(super) active_layers: Mutex<BTreeMap<String, Digest>>,
}

impl Deployer {
    /// A deployer for an engine that runs `active`. It continues from the state in `store`. This writes nothing;
    /// [`Deployer::begin`] does.
    ///
    /// # Errors
    /// If `active` is not trusted, if one of its components fails on made-up rows, or if the store cannot be read.
    pub(crate) fn new(
        engine: Arc<Engine>,
        active: Bundle,
        (opener, lender): (Box<Opener>, Box<Lender>),
        store: Option<Store>,
        (settings, text_only): (&Settings, bool),
        metrics: Arc<Metrics>,
    ) -> Result<Self, DeployError> {
        let trust = TrustFile(settings.trust.clone());
        trust.check(&active)?;
        engine.rehearse()?;
        warn_if_unguarded(&active);
        let (mut bundles, store) = (ActiveBundles::new(active), store.map(Arc::new));
        let restore = |store| StateWriter::restore(store, &mut bundles, &engine);
        let writer = store.clone().map(restore).transpose()?;
        Ok(Self {
            trust,
            opener,
            lender,
            tenants: settings.tenants.clone(),
            overload: settings.overload,
            canary_settings: settings.canary,
            text_only,
            denial: Denial::new(writer.as_ref().and_then(StateWriter::denied)),
            history: History::new(Arc::clone(&metrics), store),
            bundles: Mutex::new(bundles),
            canary: Mutex::default(),
            shadow: Mutex::default(),
            activated: Mutex::default(),
            active_layers: Mutex::default(),
            engine,
            metrics,
            writer,
        })
    }

    /// Saves the bundles that the server begins with. Does nothing the second time.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let Some(mut update) = self.update().filter(|update| !update.has_begun()) else { return Ok(()) };
        let attempt = update.apply(|last| SavedState { newest: self.engine.newest_number(), ..last })?;
        drop(update);
        self.add(attempt);
        Ok(())
    }

    /// Opens a bundle of the server's machine.
    pub(crate) fn open(&self, path: &Path) -> Result<Bundle, OpenError> {
        (self.opener)(path)
    }

    /// Activates a bundle, and ends the canary and the shadow, which were tried beside the one it replaces. Blocks while the
    /// bundle is compiled and checked.
    pub(crate) fn activate(&self, source: &BundleSource) -> Result<Generation, DeployError> {
        // One activation after the other: a manifest is laid over the files of the bundle that is active by then.
        let mut bundles = lock(&self.bundles);
        // A watched bundle is retried again and again.
        let is_watched = matches!(source, BundleSource::Opened(_));
        let replace = || self.replace(&mut bundles, source);
        let generation = match is_watched {
            true => self.history.retry(Change::Activate, replace),
            false => self.history.attempt(Change::Activate, replace),
        }?;
        drop(bundles);
        self.end_trials();
        Ok(generation)
    }

    fn replace(&self, bundles: &mut ActiveBundles, source: &BundleSource) -> Result<Generation, DeployError> {
        let (bundle, prepared) = self.prepare_over(source, &bundles.active)?;
        let digest = bundle.digest().to_string();
        // Saved in the same write, so that the next server does not take this activation for a change of the folder.
        let watched = matches!(source, BundleSource::Opened(_)).then(|| digest.clone());
        let next = bundles.activated(bundle);
        let generation = self.switch(bundles, next, prepared, watched)?;
        if let BundleSource::Path(path) = source {
            lock(&self.activated).insert(resolved(path), digest);
        }
        Ok(generation)
    }

    /// Activates the bundle before the active one again, and ends the canary and the shadow.
    pub(crate) fn roll_back(&self) -> Result<Generation, DeployError> {
        let mut bundles = lock(&self.bundles);
        let generation = self.history.attempt(Change::RollBack, || {
            let previous = bundles.rolled_back().ok_or(DeployError::NothingBefore)?;
            let prepared = self.check_and_compile(&previous.active)?;
            self.switch(&mut bundles, previous, prepared, None)
        })?;
        drop(bundles);
        self.end_trials();
        Ok(generation)
    }

    /// Activates a bundle that is compiled already, if it is still trusted.
    pub(super) fn activate_prepared(&self, bundle: Bundle, prepared: Prepared) -> Result<Generation, DeployError> {
        let mut bundles = lock(&self.bundles);
        self.history.attempt(Change::Promote, || {
            self.trust.check(&bundle)?;
            let next = bundles.activated(bundle);
            self.switch(&mut bundles, next, prepared, None)
        })
    }

    /// Opens, checks and compiles a bundle. It decides nothing yet.
    pub(super) fn prepare(&self, source: &BundleSource) -> Result<(Bundle, Prepared), DeployError> {
        self.prepare_over(source, &self.active())
    }

    /// Held while something is changed; waits for a change to end.
    pub(super) fn lock_bundles(&self) -> MutexGuard<'_, ActiveBundles> {
        lock(&self.bundles)
    }

    /// The active bundle; waits for an activation to end.
    pub(super) fn active(&self) -> Bundle {
        lock(&self.bundles).active.clone()
    }

    fn prepare_over(&self, source: &BundleSource, active: &Bundle) -> Result<(Bundle, Prepared), DeployError> {
        let bundle = source.open(&*self.opener, active)?;
        let prepared = self.check_and_compile(&bundle)?;
        Ok((bundle, prepared))
    }

    fn check_and_compile(&self, bundle: &Bundle) -> Result<Prepared, DeployError> {
        self.trust.check(bundle)?;
        warn_if_unguarded(bundle);
        self.fit_for_faces(self.engine.prepare(bundle)?)
    }

    /// The same deployment, if it can judge what gateways send, or if there are none.
    pub(super) fn fit_for_faces(&self, prepared: Prepared) -> Result<Prepared, DeployError> {
        if self.text_only {
            text_only::check(&prepared)?;
        }
        Ok(prepared)
    }

    /// Checks the bundle that the server begins with.
    pub(crate) fn check_faces(&self) -> Result<(), DeployError> {
        self.fit_for_faces(self.engine.prepared_in(None)?).map(drop)
    }

    /// Saves the next bundle, then installs it: what was acknowledged survives a kill.
    fn switch(
        &self,
        bundles: &mut ActiveBundles,
        next: ActiveBundles,
        prepared: Prepared,
        watched: Option<String>,
    ) -> Result<Generation, DeployError> {
        let layers = self.prepare_layers(&next.active)?;
        layers.iter().try_for_each(|layer| self.save_bundle(&layer.bundle))?;
        self.save_active(&next, prepared.generation().number, watched)?;
        *bundles = next;
        let generation = self.engine.install(None, prepared);
        self.install_layers(layers);
        Ok(generation)
    }

    fn save_active(&self, next: &ActiveBundles, number: u64, watched: Option<String>) -> Result<(), StoreError> {
        self.save_bundle(&next.active)?;
        let Some(mut update) = self.update() else { return Ok(()) };
        let attempt = update.apply(|last| {
            let watched = watched.or_else(|| last.watched.clone());
            SavedState { denied: self.denial.reason(), watched, ..next.saved(last, number, &self.engine) }
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

    /// The digest of the bundle that an administrator activated last from this path, unless it was forgotten since.
    pub(crate) fn activated_from(&self, path: &Path) -> Option<String> {
        lock(&self.activated).get(&resolved(path)).cloned()
    }

    /// Forgets what was activated from this path.
    pub(crate) fn forget_activated_from(&self, path: &Path) {
        lock(&self.activated).remove(&resolved(path));
    }
}

fn warn_if_unguarded(bundle: &Bundle) {
    if bundle.manifest().unguarded {
        let (name, digest) = (&bundle.manifest().name, bundle.digest());
        tracing::warn!(name, %digest, "this bundle has no constraints: its answers have the status `unguarded`");
    }
}

/// A path without links and `..`, where it exists.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
