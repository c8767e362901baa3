//! `bundle init` and `bundle pack`.

use crate::{
    flags::{Named, one_of},
    output,
};
use anyhow::{Context, ensure};
use clap::Args;
use inferenceguard_bundle::{Bundle, MANIFEST};
use inferenceguard_catalog::{
    Starter,
    bundles::{self, Fallback},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

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
        "What the score model `cost` dislikes, with answers ranked by `reward`: the demonstration's",
        Starter::Score,
    ),
    ("latent", "What a probe on the model's latents dislikes; needs --network", Starter::Latent),
];

/// Writes a first bundle.
pub(super) fn init(arguments: &InitArguments) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    let empty = fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    ensure!(empty, "{}: not empty; name a new folder", dir.display());
    let own = || dir.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = arguments.name.clone().or_else(own).context("give the bundle a name: --name NAME")?;
    let probe = arguments.network.as_deref().map(|path| fs::read(path).with_context(|| path.display().to_string()));
    let (text, made) = arguments.template.bundle(&name, probe.transpose()?)?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    write(dir, &made)?;
    output::file(&dir.join(MANIFEST), text.as_bytes())?;
    output::result(format_args!(
        "{}: edit bundle.toml, then try it\n  inferguard bundle check --bundle {0}",
        dir.display()
    ))
}

/// Writes the files of a bundle that its folder does not hold: components that the program lent it. Gives their paths.
pub(super) fn write(dir: &Path, bundle: &Bundle) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (name, bytes) in bundle.files() {
        let path = dir.join(name);
        if !path.exists() {
            fs::create_dir_all(path.parent().unwrap_or(dir)).with_context(|| path.display().to_string())?;
            output::file(&path, bytes)?;
            written.push(path);
        }
    }
    Ok(written)
}

/// Writes a bundle into one file.
pub(super) fn pack(arguments: &PackArguments) -> anyhow::Result<()> {
    let bundle = bundles::open(Some(&arguments.bundle), Fallback::Plain)?;
    let manifest = bundle.manifest();
    let own = || format!("{}-{}.tar", manifest.name, manifest.version).into();
    let out = arguments.out.clone().unwrap_or_else(own);
    // The same bundle with another signature may be replaced.
    let same = || Bundle::open(&out).is_ok_and(|there| there.digest() == bundle.digest());
    ensure!(!out.exists() || same(), "{}: there is another bundle; name a file with --out", out.display());
    output::file(&out, &bundle.pack()?)?;
    output::result(format_args!("{}  {}", out.display(), bundle.digest()))
}
