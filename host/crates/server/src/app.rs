//! The server: its shared state, its routes, and what an embedder can call.

use crate::{
    admin,
    admission::Admission,
    arrival,
    auth::Clients,
    config::{ServerConfig, ServerError},
    connections,
    deploy::{BundleSource, DeployError, Deployer, OpenError, seconds_since_1970},
    error::ApiError,
    exposition::Format,
    judge::{self, Face, GatewayState},
    metrics::Metrics,
    middleware, openai,
    readiness::Readiness,
    settings::{BudgetPer, Settings},
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    middleware::from_fn_with_state as with,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_gateways::litellm;
use inferenceguard_host::{Engine, Generation, Output, Terms};
use inferenceguard_record::Journal;
use std::{
    collections::BTreeSet,
    future::Future,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

type Route = MethodRouter<Arc<App>>;

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

    /// The routes for clients.
    pub fn router(&self) -> Router {
        let v1 = Router::new()
            .route("/v1/chat/completions", post(openai::chat))
            .route("/v1/completions", post(openai::completions))
            .route("/v1/models", get(openai::models))
            .route("/v1/models/{*model}", get(openai::model));
        let v1 = self.with_face(v1, Face::Judge, "/v1/judge", post(judge::judge));
        let v1 = self.with_face(v1, Face::Moderations, "/v1/moderations", post(judge::moderations));
        let v1 = v1
            // A request passes the last layer first.
            .route_layer(with(Arc::clone(&self.app), middleware::read_body))
            .route_layer(with(Arc::clone(&self.app), middleware::authenticate_client));
        let v1 = v1.merge(self.litellm());
        // Metrics would show tenants to one another.
        let routes = if self.app.settings.tenants.is_empty() { v1.route("/metrics", get(metrics)) } else { v1 };
        // Outermost, so that refused requests are counted and traced as well.
        self.with_health(routes).layer(with(Arc::clone(&self.app), arrival::arrive))
    }

    /// The routes with this path, if its gateway is served.
    fn with_face(&self, routes: Router<Arc<App>>, face: Face, path: &str, route: Route) -> Router<Arc<App>> {
        if self.app.faces.contains(&face) { routes.route(path, route) } else { routes }
    }

    /// LiteLLM's route, whose key may come in a header of its own.
    fn litellm(&self) -> Router<Arc<App>> {
        let routes = Router::new();
        if !self.app.faces.contains(&Face::Litellm) {
            return routes;
        }
        routes
            .route(litellm::PATH, post(judge::litellm))
            .route_layer(with(Arc::clone(&self.app), middleware::read_body))
            .route_layer(with(Arc::clone(&self.app), middleware::authenticate_gateway))
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The routes for administrators.
    pub fn admin_router(&self) -> Router {
        self.with_health(admin::routes(&self.app).route("/metrics", get(metrics)))
    }

    fn with_health(&self, routes: Router<Arc<App>>) -> Router {
        routes
            .route("/health", get(async || "ok\n"))
            .route("/ready", get(ready))
            .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "unknown_url", "there is no such path here"))
            .method_not_allowed_fallback(other_method)
            .layer(DefaultBodyLimit::max(self.app.settings.max_body))
            .with_state(Arc::clone(&self.app))
    }

    /// Serves clients, and administrators on the second listener, until `stop` ends. Running requests then have `stop_seconds` to
    /// finish.
    ///
    /// # Errors
    /// [`ServerError::Network`], and as [`Server::begin`].
    pub async fn run(
        &self,
        clients: TcpListener,
        admin: Option<TcpListener>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), ServerError> {
        self.begin()?;
        let mut listeners = vec![(clients, self.router())];
        listeners.extend(admin.map(|listener| (listener, self.admin_router())));
        connections::serve(listeners, &self.app.settings, stop).await?;
        Ok(())
    }
}

impl App {
    /// Whether all models work.
    pub(crate) fn check_models(&self) -> Result<(), ApiError> {
        self.engine
            .broken()
            .map_or(Ok(()), |why| Err(ApiError::broken(&format!("{why}; restart the server or mend the engine"))))
    }

    /// Writes the record of an answer, if the operator keeps records.
    pub(crate) fn keep_record(&self, output: &Output) -> Result<(), ApiError> {
        let Some(journal) = self.records.get() else { return Ok(()) };
        journal.append(output).map(drop).map_err(|error| {
            tracing::error!(%error, "a record could not be written");
            self.readiness.failed();
            let message = "the record of this answer could not be written; the server's log says why";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "record_error", message)
        })
    }
}

/// `GET /ready`: whether requests are allowed, the models work, and records can be written.
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    app.deployer.denial.check()?;
    app.check_models()?;
    match Readiness::of_records(&app).await {
        true => Ok("ready\n"),
        false => {
            let message = "records cannot be written; the server's log says why";
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "record_error", message))
        }
    }
}

/// Answers requests with another method. A browser sends `OPTIONS` before its page calls another site (CORS): no page may.
async fn other_method(method: Method) -> ApiError {
    let message = match method {
        Method::OPTIONS => {
            "pages of browsers may not call this server (no CORS); put a gateway in front of it that allows them"
        }
        _ => "this path takes another method",
    };
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let (format, lost) = (Format::negotiate(&headers), app.lost_spans.load(Ordering::Relaxed));
    let page = app.metrics.page(format, &app.engine, app.admission.capacity.waiting(), lost);
    ([(CONTENT_TYPE, format.media_type())], page).into_response()
}
