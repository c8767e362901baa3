//! What administrators see and do.

use crate::{
    app::App,
    bundles::{Next, Swap},
    error::ApiError,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Html,
    routing::{get, put},
};
use inferenceguard_host::Generation;
use serde_json::{Value, json};
use std::sync::Arc;

const PAGE: &str = include_str!("status.html");

pub(crate) fn routes(_app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/admin/", get(async || Html(PAGE)))
        .route("/admin/status", get(status))
        .route("/admin/swaps", get(swaps))
        .route("/admin/bundle", put(activate))
}

/// `GET /admin/status`: what runs now. No text of anybody.
async fn status(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    app.clients.administrator(&headers)?;
    let held = app.engine.held();
    Ok(Json(json!({
        "model": app.model, "since": app.since, "generation": app.engine.generation(),
        "methods": app.engine.methods(), "running": app.engine.live(), "waiting": app.engine.waiting(),
        "held": {"beams": held.beams, "scored": held.scored}, "requests": app.live.list(),
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
    let bad = |error| ApiError::bad("bundle", format!("expected {{\"path\": …}} or {{\"manifest\": …}}: {error}"));
    let next: Next = serde_json::from_slice(&body).map_err(bad)?;
    let work = tokio::task::spawn_blocking(move || app.bundles.activate(&next, &app.metrics));
    let lost = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "engine_error", "the activation panicked");
    work.await.map_err(lost)?.map(Json)
}
