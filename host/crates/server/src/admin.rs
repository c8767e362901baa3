//! What administrators see and do.

use crate::{
    app::App,
    deploy::{Attempt, BundleSource},
    error::ApiError,
    middleware, settings,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    middleware::from_fn_with_state as with,
    response::Html,
    routing::{get, post, put},
};
use inferenceguard_host::Generation;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, thread};
use tokio::sync::oneshot;

const PAGE: &str = include_str!("status.html");

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let acts = Router::new()
        .route("/admin/status", get(status))
        .route("/admin/swaps", get(swaps))
        .route("/admin/bundle", put(activate))
        .route("/admin/rollback", post(roll_back))
        .route("/admin/canary", put(begin_canary).delete(end_canary))
        .route("/admin/canary/promote", post(promote))
        .route("/admin/shadow", put(begin_shadow).delete(end_shadow))
        .route("/admin/denial", put(deny).delete(allow))
        // A request passes the last layer first.
        .route_layer(with(Arc::clone(app), middleware::read_body))
        .route_layer(with(Arc::clone(app), middleware::authenticate_administrator));
    // The page itself says nothing: it asks for the rest.
    let page = Router::new().route("/admin/", get(async || Html(PAGE)));
    acts.merge(page).route_layer(with(Arc::clone(app), middleware::same_origin))
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

/// `GET /admin/status`: what runs now. No text of anybody.
async fn status(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    // A model that is at work is waited for.
    off_path(app, |app| Ok(app.status())).await.map(Json)
}

/// `GET /admin/swaps`: activations and failed attempts, the newest first.
async fn swaps(State(app): State<Arc<App>>) -> Json<Vec<Attempt>> {
    Json(app.deployer.history.list())
}

/// `PUT /admin/bundle` with `{"path": DIR}` or `{"manifest": TOML}`. Answered when every request that begins is decided
/// by the new bundle.
async fn activate(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Generation>, ApiError> {
    let source: BundleSource = parse(&body, "{\"path\": …} or {\"manifest\": …}")?;
    off_path(app, move |app| Ok(app.deployer.activate(&source)?)).await.map(Json)
}

/// `POST /admin/rollback`: what was active before is active again.
async fn roll_back(State(app): State<Arc<App>>) -> Result<Json<Generation>, ApiError> {
    off_path(app, |app| Ok(app.deployer.roll_back()?)).await.map(Json)
}

/// `PUT /admin/canary`: a bundle decides for a share of the requests, and goes when it does worse.
async fn begin_canary(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Generation>, ApiError> {
    let (source, share) = trial(&body)?;
    off_path(app, move |app| Ok(app.deployer.start_canary(&source, share)?)).await.map(Json)
}

/// `POST /admin/canary/promote`: the canary becomes the active bundle.
async fn promote(State(app): State<Arc<App>>) -> Result<Json<Generation>, ApiError> {
    off_path(app, |app| Ok(app.deployer.promote_canary()?)).await.map(Json)
}

async fn end_canary(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    app.deployer.end_canary()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /admin/shadow`: a bundle looks at a share of the answers, after they have gone out.
async fn begin_shadow(State(app): State<Arc<App>>, body: Bytes) -> Result<Json<Generation>, ApiError> {
    let (source, share) = trial(&body)?;
    off_path(app, move |app| Ok(app.deployer.start_shadow(&source, share)?)).await.map(Json)
}

async fn end_shadow(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    app.deployer.end_shadow()?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /admin/denial` with `{"reason": …}`: nothing is answered any more, and what is under way is cut off. Both at once;
/// the answer comes when it is remembered.
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

/// `DELETE /admin/denial`: requests are answered again.
async fn allow(State(app): State<Arc<App>>) -> Result<StatusCode, ApiError> {
    off_path(app, |app| Ok(app.deployer.save_denial(None)?)).await.map(|()| StatusCode::NO_CONTENT)
}

impl App {
    fn status(&self) -> Value {
        let held = self.engine.held();
        json!({
            "model": self.model, "models": self.engine.models(), "since": self.since, "generation": self.engine.generation(),
            "methods": self.engine.methods(), "running": self.engine.live(), "waiting": self.admission.capacity.waiting(),
            "held": {"beams": held.beams, "scored": held.scored}, "requests": self.admission.live.list(),
            "canary": self.deployer.canary_report(), "shadow": self.deployer.shadow_report(), "denied": self.deployer.denial.reason(),
        })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad("bundle", format!("expected {expected}: {error}")))
}

/// The bundle and the share of a body for a canary or a shadow.
fn trial(body: &[u8]) -> Result<(BundleSource, f64), ApiError> {
    const EXPECTED: &str = "{\"path\": … or \"manifest\": …, \"share\": …}";
    let trial: TrialBody = parse(body, EXPECTED)?;
    settings::share("share", trial.share).map_err(|error| ApiError::bad("share", error.to_string()))?;
    let source = match (trial.path, trial.manifest) {
        (Some(path), None) => BundleSource::Path(path),
        (None, Some(manifest)) => BundleSource::Manifest(manifest),
        _ => return Err(ApiError::bad("bundle", format!("expected {EXPECTED}: one of `path` and `manifest`"))),
    };
    Ok((source, trial.share))
}

/// Does what compiles, writes or waits beside the threads that serve, and beside those where requests wait for their turn.
async fn off_path<T: Send + 'static>(
    app: Arc<App>,
    work: impl FnOnce(&App) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let lost = |message: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", message);
    let (sender, done) = oneshot::channel();
    let thread = thread::Builder::new().name("administration".into());
    let started = thread.spawn(move || {
        let done = work(&app);
        // Whoever reads the answer may stop the server, and begin another on what it remembers.
        drop(app);
        drop(sender.send(done));
    });
    started.map_err(|error| lost(format!("no thread could be started: {error}")))?;
    done.await.map_err(|_| lost("what was asked for panicked".into()))?
}
