//! The administrators' routes.

use crate::{
    app::App,
    deploy::{Attempt, BundleSource},
    error::ApiError,
    middleware, settings_check,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    middleware::from_fn_with_state as with,
    response::{Html, Redirect},
    routing::{get, post, put},
};
use inferenceguard_host::{
    Generation,
    model::{Drain, ReplicaReport, ReplicaState},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, thread};
use tokio::sync::oneshot;

const PAGE: &str = include_str!("status.html");

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let api = Router::new()
        .route("/admin/status", get(status))
        .route("/admin/swaps", get(swaps))
        .route("/admin/bundle", put(activate))
        .route("/admin/rollback", post(roll_back))
        .route("/admin/canary", put(start_canary).delete(end_canary))
        .route("/admin/canary/promote", post(promote))
        .route("/admin/shadow", put(start_shadow).delete(end_shadow))
        .route("/admin/denial", put(deny).delete(allow))
        .route("/admin/replica", put(drain))
        // A request passes the last layer first.
        .route_layer(with(Arc::clone(app), middleware::read_body))
        .route_layer(with(Arc::clone(app), middleware::authenticate_administrator));
    // The page holds no data: its script reads the status with the administrator's token.
    let page =
        Router::new().route("/admin/", get(async || Html(PAGE))).route("/", get(async || Redirect::to("/admin/")));
    api.merge(page).route_layer(with(Arc::clone(app), middleware::same_origin))
}

/// The body for a canary or a shadow: a [`BundleSource`], and the share of the requests that it takes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrialBody {
    path: Option<PathBuf>,
    manifest: Option<String>,
    share: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DenialBody {
    reason: String,
}

/// The body that names a replica, by its URL as the status shows it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplicaBody {
    url: String,
    drained: bool,
}

/// `GET /admin/status`: what runs now, without prompts and answers.
async fn status(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    // This waits for models that are busy.
    off_path(app, |app| Ok(app.status())).await.map(Json)
}

/// `GET /admin/swaps`: the history, the newest attempt first.
async fn swaps(State(app): State<Arc<App>>) -> Json<Vec<Attempt>> {
    Json(app.deployer.history.list())
}

