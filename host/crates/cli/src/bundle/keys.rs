//! `bundle keygen`, `sign` and `verify`.

use crate::output;
use clap::Args;
use inferenceguard_catalog::keys::new_key;
use inferenceguard_workshop::bundle;
use std::path::PathBuf;

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
    let SignArguments { bundle: path, key, expires_in } = arguments;
    let digest = bundle::sign(path, key, *expires_in, |text| output::note(text))?;
    output::result(format_args!("{}  {digest}", path.display()))
}

/// Checks a signature as a server would.
pub(super) fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let trust = bundle::read_trust(arguments.trust.as_deref(), arguments.key.as_deref())?;
    output::result(bundle::verify(&arguments.bundle, &trust)?)
}
