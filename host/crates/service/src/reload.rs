//! Reads again on SIGHUP: the bundle with the tenants' layers, or the layers alone where no bundle is named.

use crate::signals::Signals;
use inferenceguard_catalog::Note;
use inferenceguard_host::Generation;
use inferenceguard_server::{DeployError, Server};
use std::path::Path;
use tokio::task::spawn_blocking;

/// From now on, activates the bundle on SIGHUP, with the tenants' layers; without a bundle, reads the layers again.
pub(crate) fn on_hangup(server: &Server, bundle: Option<&Path>, signals: &Signals, note: Note) {
    let (server, bundle) = (server.clone(), bundle.map(Path::to_owned));
    signals.on_hangup(move || {
        let (server, bundle) = (server.clone(), bundle.clone());
        async move {
            if spawn_blocking(move || reload(&server, bundle.as_deref(), note)).await.is_err() {
                note("error: the activation panicked; the old bundle stays");
            }
        }
    });
}

fn reload(server: &Server, bundle: Option<&Path>, note: Note) {
    match bundle {
        Some(path) => drop(show_bundle(server.activate(path), note)),
        None if server.has_layers() => show_layers(server.reload_layers(), note),
        None => note("SIGHUP          ignored: without --bundle and tenants' layers there is nothing to reload"),
    }
}

fn show_layers(done: Result<Generation, DeployError>, note: Note) {
    match done {
        Ok(Generation { number, .. }) => {
            note(&format!("reloaded        the tenants' layers, over generation {number}"))
        }
        Err(error) => {
            note(&format!("error: the tenants' layers were not reloaded; the old ones stay: {}", indented(&error)));
        }
    }
}

/// Shows the result of an activation, and returns whether it succeeded.
pub(crate) fn show_bundle(done: Result<Generation, DeployError>, note: Note) -> bool {
    match &done {
        Ok(Generation { number, bundle, .. }) => {
            note(&format!("activated       generation {number}: {} {}", bundle.name, bundle.version));
        }
        Err(error) => {
            note(&format!("error: the bundle was not activated; the old one stays: {}", indented(error)));
        }
    }
    done.is_ok()
}

/// Indented, so that no quoted line looks like a line of the server.
pub(crate) fn indented(error: &DeployError) -> String {
    error.to_string().trim_end().replace('\n', "\n    ")
}
