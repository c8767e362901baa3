//! The server as a whole.

use crate::{
    admin, arrival,
    auth::{Admitted, Client, Clients},
    bundles::{Bundles, Lender, Next, Opener},
    connections,
    crowd::Crowd,
    entrance,
    error::ApiError,
    exposition::Format,
    live::Live,
    metrics::Metrics,
    openai,
    readiness::Readiness,
    settings::{Settings, SettingsError},
    store::{Store, StoreError},
    trials::Trials,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    middleware::from_fn_with_state as with,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use inferenceguard_bundle::Bundle;
use inferenceguard_host::{Engine, Generation, Output};
use inferenceguard_record::Journal;
use std::{
    future::Future,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpListener, sync::OwnedSemaphorePermit};

/// What all handlers share.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    /// The name clients give.
    pub(crate) model: String,
    /// Seconds since 1970 when it began.
    pub(crate) since: u64,
    pub(crate) clients: Clients,
    pub(crate) crowd: Crowd,
    pub(crate) metrics: Arc<Metrics>,
    /// How many spans could not be sent, where any are.
    pub(crate) lost_spans: Arc<AtomicU64>,
    pub(crate) live: Live,
    pub(crate) bundles: Bundles,
    pub(crate) trials: Trials,
    /// Where answers leave their records, if anywhere.
    pub(crate) records: Option<Journal>,
    pub(crate) readiness: Readiness,
    pub(crate) numbers: AtomicU64,
}

