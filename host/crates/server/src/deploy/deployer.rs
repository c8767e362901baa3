//! Activates, rolls back and promotes bundles.

use super::{
    active::ActiveBundles,
    canary::Canary,
    denial::Denial,
    error::DeployError,
    history::{Change, History},
    shadow::Shadow,
    source::{BundleSource, Lender, OpenError, Opener, TrustFile},
    store::Store,
    text_only,
    writer::StateWriter,
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
    pub(super) writer: Option<StateWriter>,
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
            denial: Denial::new(writer.as_ref().and_then(StateWriter::denial_reason)),
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
        let next = bundles.with_active(bundle);
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
            let previous = bundles.with_previous_active().ok_or(DeployError::NothingBefore)?;
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
            let next = bundles.with_active(bundle);
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
