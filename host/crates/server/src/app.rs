//! The server: its shared state, and what an embedder can call.

use crate::{
    admission::Admission,
    auth::Clients,
    config::{ServerConfig, ServerError},
    deploy::{BundleSource, DeployError, Deployer, OpenError},
    error::ApiError,
    judge::{Face, GatewayState},
    metrics::Metrics,
    readiness::Readiness,
    settings::{BudgetPer, Settings},
};
use axum::http::StatusCode;
use inferenceguard_bundle::{Bundle, Digest, Layer, seconds_since_1970};
use inferenceguard_host::{Engine, Generation, Output, Terms};
use inferenceguard_record::Journal;
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

/// The state that all handlers share.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    /// The name of the model that clients send.
    pub(crate) model: String,
    /// When the server was made, in seconds since 1970.
    pub(crate) since: u64,
    pub(crate) clients: Clients,
    pub(crate) admission: Admission,
    pub(crate) metrics: Arc<Metrics>,
    /// How many spans could not be sent.
    pub(crate) lost_spans: Arc<AtomicU64>,
    pub(crate) deployer: Deployer,
    /// Where the records of answers are written, if the operator keeps records.
    pub(crate) records: OnceLock<Journal>,
    pub(crate) readiness: Readiness,
    pub(crate) faces: BTreeSet<Face>,
    pub(crate) gateways: GatewayState,
}

/// An engine behind HTTP.
#[derive(Clone)]
pub struct Server {
    app: Arc<App>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("model", &self.app.model).finish_non_exhaustive()
    }
}

impl Server {
    /// A server that answers nothing yet: [`Server::run`] it, or take its [`Server::router`].
    ///
    /// # Errors
    /// [`ServerError::Settings`]; [`ServerError::Untrusted`] if the trust file does not allow the bundle; [`ServerError::Store`];
    /// [`ServerError::Layer`] if a tenant's layer or budget does not fit the bundle.
    pub fn new(config: ServerConfig) -> Result<Self, ServerError> {
        let ServerConfig { engine, active, faces, settings, opener, lender, store, records, lost_spans } = config;
        settings.validate()?;
        let terms = Terms { whole_conversation: settings.budget_per == BudgetPer::Conversation, ..Terms::default() };
        engine.under(&terms).check().map_err(|error| ServerError::Conversation(Box::new(error)))?;
        let metrics = Arc::new(Metrics::new());
        metrics.set_active(&engine.generation());
        metrics.set_models(engine.models());
        let (shared, sources, counts) = (Arc::clone(&engine), (opener, lender), Arc::clone(&metrics));
        let deployer = Deployer::new(shared, active, sources, store, (&settings, !faces.is_empty()), counts);
        let deployer = deployer.map_err(ServerError::or_store(ServerError::Untrusted))?;
        deployer.check_faces().map_err(ServerError::or_store(ServerError::Face))?;
        deployer.begin_layers().map_err(ServerError::or_store(ServerError::Layer))?;
        let app = App {
            model: settings.model.clone().unwrap_or_else(|| engine.model().name.clone()),
            since: seconds_since_1970(),
            clients: Clients::new(&settings),
            admission: Admission::new(engine.max_live(), settings.max_waiting),
            readiness: Readiness::default(),
            gateways: GatewayState::new(&settings.judge),
            faces,
            metrics,
            lost_spans,
            records: records.map_or_else(OnceLock::new, OnceLock::from),
            deployer,
            engine,
            settings,
        };
        Ok(Self { app: Arc::new(app) })
    }