/// Where one choice runs or waits: among all, and among those of its client. Given back when dropped.
pub(crate) struct Place {
    _crowd: OwnedSemaphorePermit,
    _client: Admitted,
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A setting cannot be.
    #[error("settings of the server, {0}")]
    Settings(#[from] SettingsError),
    /// The bundle it should begin with is not trusted.
    #[error("the first bundle is refused: {0}")]
    Untrusted(String),
    /// A tenant's layer or budget does not fit the bundle.
    #[error("a tenant is refused: {0}")]
    Layer(String),
    /// What it should remember cannot be read or written.
    #[error("the server's store, {0}")]
    Store(#[from] StoreError),
    /// Clones of it are there already.
    #[error("the server was cloned before it was complete; clone it last")]
    Cloned,
    /// The network failed.
    #[error("the server's network failed: {0}")]
    Network(#[from] std::io::Error),
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
    /// A server over an engine that runs `active`; `opener` opens the bundles that administrators name.
    ///
    /// # Errors
    /// [`ServerError::Settings`], [`ServerError::Untrusted`].
    pub fn new(
        engine: Arc<Engine>,
        active: Bundle,
        opener: Box<Opener>,
        settings: Settings,
    ) -> Result<Self, ServerError> {
        settings.validate()?;
        let metrics = Arc::new(Metrics::new());
        metrics.active(&engine.generation());
        metrics.models(engine.models());
        let bundles = Bundles::new(Arc::clone(&engine), active.clone(), opener, &settings, Arc::clone(&metrics));
        bundles.check(&active).map_err(ServerError::Untrusted)?;
        let app = App {
            model: settings.model.clone().unwrap_or_else(|| engine.model().name.clone()),
            since: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            clients: Clients::new(&settings),
            crowd: Crowd::new(engine.max_live(), settings.max_waiting),
            metrics,
            lost_spans: Arc::default(),
            live: Live::default(),
            records: None,
            readiness: Readiness::default(),
            trials: Trials::new(Arc::clone(&engine), settings.canary),
            bundles,
            numbers: AtomicU64::new(1),
            engine,
            settings,
        };
        Ok(Self { app: Arc::new(app) })
    }

    /// The same, with a record of every answer. An answer whose record cannot be written ends with an error.
    ///
    /// # Errors
    /// [`ServerError::Cloned`].
    pub fn with_records(self, journal: Journal) -> Result<Self, ServerError> {
        Ok(Self { app: Arc::new(App { records: Some(journal), ..self.alone()? }) })
    }

    /// The same, with a count of the spans that could not be sent, for `/metrics`.
    ///
    /// # Errors
    /// [`ServerError::Cloned`].
    pub fn counting_lost_spans(self, lost_spans: Arc<AtomicU64>) -> Result<Self, ServerError> {
        Ok(Self { app: Arc::new(App { lost_spans, ..self.alone()? }) })
    }

    /// What is not shared yet.
    fn alone(self) -> Result<App, ServerError> {
        Arc::try_unwrap(self.app).map_err(|_| ServerError::Cloned)
    }

    /// The same, with the layers of its tenants over the active bundle; `lender` gives files that layers name and do not
    /// hold. Needed where a tenant has a layer, and for `overload`; after [`Server::with_store`], which says what numbers
    /// generations have had.
    ///
    /// # Errors
    /// [`ServerError::Layer`], [`ServerError::Cloned`].
    pub fn with_layers(self, lender: Box<Lender>) -> Result<Self, ServerError> {
        let app = self.alone()?;
        let bundles = app.bundles.lent_by(lender);
        bundles.begin_layers().map_err(ServerError::Layer)?;
        Ok(Self { app: Arc::new(App { bundles, ..app }) })
    }

    /// The same, remembering what is active in a store, once it begins. The engine must have been built with the bundle and the
    /// generation that the store remembers [with its model](crate::Remembered::with), if it remembers any; or anew, with another
    /// bundle under the [next number](crate::Remembered::next_number).
    ///
    /// # Errors
    /// [`ServerError::Store`], [`ServerError::Cloned`].
    pub fn with_store(self, store: Store) -> Result<Self, ServerError> {
        let app = self.alone()?;
        let bundles = app.bundles.remembered_in(store)?;
        Ok(Self { app: Arc::new(App { bundles, ..app }) })
    }

    /// Activates a bundle of this machine, as `PUT /admin/bundle` does. Blocks.
    ///
    /// # Errors
    /// One sentence for the operator; the old bundle then stays.
    pub fn activate(&self, path: &Path) -> Result<Generation, String> {
        let next = Next::Path(path.to_owned());
        self.app.activate(&next).map_err(|error| error.message)
    }

    /// Opens a bundle of this machine as [`Server::activate`] does, and activates nothing.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn open(&self, path: &Path) -> Result<Bundle, String> {
        self.app.bundles.open(path)
    }

    /// Activates a bundle that was [opened](Server::open) before; a failure to open it is counted, and told in the history, as
    /// that of an activation. Blocks.
    ///
    /// # Errors
    /// As [`Server::activate`].
    pub fn activate_opened(&self, opened: Result<Bundle, String>) -> Result<Generation, String> {
        let next = Next::Opened(opened.map(Box::new));
        self.app.activate(&next).map_err(|error| error.message)
    }

    /// The digest of what an administrator or [`Server::activate`] activated last from this path, until it is
    /// [forgotten](Server::forget_activated_from): what was rolled back since is not to be activated again.
    #[must_use]
    pub fn activated_from(&self, path: &Path) -> Option<String> {
        self.app.bundles.activated_from(path)
    }

    /// Forgets what was activated from this path.
    pub fn forget_activated_from(&self, path: &Path) {
        self.app.bundles.forget_activated_from(path);
    }

    /// The digest of the bundle that decides.
    #[must_use]
    pub fn active_digest(&self) -> String {
        self.app.engine.generation().bundle.digest
    }

    /// Remembers in the store, if there is one, what a watched bundle is ([`Remembered::watched`]).
    ///
    /// # Errors
    /// [`ServerError::Store`].
    ///
    /// [`Remembered::watched`]: crate::Remembered::watched
    pub fn remember_watched(&self, digest: &str) -> Result<(), ServerError> {
        Ok(self.app.bundles.remember_watched(digest)?)
    }

    /// Writes into the store what this server begins with, if it has one; [`Server::run`] does so as well. A server that could
    /// not begin has changed nothing there.
    ///
    /// # Errors
    /// [`ServerError::Store`].
    pub fn begin(&self) -> Result<(), ServerError> {
        Ok(self.app.bundles.begin()?)
    }

    /// What clients see.
    pub fn router(&self) -> Router {
        let v1 = Router::new()
            .route("/v1/chat/completions", post(openai::chat))
            .route("/v1/completions", post(openai::completions))
            .route("/v1/models", get(openai::models))
            .route("/v1/models/{*model}", get(openai::model))
            // The last one is the first that a request passes.
            .route_layer(with(Arc::clone(&self.app), entrance::whole_body))
            .route_layer(with(Arc::clone(&self.app), entrance::client));
        // Tenants are not told of one another.
        let told = if self.app.settings.tenants.is_empty() { v1.route("/metrics", get(metrics)) } else { v1 };
        // Whatever is refused on the way has arrived.
        self.finished(told).layer(with(Arc::clone(&self.app), arrival::arrive))
    }

    /// What administrators see.
    pub fn admin_router(&self) -> Router {
        self.finished(admin::routes(&self.app).route("/metrics", get(metrics)))
    }

    fn finished(&self, routes: Router<Arc<App>>) -> Router {
        routes
            .route("/health", get(async || "ok\n"))
            .route("/ready", get(ready))
            .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "unknown_url", "there is no such path here"))
            .method_not_allowed_fallback(other_method)
            .layer(DefaultBodyLimit::max(self.app.settings.max_body))
            .with_state(Arc::clone(&self.app))
    }

