//! `bundle inspect`, `check` and `pin`: what a bundle is, whether it runs with a model, and for which models it is.

use crate::{flags::GuardArguments, output};
use clap::Args;
use inferenceguard_bundle::MANIFEST;
use inferenceguard_catalog::{
    build,
    bundles::{self, Fallback},
    pinned,
};
use inferenceguard_console::{
    bundle::{self, describe, statement},
    roles,
};
use inferenceguard_host::{Engine, OWN_METHOD, Output, Request};
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

/// Tokens of the trial: enough for a decision or two.
const TRIAL: u32 = 48;

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    guard: GuardArguments,
    /// The prompt of the trial
    #[arg(long, default_value = "How do I clean a kitchen knife?")]
    prompt: String,
}

/// Loads the bundle, runs it once, and shows what its components see and may do.
pub(super) fn check(arguments: &CheckArguments) -> anyhow::Result<()> {
    let (builder, opened) = arguments.guard.choice().builder(&[OWN_METHOD.to_owned()], &[])?;
    let engine = build(builder)?;
    let trial = trial(&engine, &arguments.prompt)?;
    let seen = roles::words(&engine.roles(OWN_METHOD)?);
    let limits = roles::bounds(&opened.manifest().limits);
    let models = bundle::models(opened.manifest(), engine.models());
    let (described, outcome) = (bundle::describe(&opened), roles::outcome(&trial));
    output::result(format_args!("{described}\n\n{models}\n\n{seen}\n{limits}\n\n{outcome}"))
}

fn trial(engine: &Engine, prompt: &str) -> anyhow::Result<Output> {
    let request = Request { max_tokens: Some(TRIAL), ..Request::new(prompt) };
    Ok(engine.generate(request)?)
}

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
