//! `bundle activate` and `bundle rollback`: what a running server is told.

use super::args::{ActivateArguments, ServerArguments};
use crate::{output, terminal};
use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::{env, path::absolute};
use ureq::{Agent, Body, http::Response};

/// The administrators' token.
const TOKEN: &str = "INFERGUARD_ADMIN_TOKEN";

/// Puts a bundle in place, or on trial.
pub(super) fn activate(arguments: &ActivateArguments) -> anyhow::Result<()> {
    // The server may have another working folder.
    let given = &arguments.bundle;
    let path = if given.exists() { absolute(given)? } else { given.clone() };
    ensure!(path.is_absolute(), "{}: not here; give the whole path on the server's machine", given.display());
    let (door, role, body) = match (arguments.canary, arguments.shadow) {
        (Some(share), _) => ("canary", "canary, ", json!({"path": path, "share": share})),
        (None, Some(share)) => ("shadow", "shadow, ", json!({"path": path, "share": share})),
        (None, None) => ("bundle", "", json!({"path": path})),
    };
    let url = url(&arguments.server, door);
    told(&url, role, authorized(agent().put(&url)).send(body.to_string()))
}

/// Puts back what was active before.
pub(super) fn roll_back(arguments: &ServerArguments) -> anyhow::Result<()> {
    let url = url(arguments, "rollback");
    told(&url, "", authorized(agent().post(&url)).send_empty())
}

fn url(server: &ServerArguments, door: &str) -> String {
    format!("{}/admin/{door}", server.server.trim_end_matches('/'))
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

/// Shows what the server says; `role` is what the bundle is there, if it is not the active one.
fn told(url: &str, role: &str, answer: Result<Response<Body>, ureq::Error>) -> anyhow::Result<()> {
    let mut answer = answer.with_context(|| format!("{url}: no server answers there"))?;
    let text = answer.body_mut().read_to_string().with_context(|| url.to_owned())?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    if !answer.status().is_success() {
        bail!("{url}: {}", value["error"]["message"].as_str().unwrap_or(&text));
    }
    let (number, bundle) = (&value["number"], &value["bundle"]);
    let part = |key: &str| terminal::line(bundle[key].as_str().unwrap_or_default()).into_owned();
    output::result(format_args!("{role}generation {number}: {} {}  {}", part("name"), part("version"), part("digest")))
}
