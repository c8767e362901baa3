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
    /// What it guards against, and by what
    #[arg(long, default_value = "score", value_parser = one_of(TEMPLATES))]
    template: Starter,
    /// The weights of a probe, for --template latent
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
    ("words", "Words and phrases of a list; no score model", Starter::Words),
    ("privacy", "E-mail addresses, numbers of phones, cards and accounts; no score model", Starter::Privacy),
    ("secrets", "Access keys and other secrets; no score model", Starter::Secrets),
    (
        "score",
        "What the score model `cost` dislikes, with answers ranked by `reward`; needs --score, or the demonstration's",
        Starter::Score,
    ),
    ("latent", "What a probe on the model's latents dislikes; needs --network", Starter::Latent),
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
