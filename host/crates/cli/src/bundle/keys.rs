//! `bundle keygen`, `sign` and `verify`.

use super::make;
use crate::output;
use anyhow::{Context, bail};
use clap::Args;
use inferenceguard_bundle::{Statement, Trust, date, seconds_since_1970};
use inferenceguard_catalog::{
    bundles::{self, Fallback},
    keys::{new_key, signing_key},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

const DAY: u64 = 24 * 60 * 60;

#[derive(Debug, Args)]
pub(crate) struct KeygenArguments {
    /// The file of the secret key; the public one is written beside it, with .pub at its end
    key: PathBuf,
    /// Encrypts the secret key with the password in the variable INFERGUARD_KEY_PASSWORD
    #[arg(long)]
    encrypt: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SignArguments {
    /// The bundle's folder, or its file
    bundle: PathBuf,
    /// The secret key, as `bundle keygen` or minisign wrote it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Days after which the bundle can no longer be activated
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..))]
    expires_in: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// The bundle's folder, or its file
    bundle: PathBuf,
    /// The public key that must have signed it
    #[arg(long, value_name = "FILE", required_unless_present = "trust", conflicts_with = "trust")]
    key: Option<PathBuf>,
    /// A file of trusted keys, as a server reads it
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// Makes a key.
pub(super) fn generate(arguments: &KeygenArguments) -> anyhow::Result<()> {
    let (public, line) = new_key(&arguments.key, arguments.encrypt)?;
    output::result(format_args!(
        "{}  keep it secret\n{}  give it to those who check: {line}",
        arguments.key.display(),
        public.display()
    ))
}

/// Signs a bundle: two files beside its manifest, or in its archive.
pub(super) fn sign(arguments: &SignArguments) -> anyhow::Result<()> {
    let path = &arguments.bundle;
    let bundle = bundles::open(Some(path), Fallback::Plain)?;
    let key = signing_key(&arguments.key)?;
    let now = seconds_since_1970();
    let expires = arguments.expires_in.map(|days| now.saturating_add(days.saturating_mul(DAY)));
    let signature = key.sign(&Statement::of(&bundle, now, expires)?)?;
    if path.is_file() {
        output::file(path, &bundle.clone().with_signature(Some(signature)).pack()?)?;
    } else {
        // The folder must hold what was signed, also components that the program lent it.
        make::write(path, &bundle)?.iter().for_each(|file| output::note(format_args!("written: {}", file.display())));
        for (name, text) in signature.files() {
            output::file(&path.join(name), text.as_bytes())?;
        }
    }
    output::result(format_args!("{}  {}", path.display(), bundle.digest()))
}

/// Checks a signature as a server would.
pub(super) fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let bundle = bundles::open(Some(&arguments.bundle), Fallback::Plain)?;
    let trust = match (&arguments.trust, &arguments.key) {
        (Some(path), _) => Trust::parse(&read(path)?).with_context(|| path.display().to_string())?,
        (None, Some(path)) => {
            let keys = [(path.display().to_string(), read(path)?)].into();
            Trust { require_signature: true, keys, ..Trust::default() }
        }
        (None, None) => bail!("name a key with --key FILE, or what is trusted with --trust FILE"),
    };
    let manifest = bundle.manifest();
    let signer = trust.check(&bundle, seconds_since_1970()).with_context(|| arguments.bundle.display().to_string())?;
    let by = signer.map_or_else(
        || "not signed, and no signature is required".to_owned(),
        |signer| {
            let until = signer.expires_at.map(|at| format!(", until {}", date(at))).unwrap_or_default();
            format!("signed by {} ({}) at {}{until}", signer.name, signer.key, date(signer.signed_at))
        },
    );
    output::result(format_args!("{} {}  {}\n{by}", manifest.name, manifest.version, bundle.digest()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
