//! `bundle init` and `bundle pack`.

use crate::{
    flags::{Named, one_of},
    output,
};
use clap::Args;
use inferenceguard_catalog::Starter;
use inferenceguard_workshop::bundle;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// The folder to write
    dir: PathBuf,
    /// The bundle's name; the folder's if not given
    #[arg(long)]
    name: Option<String>,
    /// What it guards against; only `score` reads score models
    #[arg(long, default_value = "score", value_parser = one_of(TEMPLATES))]
    template: Starter,
    /// The weights of a probe, for --template latent; `train cost` makes them
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PackArguments {
    /// The bundle's folder
    bundle: PathBuf,
    /// The file to write; NAME-VERSION.tar if not given
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What a first bundle guards against.
const TEMPLATES: &[Named<Starter>] = &[
    ("words", "Words and phrases of a list", Starter::Words),
    ("privacy", "E-mail addresses, numbers of phones, cards and accounts", Starter::Privacy),
    ("secrets", "Access keys and other secrets", Starter::Secrets),
    ("score", "What score models dislike: --score, or the demonstration's", Starter::Score),
    ("latent", "What a probe on latents dislikes; needs --network", Starter::Latent),
];

/// Writes a first bundle.
pub(super) fn init(arguments: &InitArguments) -> anyhow::Result<()> {
    let InitArguments { dir, name, template, network } = arguments;
    bundle::init(dir, name.as_deref(), *template, network.as_deref())?;
    output::result(format_args!(
        "{}: edit bundle.toml, then try it\n  inferguard bundle check --bundle {0}",
        dir.display()
    ))
}

/// Writes a bundle into one file.
pub(super) fn pack(arguments: &PackArguments) -> anyhow::Result<()> {
    let (out, packed) = bundle::pack(&arguments.bundle, arguments.out.as_deref())?;
    output::result(format_args!("{}  {}", out.display(), packed.digest()))
}
