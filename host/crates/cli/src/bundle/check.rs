//! `bundle check`: a bundle with a model, before it guards requests.

use crate::{flags::GuardArguments, output};
use clap::Args;
use inferenceguard_catalog::build;
use inferenceguard_console::{bundle, roles};
use inferenceguard_host::{Engine, OWN_METHOD, Output, Request};

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
