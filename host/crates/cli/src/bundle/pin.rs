//! `bundle pin`: writes into a bundle which models it was made for.

use crate::{flags::GuardArguments, output};
use clap::Args;
use inferenceguard_bundle::MANIFEST;
use inferenceguard_catalog::pinned;
use inferenceguard_console::bundle;

#[derive(Debug, Args)]
pub(crate) struct PinArguments {
    #[command(flatten)]
    guard: GuardArguments,
}

/// Loads the bundle with the models, and writes their digests into its manifest.
pub(super) fn pin(arguments: &PinArguments) -> anyhow::Result<()> {
    let pinned = pinned(&arguments.guard.choice())?;
    if let Some(path) = &arguments.guard.bundle {
        match path.is_file() {
            true => output::file(path, &pinned.bundle.pack()?)?,
            false => output::file(&path.join(MANIFEST), pinned.bundle.text().as_bytes())?,
        }
        output::result(path.display())?;
    }
    let signed = if pinned.was_signed { "\nits signature is of the manifest as it was: sign it again" } else { "" };
    output::result(format_args!("{}{signed}", bundle::models(pinned.bundle.manifest(), &pinned.models)))
}
