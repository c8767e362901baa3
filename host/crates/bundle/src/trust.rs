//! Which bundles an operator trusts.

use crate::{
    Bundle, Signature, SignatureError, Statement,
    signature::{VerifyingKey, id, version},
};
use minisign::SignatureBox;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What must be true of a bundle before it is activated. TOML; every key may be left out.
///
/// ```toml
/// require_signature = true
/// revoked = ["1F2E3D4C5B6A7988"]       # ids of keys that are not trusted any more
///
/// [keys]
/// alice = "RWQ…"                        # the second line of a minisign public key
///
/// [minimum_versions]
/// household = "1.2.0"                   # by the bundle's name: nothing older
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// Whether unsigned bundles are refused.
    pub require_signature: bool,
    /// Public keys, by a name for people.
    pub keys: BTreeMap<String, String>,
    /// Ids of revoked keys. They are not trusted, even where [`Trust::keys`] names them.
    pub revoked: Vec<String>,
    /// The oldest version of each bundle, by the bundle's name.
    pub minimum_versions: BTreeMap<String, Version>,
}

/// Who signed a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    /// The name that [`Trust::keys`] gives the key.
    pub name: String,
    /// The key's id.
    pub key: String,
    /// Seconds since 1970 when it was signed.
    pub signed_at: u64,
    /// Seconds since 1970 after which it is not to be activated.
    pub expires_at: Option<u64>,
}

impl Trust {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`SignatureError::Trust`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let trust: Self = toml::from_str(text).map_err(|error| SignatureError::Trust(error.to_string()))?;
        for (name, key) in &trust.keys {
            VerifyingKey::parse(key).map_err(|error| SignatureError::Trust(format!("the key `{name}`: {error}")))?;
        }
        let is_id = |id: &&String| id.len() == 16 && id.chars().all(|c| c.is_ascii_hexdigit());
        match trust.revoked.iter().find(|id| !is_id(id)) {
            Some(found) => Err(SignatureError::Trust(format!(
                "`revoked`: found `{found}`; expected the 16 hexadecimal digits that `bundle verify` shows of a key"
            ))),
            None => Ok(trust),
        }
    }

    /// Checks a bundle, `now` in seconds since 1970: its signature if it has one, and its version. Gives who signed.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn check(&self, bundle: &Bundle, now: u64) -> Result<Option<Signer>, SignatureError> {
        self.check_version(bundle)?;
        match bundle.signature() {
            Some(signature) => self.check_signature(bundle, signature, now).map(Some),
            None if self.require_signature => Err(SignatureError::Unsigned { name: bundle.manifest().name.clone() }),
            None => Ok(None),
        }
    }

    fn check_version(&self, bundle: &Bundle) -> Result<(), SignatureError> {
        let manifest = bundle.manifest();
        let Some(minimum) = self.minimum_versions.get(&manifest.name) else { return Ok(()) };
        let found = version(&manifest.version)?;
        if found >= *minimum {
            return Ok(());
        }
        Err(SignatureError::TooOld { name: manifest.name.clone(), found, minimum: minimum.clone() })
    }

    fn check_signature(&self, bundle: &Bundle, signature: &Signature, now: u64) -> Result<Signer, SignatureError> {
        let broken = |error: minisign::PError| SignatureError::Broken(error.to_string());
        let boxed = SignatureBox::from_string(&signature.signature).map_err(broken)?;
        let (name, key) = self.key(&id(boxed.keynum()))?;
        if !key.verifies(&signature.statement, &boxed) {
            return Err(SignatureError::Forged { key: key.id() });
        }
        let statement = toml::from_str(&signature.statement);
        let statement: Statement = statement.map_err(|error| SignatureError::Broken(error.to_string()))?;
        statement.is_of(bundle)?;
        if let Some(at) = statement.expires_at.filter(|at| now > *at) {
            return Err(SignatureError::Expired { name: statement.name, at, now });
        }
        let Statement { signed_at, expires_at, .. } = statement;
        Ok(Signer { name: name.to_owned(), key: key.id(), signed_at, expires_at })
    }

    fn key(&self, wanted: &str) -> Result<(&str, VerifyingKey), SignatureError> {
        if self.revoked.iter().any(|id| id.eq_ignore_ascii_case(wanted)) {
            return Err(SignatureError::Revoked { key: wanted.to_owned() });
        }
        for (name, text) in &self.keys {
            let key = VerifyingKey::parse(text)?;
            if key.id() == wanted {
                return Ok((name, key));
            }
        }
        Err(SignatureError::UnknownKey { key: wanted.to_owned(), known: self.keys.len() })
    }
}

impl Statement {
    /// Whether the statement is about this bundle, byte for byte.
    fn is_of(&self, bundle: &Bundle) -> Result<(), SignatureError> {
        let manifest = bundle.manifest();
        let found = Self::of(bundle, self.signed_at, self.expires_at)?;
        if found.files == self.files && found == *self {
            return Ok(());
        }
        let differs = |(name, digest): &(&String, &String)| self.files.get(*name) != Some(*digest);
        let file = found.files.iter().find(differs).map(|(name, _)| name.clone());
        let gone = || self.files.keys().find(|name| !found.files.contains_key(*name)).cloned();
        let what = file.or_else(gone).map_or_else(|| "its name or version".to_owned(), |file| format!("`{file}`"));
        Err(SignatureError::Differs { name: manifest.name.clone(), what })
    }
}