/// `PUT /admin/bundle` with `{"path": DIR}` or `{"manifest": TOML}`. When this answers, the new bundle decides every request that
/// begins.
async fn activate(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Generation>, ApiError> {
    let source: BundleSource = parse(&body, "{\"path\": …} or {\"manifest\": …}")?;
    off_path(app, move |app| Ok(app.deployer.activate(&source)?)).await.map(Json)
}

/// `POST /admin/rollback`: activates the bundle before the active one.
async fn roll_back(State(app): State<Arc<App>>) -> Result<Json<Generation>, ApiError> {
    off_path(app, |app| Ok(app.deployer.roll_back()?)).await.map(Json)
}

/// `PUT /admin/canary`: a bundle decides for a share of the requests, and is rolled back if it does worse.
async fn start_canary(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Generation>, ApiError> {
    let (source, share) = trial(&body)?;
    off_path(app, move |app| Ok(app.deployer.start_canary(&source, share)?)).await.map(Json)
}

/// `POST /admin/canary/promote`: makes the canary the active bundle.
async fn promote(State(app): State<Arc<App>>) -> Result<Json<Generation>, ApiError> {
    off_path(app, |app| Ok(app.deployer.promote_canary()?)).await.map(Json)
}

async fn end_canary(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    app.deployer.end_canary()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /admin/shadow`: a bundle judges a share of the answers after they have gone out.
async fn start_shadow(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Generation>, ApiError> {
    let (source, share) = trial(&body)?;
    off_path(app, move |app| Ok(app.deployer.start_shadow(&source, share)?)).await.map(Json)
}

async fn end_shadow(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    app.deployer.end_shadow()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /admin/denial` with `{"reason": …}`: denies all requests and cancels the running ones, at once. This answers when the
/// denial is saved.
async fn deny(State(app): State<Arc<App>>, body: Bytes) -> Result<StatusCode, ApiError> {
    let DenialBody { reason } = parse(&body, "{\"reason\": …}")?;
    app.deployer.deny(&reason);
    app.admission.live.cancel_all();
    let save = |app: &App| {
        let saved = app.deployer.save_denial(Some(reason));
        // Another administrator may have ended the denial before this saved it, and requests may have begun.
        app.admission.live.cancel_all();
        Ok(saved?)
    };
    off_path(app, save).await.map(|()| StatusCode::NO_CONTENT)
}

/// `DELETE /admin/denial`: allows requests again.
async fn allow(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    off_path(app, |app| Ok(app.deployer.save_denial(None)?)).await.map(|()| StatusCode::NO_CONTENT)
}

/// `PUT /admin/replica` with `{"url": …, "drained": true}`: the replica gets no new calls. Those that it computes end there: it can be
/// stopped once the status shows no rows of it. With `false` it is used again.
async fn drain(State(app): State<Arc<App>>, body: Bytes) -> Result<StatusCode, ApiError> {
    let ReplicaBody { url, drained } = read(&body, "url", "{\"url\": …, \"drained\": true or false}")?;
    match app.engine.drain(url.trim_end_matches('/'), drained) {
        Drain::Done => {
            let done = if drained { "a replica is taken out" } else { "a replica is used again" };
            tracing::warn!(url, "{done}");
            Ok(StatusCode::NO_CONTENT)
        }
        Drain::Unknown => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "unknown_replica",
            "there is no replica of this URL; GET /admin/status lists them",
        )),
        Drain::Last => Err(ApiError::new(
            StatusCode::CONFLICT,
            "last_replica",
            "no other replica of this model can answer; use another one again first, or deny all requests (PUT /admin/denial)",
        )),
    }
}

/// A replica, for administrators.
fn replica(one: &ReplicaReport) -> Value {
    let why = if let ReplicaState::Down(why) = &one.state { Some(why) } else { None };
    json!({
        "role": one.role.name(), "model": one.model, "replica": one.number, "url": one.url, "state": one.state.name(), "why": why,
        "drained": one.drained, "calls": one.calls, "failures": one.failures, "rows": one.rows,
    })
}

impl App {
    fn status(&self) -> Value {
        let (held, replicas) = (self.engine.live_beams(), self.engine.replicas());
        json!({
            "model": self.model, "models": self.engine.models(), "since": self.since, "generation": self.engine.generation(),
            "methods": self.engine.methods(), "running": self.engine.live(), "waiting": self.admission.capacity.waiting(),
            "held": {"beams": held.beams, "scored": held.scored}, "requests": self.admission.live.list(),
            "replicas": replicas.iter().map(replica).collect::<Vec<_>>(),
            "canary": self.deployer.canary_report(), "shadow": self.deployer.shadow_report(), "denied": self.deployer.denial.reason(),
            "totals": self.metrics.totals(),
        })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, ApiError> {
    read(body, "bundle", expected)
}

fn read<T: DeserializeOwned>(body: &[u8], param: &str, expected: &str) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad(param, format!("expected {expected}: {error}")))
}

/// The bundle and the share of a body for a canary or a shadow.
fn trial(body: &[u8]) -> Result<(BundleSource, f64), ApiError> {
    const EXPECTED: &str = "{\"path\": … or \"manifest\": …, \"share\": …}";
    let trial: TrialBody = parse(body, EXPECTED)?;
    settings_check::share("share", trial.share).map_err(|error| ApiError::bad("share", error.to_string()))?;
    let source = match (trial.path, trial.manifest) {
        (Some(path), None) => BundleSource::Path(path),
        (None, Some(manifest)) => BundleSource::Manifest(manifest),
        _ => return Err(ApiError::bad("bundle", format!("expected {EXPECTED}: one of `path` and `manifest`"))),
    };
    Ok((source, trial.share))
}

/// Runs work that compiles, writes or waits on a thread of its own: not on a thread that serves, nor on one where requests wait.
async fn off_path<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&App) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let failed = |message: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", message);
    let (sender, result) = oneshot::channel();
    let thread = thread::Builder::new().name("administration".into());
    let started = thread.spawn(move || {
        let result = work(&app);
        // Before the answer: its reader may stop this server and start another one with the same store.
        drop(app);
        drop(sender.send(result));
    });
    started.map_err(|error| failed(format!("no thread could be started: {error}")))?;
    result.await.map_err(|_| failed("the request panicked".into()))?
}