    /// Serves clients, and administrators on the second listener, until `stop` ends; then running requests get
    /// `stop_seconds` to finish.
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
        let mut doors = vec![(clients, self.router())];
        doors.extend(admin.map(|listener| (listener, self.admin_router())));
        connections::serve(doors, &self.app.settings, stop).await?;
        Ok(())
    }
}

impl App {
    /// Puts a bundle in place. What was on trial beside the old one ends: it would go on deciding by what was replaced.
    pub(crate) fn activate(&self, next: &Next) -> Result<Generation, ApiError> {
        let generation = self.bundles.activate(next)?;
        self.trials.end();
        Ok(generation)
    }

    /// Puts back what was active before; trials end as well.
    pub(crate) fn roll_back(&self) -> Result<Generation, ApiError> {
        let generation = self.bundles.roll_back()?;
        self.trials.end();
        Ok(generation)
    }

    /// Whether requests are answered at all.
    pub(crate) fn is_open(&self) -> Result<(), ApiError> {
        let denied = |reason| {
            let message = format!("the operator denies all requests: {reason}");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "denied", message)
        };
        self.bundles.denied().map_or(Ok(()), |reason| Err(denied(reason)))
    }

    /// A place for each of so many choices of a client.
    pub(crate) fn places(&self, client: &Arc<Client>, choices: u32) -> Result<Vec<Place>, ApiError> {
        let crowd = self.crowd.enter(choices)?;
        let admitted = client.admit(choices)?;
        Ok(crowd.into_iter().zip(admitted).map(|(_crowd, _client)| Place { _crowd, _client }).collect())
    }

    /// Writes the record of an answer, where records are kept.
    pub(crate) fn keep(&self, output: &Output) -> Result<(), ApiError> {
        let Some(journal) = &self.records else { return Ok(()) };
        journal.append(output).map(drop).map_err(|error| {
            tracing::error!(%error, "a record could not be written");
            self.readiness.failed();
            let message = "the record of this answer could not be written; the server's log says why";
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "record_error", message)
        })
    }
}

/// Whether an answer could be given now: it is allowed, the models work, and there is room for its record.
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, ApiError> {
    app.is_open()?;
    let unavailable = |code, message| Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message));
    if let Some(name) = app.engine.broken() {
        let message = format!("the model {name} panicked in an earlier call; start the server anew");
        return unavailable("model_broken", message);
    }
    match Readiness::of_records(&app).await {
        true => Ok("ready\n"),
        false => unavailable("record_error", "records cannot be written; the server's log says why".to_owned()),
    }
}

/// What a browser asks before its page may call another site (CORS) is answered like this as well: no page may.
async fn other_method(method: Method) -> ApiError {
    let message = match method {
        Method::OPTIONS => {
            "pages of browsers may not call this server (no CORS); put a gateway in front that lets them"
        }
        _ => "this path takes another method",
    };
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

async fn metrics(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let (format, lost) = (Format::asked(&headers), app.lost_spans.load(Ordering::Relaxed));
    let page = app.metrics.page(format, &app.engine, app.crowd.waiting(), lost);
    ([(CONTENT_TYPE, format.media_type())], page).into_response()
}
