//! `bundle activate` and `bundle rollback`: requests to a running server.

use crate::output;
use clap::Args;
use inferenceguard_console::escape;
use inferenceguard_service::administration::{self, Installed, Share};
use std::path::PathBuf;

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
    let (share, role) = match (arguments.canary, arguments.shadow) {
        (Some(share), _) => (Share::Canary(share), "canary, "),
        (None, Some(share)) => (Share::Shadow(share), "shadow, "),
        (None, None) => (Share::Whole, ""),
    };
    show(role, &administration::activate(&arguments.server.server, &arguments.bundle, share)?)
}

/// Activates the bundle that was active before.
pub(super) fn roll_back(arguments: &ServerArguments) -> anyhow::Result<()> {
    show("", &administration::roll_back(&arguments.server)?)
}

/// `role` says canary or shadow of a bundle that is not the active one.
fn show(role: &str, installed: &Installed) -> anyhow::Result<()> {
    let Installed { number, name, version, digest } = installed;
    let [name, version, digest] = [name, version, digest].map(|text| escape::line(text));
    output::result(format_args!("{role}generation {number}: {name} {version}  {digest}"))
}
