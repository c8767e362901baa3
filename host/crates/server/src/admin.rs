//! What administrators see and do.

use crate::{
    app::App,
    bundles::{Next, Swap},
    error::ApiError,
    settings,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Html,
    routing::{get, post, put},
};
use inferenceguard_host::Generation;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};

const PAGE: &str = include_str!("status.html");

pub(crate) fn routes(_app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/admin/", get(async || Html(PAGE)))
        .route("/admin/status", get(status))
        .route("/admin/swaps", get(swaps))
        .route("/admin/bundle", put(activate))
        .route("/admin/rollback", post(roll_back))
        .route("/admin/canary", put(begin_canary).delete(end_canary))
        .route("/admin/canary/promote", post(promote))
        .route("/admin/shadow", put(begin_shadow).delete(end_shadow))
        .route("/admin/denial", put(deny).delete(allow))
}

/// A bundle on trial: as [`Next`], and for which share of the requests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Try {
    path: Option<PathBuf>,
    manifest: Option<String>,
    share: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Denial {
    reason: String,
}

/// `GET /admin/status`: what runs now. No text of anybody.
async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    app.clients.administrator(&headers)?;
    let held = app.engine.held();
    Ok(Json(json!({
        "model": app.model, "since": app.since, "generation": app.engine.generation(),
        "methods": app.engine.methods(), "running": app.engine.live(), "waiting": app.engine.waiting(),
        "held": {"beams": held.beams, "scored": held.scored}, "requests": app.live.list(),
        "canary": app.trials.canary(), "shadow": app.trials.shadow(), "denied": app.bundles.denied(),
    })))
}

/// `GET /admin/swaps`: activations and failed attempts, the newest first.
async fn swaps(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Vec<Swap>>, ApiError> {
    app.clients.administrator(&headers)?;
    Ok(Json(app.bundles.history()))
}

/// `PUT /admin/bundle` with `{"path": DIR}` or `{"manifest": TOML}`. Answered when every request that begins is decided
/// by the new bundle.
async fn activate(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Json<Generation>, ApiError> {
    app.clients.administrator(&headers)?;
    let next: Next = parse(&body, "{\"path\": …} or {\"manifest\": …}")?;
    off_path(app, move |app| app.bundles.activate(&next, &app.metrics)).await
}

/// `POST /admin/rollback`: what was active before is active again.
async fn roll_back(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Generation>, ApiError> {
    app.clients.administrator(&headers)?;
    off_path(app, |app| app.bundles.roll_back(&app.metrics)).await
}

/// `PUT /admin/canary`: a bundle decides for a share of the requests, and goes when it does worse.
async fn begin_canary(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Generation>, ApiError> {
    app.clients.administrator(&headers)?;
    let (next, share) = tried(&body)?;
    off_path(app, move |app| app.trials.begin_canary(&next, share, &app.bundles, &app.metrics)).await
}

/// `POST /admin/canary/promote`: the canary becomes the active bundle.
async fn promote(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Generation>, ApiError> {
    app.clients.administrator(&headers)?;
    off_path(app, |app| app.trials.promote(&app.bundles, &app.metrics)).await
}

async fn end_canary(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    app.clients.administrator(&headers)?;
    app.trials.end_canary().map(|()| StatusCode::NO_CONTENT)
}

/// `PUT /admin/shadow`: a bundle looks at a share of the answers, after they have gone out.
async fn begin_shadow(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Generation>, ApiError> {
    app.clients.administrator(&headers)?;
    let (next, share) = tried(&body)?;
    off_path(app, move |app| app.trials.begin_shadow(&next, share, &app.bundles, &app.metrics)).await
}

async fn end_shadow(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    app.clients.administrator(&headers)?;
    app.trials.end_shadow().map(|()| StatusCode::NO_CONTENT)
}

/// `PUT /admin/denial` with `{"reason": …}`: nothing is answered any more, and what is under way is cut off.
async fn deny(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<StatusCode, ApiError> {
    app.clients.administrator(&headers)?;
    let denial: Denial = parse(&body, "{\"reason\": …}")?;
    let kept = app.bundles.deny(Some(denial.reason));
    app.live.cancel_all();
    kept.map(|()| StatusCode::NO_CONTENT)
}

/// `DELETE /admin/denial`: requests are answered again.
async fn allow(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    app.clients.administrator(&headers)?;
    app.bundles.deny(None).map(|()| StatusCode::NO_CONTENT)
}

fn parse<T: DeserializeOwned>(body: &[u8], expected: &str) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad("bundle", format!("expected {expected}: {error}")))
}

fn tried(body: &[u8]) -> Result<(Next, f64), ApiError> {
    const EXPECTED: &str = "{\"path\": … or \"manifest\": …, \"share\": …}";
    let tried: Try = parse(body, EXPECTED)?;
    settings::share("share", tried.share).map_err(|error| ApiError::bad("share", error.to_string()))?;
    let next = match (tried.path, tried.manifest) {
        (Some(path), None) => Next::Path(path),
        (None, Some(manifest)) => Next::Manifest(manifest),
        _ => return Err(ApiError::bad("bundle", format!("expected {EXPECTED}: one of `path` and `manifest`"))),
    };
    Ok((next, tried.share))
}

/// Does what compiles or writes beside the threads that serve.
async fn off_path(
    app: Arc<App>,
    work: impl FnOnce(&App) -> Result<Generation, ApiError> + Send + 'static,
) -> Result<Json<Generation>, ApiError> {
    let done = tokio::task::spawn_blocking(move || work(&app));
    let lost = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", "the activation panicked");
    done.await.map_err(lost)?.map(Json)
}