    /// The name of the model that clients send.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.app.model
    }

    /// What clients and administrators may do.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.app.settings
    }

    /// How long running requests have to finish when the server stops.
    #[must_use]
    pub fn stop_time(&self) -> Duration {
        Duration::from_secs(self.app.settings.stop_seconds)
    }

    /// Activates a bundle of this machine, as `PUT /admin/bundle` does. Blocks while it is compiled and checked.
    ///
    /// # Errors
    /// [`DeployError`]; the old bundle stays.
    pub fn activate(&self, path: &Path) -> Result<Generation, DeployError> {
        self.app.deployer.activate(&BundleSource::Path(path.to_owned()))
    }

    /// Reads the tenants' layers again, and lays them over the active bundle, which stays. Blocks while they are compiled and
    /// checked. Gives the active generation.
    ///
    /// # Errors
    /// [`DeployError`]; the old layers stay.
    pub fn reload_layers(&self) -> Result<Generation, DeployError> {
        self.app.deployer.reload_layers()
    }

    /// Whether a tenant has a layer.
    #[must_use]
    pub fn has_layers(&self) -> bool {
        self.app.deployer.has_layers()
    }

    /// Reads the layer of this tenant, and activates nothing.
    ///
    /// # Errors
    /// [`OpenError`] if the tenant has no layer, or if it cannot be read.
    pub fn open_layer(&self, tenant: &str) -> Result<Layer, OpenError> {
        self.app.deployer.open_layer(tenant)
    }

    /// Lays a layer that was [opened](Server::open_layer) before over the active bundle, for this tenant alone. A layer that
    /// could not be opened counts as a failed activation. Blocks while it is compiled and checked. Gives the active generation.
    ///
    /// # Errors
    /// [`DeployError`]; the old layer stays.
    pub fn activate_layer(&self, tenant: &str, opened: Result<Layer, OpenError>) -> Result<Generation, DeployError> {
        self.app.deployer.activate_layer(tenant, opened)
    }

    /// The digest of the layer that decides for this tenant, if it has one.
    #[must_use]
    pub fn active_layer(&self, tenant: &str) -> Option<Digest> {
        self.app.deployer.active_layer(tenant)
    }

    /// Opens a bundle of this machine as [`Server::activate`] does, and activates nothing.
    ///
    /// # Errors
    /// [`OpenError`] of the opener.
    pub fn open(&self, path: &Path) -> Result<Bundle, OpenError> {
        self.app.deployer.open(path)
    }

    /// Activates a bundle that was [opened](Server::open) before. A bundle that could not be opened counts as a failed
    /// activation. Blocks while the bundle is compiled and checked.
    ///
    /// # Errors
    /// As [`Server::activate`].
    pub fn activate_opened(&self, opened: Result<Bundle, OpenError>) -> Result<Generation, DeployError> {
        self.app.deployer.activate(&BundleSource::Opened(opened))
    }

    /// The digest of the bundle that an administrator or [`Server::activate`] activated last from this path, until it is
    /// [forgotten](Server::forget_activated_from). It may have been rolled back since.
    #[must_use]
    pub fn activated_from(&self, path: &Path) -> Option<String> {
        self.app.deployer.activated_from(path)
    }

    /// Forgets what was activated from this path.
    pub fn forget_activated_from(&self, path: &Path) {
        self.app.deployer.forget_activated_from(path);
    }

    /// The digest of the active bundle.
    #[must_use]
    pub fn active_digest(&self) -> String {
        self.app.engine.generation().bundle.digest
    }

    /// Saves the digest of the watched bundle in the store, if there is one ([`SavedState::watched`]).
    ///
    /// # Errors
    /// [`ServerError::Store`].
    ///
    /// [`SavedState::watched`]: crate::SavedState::watched
    pub fn save_watched(&self, digest: &str) -> Result<(), ServerError> {
        Ok(self.app.deployer.save_watched(digest)?)
    }

    /// Keeps a record of every answer in this journal, as [`ServerConfig::records`] does. Call this before the server serves.
    /// Opening a journal may change its file, so a program opens it after [`Server::new`] has accepted everything else.
    ///
    /// # Errors
    /// [`ServerError::SecondJournal`] if the server has another journal; that one stays.
    pub fn keep_records(&self, journal: Journal) -> Result<(), ServerError> {
        self.app.records.set(journal).map_err(|_| ServerError::SecondJournal)
    }

    /// Saves the bundles that this server begins with in the store, if there is one. [`Server::run`] does so as well.
    /// [`Server::new`] changes nothing in the store. Activations, canaries, shadows and denials may change it before this call.
    ///
    /// # Errors
    /// [`ServerError::Store`].
    pub fn begin(&self) -> Result<(), ServerError> {
        Ok(self.app.deployer.begin()?)
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }
}

impl App {
    /// Whether all models work.
    pub(crate) fn check_models(&self) -> Result<(), ApiError> {
        self.engine
            .broken()
            .map_or(Ok(()), |why| Err(ApiError::model_broken(&format!("{why}; restart the server or mend the engine"))))
    }

    /// Writes the record of an answer, if the operator keeps records.
    pub(crate) fn keep_record(&self, output: &Output) -> Result<(), ApiError> {
        let Some(journal) = self.records.get() else { return Ok(()) };
        journal.append(output).map(drop).map_err(|error| {
            tracing::error!(%error, "a record could not be written");
            self.readiness.note_failure();
            let message = "the record of this answer could not be written; the server's log says why";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "record_error", message)
        })
    }
}
