//! Keys in files: the secret half that signs bundles and records, the public half that checks signatures.

use crate::CatalogError;
use inferenceguard_bundle::{NewKey, SigningKey, VerifyingKey};
use std::{
    env,
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// The variable with the password of encrypted keys.
pub const PASSWORD: &str = "INFERGUARD_KEY_PASSWORD";

/// Makes a key and writes both halves: the secret one to `path`, for its owner only, the public one beside it. Returns the public
/// half's file and its line.
///
/// # Errors
/// [`CatalogError::NoPassword`] if the key is to be encrypted and the variable [`PASSWORD`] is not set;
/// [`CatalogError::KeyExists`]; [`CatalogError::KeyWrite`]; [`CatalogError::NewKey`].
pub fn new_key(path: &Path, encrypt: bool) -> Result<(PathBuf, String), CatalogError> {
    let password = env::var(PASSWORD).ok().filter(|_| encrypt);
    if encrypt && password.is_none() {
        return Err(CatalogError::NoPassword);
    }
    let public = public_path(path);
    if let Some(there) = [path, &public].into_iter().find(|path| path.exists()) {
        return Err(CatalogError::KeyExists { path: there.to_owned() });
    }
    let key = NewKey::generate(password.as_deref()).map_err(|source| CatalogError::NewKey(Box::new(source)))?;
    write_new(path, &key.secret, true)?;
    write_new(&public, &key.public, false)?;
    Ok((public, key.public.lines().nth(1).unwrap_or_default().to_owned()))
}

fn public_path(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Writes a new file; a secret one may be read by its owner only.
fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), CatalogError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if secret { 0o600 } else { 0o666 });
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| CatalogError::KeyWrite { path: path.to_owned(), source })
}

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
