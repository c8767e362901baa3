//! `bundle inspect`.

use crate::output;
use clap::Args;
use inferenceguard_catalog::bundles::{self, Fallback};
use inferenceguard_console::bundle::{describe, statement};
use serde_json::json;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// The bundle's folder or file; the demonstration's if not given
    bundle: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Shows a bundle.
pub(super) fn inspect(arguments: &InspectArguments) -> anyhow::Result<()> {
    let bundle = bundles::open(arguments.bundle.as_deref(), Fallback::Plain)?;
    if arguments.json {
        let digests: BTreeMap<&String, String> = bundle.digests().iter().map(|(k, v)| (k, v.to_string())).collect();
        return output::json(&json!({
            "digest": bundle.digest().to_string(), "files": digests, "manifest": bundle.manifest(),
            "signed": statement(&bundle),
        }));
    }
    output::result(describe(&bundle))
}
