//! Keys in files: the secret half that signs bundles and records, the public half that checks signatures.

use crate::CatalogError;
use inferenceguard_bundle::{SigningKey, VerifyingKey};
use std::{env, fs, path::Path};

/// The variable with the password of encrypted keys.
pub const PASSWORD: &str = "INFERGUARD_KEY_PASSWORD";

/// The secret half of a key.
///
/// # Errors
/// [`CatalogError::KeyFile`], [`CatalogError::SigningKey`].
pub fn signing_key(path: &Path) -> Result<SigningKey, CatalogError> {
    let key = SigningKey::parse(&read(path)?, env::var(PASSWORD).ok().as_deref());
    key.map_err(|source| CatalogError::SigningKey { path: path.to_owned(), source: Box::new(source) })
}

/// The public half of a key.
///
/// # Errors
/// [`CatalogError::KeyFile`], [`CatalogError::VerifyingKey`].
pub fn verifying_key(path: &Path) -> Result<VerifyingKey, CatalogError> {
    let wrong = |source| CatalogError::VerifyingKey { path: path.to_owned(), source: Box::new(source) };
    VerifyingKey::parse(&read(path)?).map_err(wrong)
}

fn read(path: &Path) -> Result<String, CatalogError> {
    fs::read_to_string(path).map_err(|source| CatalogError::KeyFile { path: path.to_owned(), source })
}
