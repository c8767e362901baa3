//! Keys in files: the secret half that signs bundles and records, the public half that checks signatures.

use anyhow::Context;
use inferenceguard_bundle::{SigningKey, VerifyingKey};
use std::{env, fs, path::Path};

/// The variable with the password of encrypted keys.
pub(crate) const PASSWORD: &str = "INFERGUARD_KEY_PASSWORD";

/// The secret half of a key.
pub(crate) fn signing_key(path: &Path) -> anyhow::Result<SigningKey> {
    let key = SigningKey::parse(&read(path)?, env::var(PASSWORD).ok().as_deref());
    key.with_context(|| format!("{} (password: {PASSWORD})", path.display()))
}

/// The public half of a key.
pub(crate) fn verifying_key(path: &Path) -> anyhow::Result<VerifyingKey> {
    VerifyingKey::parse(&read(path)?).with_context(|| path.display().to_string())
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}
