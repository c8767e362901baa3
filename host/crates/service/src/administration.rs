//! What administrators ask of a running server: another bundle, or the one before.

use serde_json::{Value, json};
use std::{
    env, io,
    path::{Path, PathBuf, absolute},
};
use ureq::{Agent, Body, RequestBuilder, http::Response};

/// The variable with the administrators' token.
const TOKEN: &str = "INFERGUARD_ADMIN_TOKEN";

/// A running server that did not do what was asked. Each variant says what was found and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdministrationError {
    /// A bundle that is not on this machine, by a path that the server cannot know.
    #[error("{}: not here; give the whole path on the server's machine", bundle.display())]
    NotHere {
        /// The bundle.
        bundle: PathBuf,
    },
    /// A path cannot be made whole.
    #[error(transparent)]
    Path(#[from] io::Error),
    /// Nobody answers.
    #[error(
        "{url}: no server answers there; start one with `inferguard serve`, or name its administrators' address with --server"
    )]
    NoAnswer {
        /// Where.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// An answer breaks off.
    #[error("{url}")]
    Unread {
        /// Where.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// The token is missing or wrong.
    #[error("{url}: it needs the administrators' token; set the variable INFERGUARD_ADMIN_TOKEN")]
    Token {
        /// Where.
        url: String,
    },
    /// The server refuses.
    #[error("{url}: {message}")]
    Refused {
        /// Where.
        url: String,
        /// Its words.
        message: String,
    },
}

/// For which share of the requests a bundle is activated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// It decides all requests.
    Whole,
    /// As a canary, it decides this share of the requests.
    Canary(f64),
    /// As a shadow, it judges this share of the answers.
    Shadow(f64),
}

/// What the server installed, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The generation.
    pub number: String,
    /// The bundle's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its digest.
    pub digest: String,
}

/// Activates a bundle in the server whose administrators' address is `server`.
///
/// # Errors
/// [`AdministrationError`].
pub fn activate(server: &str, bundle: &Path, share: Share) -> Result<Installed, AdministrationError> {
    // The server may have another working folder.
    let path = if bundle.exists() { absolute(bundle)? } else { bundle.to_owned() };
    if !path.is_absolute() {
        return Err(AdministrationError::NotHere { bundle: bundle.to_owned() });
    }
    let (route, body) = match share {
        Share::Whole => ("bundle", json!({"path": path})),
        Share::Canary(share) => ("canary", json!({"path": path, "share": share})),
        Share::Shadow(share) => ("shadow", json!({"path": path, "share": share})),
    };
    let url = url(server, route);
    installed(&url, authorized(agent().put(&url)).send(body.to_string()))
}

/// Activates the bundle that was active before.
///
/// # Errors
/// [`AdministrationError`].
pub fn roll_back(server: &str) -> Result<Installed, AdministrationError> {
    let url = url(server, "rollback");
    installed(&url, authorized(agent().post(&url)).send_empty())
}

fn url(server: &str, route: &str) -> String {
    format!("{}/admin/{route}", server.trim_end_matches('/'))
}

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).build().into()
}

fn authorized<B>(request: RequestBuilder<B>) -> RequestBuilder<B> {
    match env::var(TOKEN) {
        Ok(token) => request.header("authorization", format!("Bearer {token}")),
        Err(_) => request,
    }
}

/// Reads the server's answer.
fn installed(url: &str, answer: Result<Response<Body>, ureq::Error>) -> Result<Installed, AdministrationError> {
    let url = url.to_owned();
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Err(AdministrationError::NoAnswer { url, source: Box::new(error) }),
    };
    let text = match answer.body_mut().read_to_string() {
        Ok(text) => text,
        Err(error) => return Err(AdministrationError::Unread { url, source: Box::new(error) }),
    };
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    if answer.status() == 401 {
        return Err(AdministrationError::Token { url });
    }
    if !answer.status().is_success() {
        let message = value["error"]["message"].as_str().unwrap_or(&text).to_owned();
        return Err(AdministrationError::Refused { url, message });
    }
    let bundle = |key: &str| value["bundle"][key].as_str().unwrap_or_default().to_owned();
    let (number, name, version, digest) =
        (value["number"].to_string(), bundle("name"), bundle("version"), bundle("digest"));
    Ok(Installed { number, name, version, digest })
}
