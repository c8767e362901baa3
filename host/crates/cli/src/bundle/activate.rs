//! `bundle activate` and `bundle rollback`: requests to a running server.

use crate::output;
use anyhow::{Context, bail, ensure};
use clap::Args;
use inferenceguard_console::escape;
use serde_json::{Value, json};
use std::{
    env,
    path::{PathBuf, absolute},
};
use ureq::{Agent, Body, http::Response};

/// The administrators' token.
const TOKEN: &str = "INFERGUARD_ADMIN_TOKEN";

/// A running server.
#[derive(Debug, Args)]
pub(crate) struct ServerArguments {
    /// The administrators' address of the server. Its token, if it has one, is read from INFERGUARD_ADMIN_TOKEN
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081")]
    server: String,
}

#[derive(Debug, Args)]
pub(crate) struct ActivateArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// The bundle's folder or file, as the server's machine names it
    bundle: PathBuf,
    /// As a canary: for this share of the requests only
    #[arg(long, value_name = "SHARE", conflicts_with = "shadow")]
    canary: Option<f64>,
    /// As a shadow: judges this share of the answers, and changes none
    #[arg(long, value_name = "SHARE")]
    shadow: Option<f64>,
}

/// Activates a bundle, or starts it as a canary or shadow.
pub(super) fn activate(arguments: &ActivateArguments) -> anyhow::Result<()> {
    // The server may have another working folder.
    let given = &arguments.bundle;
    let path = if given.exists() { absolute(given)? } else { given.clone() };
    ensure!(path.is_absolute(), "{}: not here; give the whole path on the server's machine", given.display());
    let (route, role, body) = match (arguments.canary, arguments.shadow) {
        (Some(share), _) => ("canary", "canary, ", json!({"path": path, "share": share})),
        (None, Some(share)) => ("shadow", "shadow, ", json!({"path": path, "share": share})),
        (None, None) => ("bundle", "", json!({"path": path})),
    };
    let url = url(&arguments.server, route);
    show(&url, role, authorized(agent().put(&url)).send(body.to_string()))
}

/// Activates the bundle that was active before.
pub(super) fn roll_back(arguments: &ServerArguments) -> anyhow::Result<()> {
    let url = url(arguments, "rollback");
    show(&url, "", authorized(agent().post(&url)).send_empty())
}

fn url(server: &ServerArguments, route: &str) -> String {
    format!("{}/admin/{route}", server.server.trim_end_matches('/'))
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

fn authorized<B>(request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
    match env::var(TOKEN) {
        Ok(token) => request.header("authorization", format!("Bearer {token}")),
        Err(_) => request,
    }
}

/// Shows the server's answer; `role` is `canary` or `shadow` for a bundle that is not the active one.
fn show(url: &str, role: &str, answer: Result<Response<Body>, ureq::Error>) -> anyhow::Result<()> {
    let mut answer = answer.with_context(|| format!("{url}: no server answers there"))?;
    let text = answer.body_mut().read_to_string().with_context(|| url.to_owned())?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    ensure!(answer.status() != 401, "{url}: it needs the administrators' token; set the variable {TOKEN}");
    if !answer.status().is_success() {
        bail!("{url}: {}", value["error"]["message"].as_str().unwrap_or(&text));
    }
    let (number, bundle) = (&value["number"], &value["bundle"]);
    let part = |key: &str| escape::line(bundle[key].as_str().unwrap_or_default()).into_owned();
    output::result(format_args!("{role}generation {number}: {} {}  {}", part("name"), part("version"), part("digest")))
}
