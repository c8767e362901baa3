//! The routes for clients and administrators.

use crate::{
    admin,
    app::{App, Server},
    arrival,
    config::ServerError,
    connections,
    error::ApiError,
    exposition::Format,
    judge::{self, Face},
    middleware, openai,
    readiness::Readiness,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    middleware::from_fn_with_state as with,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use inferenceguard_gateways::litellm;
use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
};
use tokio::net::TcpListener;

type Route = MethodRouter<Arc<App>>;

/// What a person reads who opens the clients' address in a browser. It names no model and no tenant, because it needs no key.
const ABOUT: &str = "InferenceGuard speaks OpenAI's API: POST /v1/chat/completions and /v1/completions.\n\
    GET /v1/models names the model, and /ready says whether requests are taken.\n\
    The status page is at the administrators' address, if they are served.\n";

impl Server {
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
            .route_layer(with(Arc::clone(self.app()), middleware::read_body))
            .route_layer(with(Arc::clone(self.app()), middleware::authenticate_client));
        let v1 = v1.merge(self.litellm());
        // Metrics would show tenants to one another.
        let routes = if self.app().settings.tenants.is_empty() { v1.route("/metrics", get(metrics)) } else { v1 };
        // Outermost, so that refused requests are counted and traced as well.
        self.with_health(routes).layer(with(Arc::clone(self.app()), arrival::arrive))
    }

    /// The routes with this path, if its gateway is served.
    fn with_face(&self, routes: Router<Arc<App>>, face: Face, path: &str, route: Route) -> Router<Arc<App>> {
        if self.app().faces.contains(&face) { routes.route(path, route) } else { routes }
    }

    /// LiteLLM's route, whose key may come in a header of its own.
    fn litellm(&self) -> Router<Arc<App>> {
        let routes = Router::new();
        if !self.app().faces.contains(&Face::Litellm) {
            return routes;
        }
        routes
            .route(litellm::PATH, post(judge::litellm))
            .route_layer(with(Arc::clone(self.app()), middleware::read_body))
            .route_layer(with(Arc::clone(self.app()), middleware::authenticate_gateway))
    }

    /// The routes for administrators.
    pub fn admin_router(&self) -> Router {
        self.with_health(admin::routes(self.app()).route("/metrics", get(metrics)))
    }

    fn with_health(&self, routes: Router<Arc<App>>) -> Router {
        routes
            .route("/health", get(async || "ok\n"))
            .route("/ready", get(ready))
            .fallback(async || ApiError::new(StatusCode::NOT_FOUND, "unknown_url", "there is no such path here"))
            .method_not_allowed_fallback(other_method)
            .layer(DefaultBodyLimit::max(self.app().settings.max_body))
            .with_state(Arc::clone(self.app()))
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
        // Not one of the routes for clients: a program that takes those may have a page of its own there.
        let about = get(async || ABOUT).fallback(other_method);
        let mut listeners = vec![(clients, self.router().route("/", about))];
        listeners.extend(admin.map(|listener| (listener, self.admin_router())));
        connections::serve(listeners, &self.app().settings, &self.app().metrics, stop).await?;
        Ok(())
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
