//! What a signer vouches for: the signed statement about a bundle, and its signature.

use crate::{Bundle, Digest, SignatureError};
use minisign::{KeyPair, PublicKey, PublicKeyBox, SecretKey, SecretKeyBox};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, io::Cursor};

/// A statement about a bundle. Its text, a TOML file, is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The version of this format.
    pub format: u32,
    /// The bundle's name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its digest.
    pub bundle: String,
    /// Seconds since 1970 when it was signed.
    pub signed_at: u64,
    /// Seconds since 1970 after which it is not to be activated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The digest of every file.
    pub files: BTreeMap<String, String>,
}

impl Statement {
    /// The version of the format that is written.
    pub const FORMAT: u32 = 1;

    /// About this bundle. Times in seconds since 1970.
    ///
    /// # Errors
    /// [`SignatureError::Version`].
    pub fn of(bundle: &Bundle, signed_at: u64, expires_at: Option<u64>) -> Result<Self, SignatureError> {
        let manifest = bundle.manifest();
        let text = |digest: &Digest| digest.to_string();
        Ok(Self {
            format: Self::FORMAT,
            name: manifest.name.clone(),
            version: version(&manifest.version)?,
            bundle: bundle.digest().to_string(),
            signed_at,
            expires_at,
            files: bundle.digests().iter().map(|(name, digest)| (name.clone(), text(digest))).collect(),
        })
    }
}

pub(crate) fn version(text: &str) -> Result<Version, SignatureError> {
    Version::parse(text).map_err(|source| SignatureError::Version { found: text.to_owned(), source })
}

/// A signed statement, as two files that [minisign](https://jedisct1.github.io/minisign/) understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The text of [`Signature::STATEMENT`].
    pub statement: String,
    /// The text of [`Signature::FILE`].
    pub signature: String,
}

impl Signature {
    /// The name of the file that is signed: `minisign -Vm bundle.signed.toml -p key.pub`.
    pub const STATEMENT: &'static str = "bundle.signed.toml";
    /// The name of the signature's file.
    pub const FILE: &'static str = "bundle.signed.toml.minisig";

    /// Both files, by name.
    pub fn files(&self) -> [(&'static str, &str); 2] {
        [(Self::STATEMENT, &self.statement), (Self::FILE, &self.signature)]
    }
}

/// The secret half of a signing key.
pub struct SigningKey(SecretKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&id(self.0.keynum())).finish()
    }
}

impl SigningKey {
    /// Reads the text of a minisign key file.
    ///
    /// # Errors
    /// [`SignatureError::Key`]: no key, or another password.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, SignatureError> {
        let failed = |error: minisign::PError| SignatureError::Key(error.to_string());
        let boxed = SecretKeyBox::from_string(text).map_err(failed)?;
        let key = match password {
            Some(password) => boxed.into_secret_key(Some(password.to_owned())),
            None => boxed.into_unencrypted_secret_key(),
        };
        key.map(Self).map_err(failed)
    }

    /// Its public half.
    ///
    /// # Errors
    /// [`SignatureError::Key`] if the key is damaged.
    pub fn public(&self) -> Result<VerifyingKey, SignatureError> {
        let key = PublicKey::from_secret_key(&self.0);
        key.map(VerifyingKey).map_err(|error| SignatureError::Key(error.to_string()))
    }

    /// Signs a statement.
    ///
    /// # Errors
    /// [`SignatureError::Key`] if the system gives no random numbers.
    pub fn sign(&self, statement: &Statement) -> Result<Signature, SignatureError> {
        let text = toml::to_string(statement).map_err(|error| SignatureError::Key(error.to_string()))?;
        let trusted = format!("{} {}", statement.name, statement.version);
        let signature = self.sign_text(&text, &trusted)?;
        Ok(Signature { statement: text, signature })
    }

    /// Signs any text; `comment` is signed with it. Gives the text of a minisign signature file.
    ///
    /// # Errors
    /// [`SignatureError::Key`] if the system gives no random numbers.
    pub fn sign_text(&self, text: &str, comment: &str) -> Result<String, SignatureError> {
        let signed = minisign::sign(None, &self.0, text.as_bytes(), Some(comment), Some("InferenceGuard"));
        Ok(signed.map_err(|error| SignatureError::Key(error.to_string()))?.into_string())
    }
}

/// The texts of a new key's two files.
#[derive(Clone)]
pub struct NewKey {
    /// To give to everybody who checks.
    pub public: String,
    /// To keep.
    pub secret: String,
}

impl NewKey {
    /// Makes a key; with a password its secret half is encrypted, which takes seconds.
    ///
    /// # Errors
    /// [`SignatureError::Key`] if the system gives no random numbers.
    pub fn generate(password: Option<&str>) -> Result<Self, SignatureError> {
        let failed = |error: minisign::PError| SignatureError::Key(error.to_string());
        let pair = match password {
            Some(password) => KeyPair::generate_encrypted_keypair(Some(password.to_owned())),
            None => KeyPair::generate_unencrypted_keypair(),
        };
        let pair = pair.map_err(failed)?;
        let (public, secret) = (pair.pk.to_box().map_err(failed)?, pair.sk.to_box(None).map_err(failed)?);
        Ok(Self { public: public.into_string(), secret: secret.into_string() })
    }
}

/// The public half of a signing key.
#[derive(Debug, Clone)]
pub struct VerifyingKey(PublicKey);

impl VerifyingKey {
    /// Reads the one line of base64 of a key, or the whole text of its file.
    ///
    /// # Errors
    /// [`SignatureError::Key`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let failed = |error: minisign::PError| SignatureError::Key(error.to_string());
        let text = text.trim();
        let key = match text.contains('\n') {
            true => PublicKeyBox::from_string(text).and_then(PublicKeyBox::into_public_key),
            false => PublicKey::from_base64(text),
        };
        key.map(Self).map_err(failed)
    }

    pub(crate) fn id(&self) -> String {
        id(self.0.keynum())
    }

    /// Whether `signature`, the text of a minisign signature file, is this key's under `text`.
    #[must_use]
    pub fn vouches_for(&self, text: &str, signature: &str) -> bool {
        minisign::SignatureBox::from_string(signature).is_ok_and(|signature| self.verifies(text, &signature))
    }

    pub(crate) fn verifies(&self, statement: &str, signature: &minisign::SignatureBox) -> bool {
        minisign::verify(&self.0, signature, Cursor::new(statement), true, false, false).is_ok()
    }
}

/// As minisign shows it.
pub(crate) fn id(number: &[u8]) -> String {
    number.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}
