//! Activates a bundle anew: on SIGHUP, and when its files change.

use crate::output;
use inferenceguard_server::Server;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tokio::{task::spawn_blocking, time::sleep};

/// How often files are looked at; a change is taken when it is that old.
const INTERVAL: Duration = Duration::from_secs(1);

/// Path, time of the last change, and size of every file.
pub(crate) type Looks = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// From now on, activates the bundle on SIGHUP; nothing where there is no such thing.
pub(crate) fn on_hangup(server: &Server, bundle: &Path) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        let (server, bundle) = (server.clone(), bundle.to_owned());
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                activate(&server, &bundle).await;
            }
        });
    }
    Ok(())
}

/// From now on, activates the bundle when its files have changed since they looked like `active`, and rest.
pub(crate) fn on_change(server: &Server, bundle: &Path, mut active: Looks) {
    let (server, bundle) = (server.clone(), bundle.to_owned());
    tokio::spawn(async move {
        let mut before = active.clone();
        loop {
            sleep(INTERVAL).await;
            // A file that goes while it is looked at is in the middle of a change.
            let now = looks(&bundle).unwrap_or_default();
            if now == before && now != active {
                activate(&server, &bundle).await;
                active.clone_from(&now);
            }
            before = now;
        }
    });
}

async fn activate(server: &Server, bundle: &Path) {
    let (server, path) = (server.clone(), bundle.to_owned());
    match spawn_blocking(move || server.activate(&path)).await {
        Ok(Ok(generation)) => {
            let (number, bundle) = (generation.number, generation.bundle);
            output::note(format_args!("activated       generation {number}: {} {}", bundle.name, bundle.version));
        }
        Ok(Err(error)) => output::note(format_args!("error: {error}")),
        Err(_) => output::note("error: the activation panicked; the old bundle stays"),
    }
}

/// How the files of a bundle look now.
pub(crate) fn looks(path: &Path) -> io::Result<Looks> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        return Ok(vec![(path.to_owned(), metadata.modified().ok(), metadata.len())]);
    }
    let mut all = Vec::new();
    for entry in fs::read_dir(path)? {
        all.extend(looks(&entry?.path())?);
    }
    all.sort();
    Ok(all)
}
