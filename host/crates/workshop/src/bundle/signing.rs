//! Signatures of bundles: made, and checked as a server would.

use super::complete;
use crate::WorkshopError;
use inferenceguard_bundle::{Bundle, Digest, Signer, Statement, Trust, date, seconds_since_1970};
use inferenceguard_catalog::{
    Note,
    bundles::{self, Fallback},
    keys::signing_key,
    write_file,
};
use std::{fs, path::Path};

const DAY: u64 = 24 * 60 * 60;

/// Signs a bundle: two files beside its manifest, or in its archive. Days say for how long. Gives its digest.
///
/// # Errors
/// A bundle or key that cannot be opened, a file that cannot be written.
pub fn sign(path: &Path, key: &Path, days: Option<u64>, note: Note) -> Result<Digest, WorkshopError> {
    let bundle = bundles::open(Some(path), Fallback::Plain)?;
    let key = signing_key(key)?;
    let now = seconds_since_1970();
    let expires = days.map(|days| now.saturating_add(days.saturating_mul(DAY)));
    let signature = key.sign(&Statement::of(&bundle, now, expires)?)?;
    let digest = bundle.digest();
    if path.is_file() {
        write_file(path, &bundle.with_signature(Some(signature)).pack()?)?;
        return Ok(digest);
    }
    // The folder must hold what was signed, also the components that the program provides.
    complete(path, &bundle)?.iter().for_each(|file| note(&format!("written: {}", file.display())));
    for (name, text) in signature.files() {
        write_file(&path.join(name), text.as_bytes())?;
    }
    Ok(digest)
}

/// What is trusted: a file of trusted keys, or one public key that must have signed.
///
/// # Errors
/// [`WorkshopError::NoKey`] without either, a file that cannot be read.
pub fn read_trust(trust: Option<&Path>, key: Option<&Path>) -> Result<Trust, WorkshopError> {
    match (trust, key) {
        (Some(path), _) => Trust::parse(&read(path)?).map_err(WorkshopError::signature(path)),
        (None, Some(path)) => {
            let keys = [(path.display().to_string(), read(path)?)].into();
            Ok(Trust { require_signature: true, keys, ..Trust::default() })
        }
        (None, None) => Err(WorkshopError::NoKey),
    }
}

/// Checks a bundle's signature, age and version as a server would, and says in words who signed it.
///
/// # Errors
/// A bundle that cannot be opened or is not trusted.
pub fn verify(path: &Path, trust: &Trust) -> Result<String, WorkshopError> {
    let bundle = bundles::open(Some(path), Fallback::Plain)?;
    let signer = trust.check(&bundle, seconds_since_1970()).map_err(WorkshopError::signature(path))?;
    Ok(words(&bundle, signer.as_ref()))
}

fn words(bundle: &Bundle, signer: Option<&Signer>) -> String {
    let (manifest, digest) = (bundle.manifest(), bundle.digest());
    let by = signer.map_or_else(
        || "not signed, and no signature is required".to_owned(),
        |signer| {
            let until = signer.expires_at.map(|at| format!(", until {}", date(at))).unwrap_or_default();
            format!("signed by {} ({}) at {}{until}", signer.name, signer.key, date(signer.signed_at))
        },
    );
    format!("{} {}  {digest}\n{by}", manifest.name, manifest.version)
}

fn read(path: &Path) -> Result<String, WorkshopError> {
    fs::read_to_string(path).map_err(WorkshopError::file(path))
}
