//! Why a bundle is refused.

use crate::{date, network::NetworkError};
use semver::Version;
use std::path::PathBuf;

/// Everything that can be wrong with a bundle before its components are compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file or folder could not be read.
    #[error("{}: {source}; expected a readable {expected}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What was expected there.
        expected: &'static str,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The manifest is no TOML, or has a key or type it should not have.
    #[error("{file}, line {line}, key `{key}`: {problem}")]
    Manifest {
        /// The file.
        file: String,
        /// The line, from 1; 0 for the whole file.
        line: usize,
        /// The key on that line.
        key: String,
        /// What was found and what was expected, in the reader's words.
        problem: String,
    },
    /// A value is out of range, or does not fit another key.
    #[error("{file}, key `{key}`: found {found}; expected {expected}")]
    Value {
        /// The file.
        file: String,
        /// The key, with the tables around it.
        key: String,
        /// What was found.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// A file is named that the bundle may not reach.
    #[error(
        "{file}, key `{key}`: found the path `{}`; expected the relative path of a file inside the bundle, with one `/` between folders, without `.`, `..` and control characters, and not through a link that leads out",
        found.escape_debug()
    )]
    Path {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The path.
        found: String,
    },
    /// A file is named that is not there.
    #[error("{file}, key `{key}`: the bundle has no file `{found}`; put it into the bundle or correct the path")]
    Missing {
        /// The file.
        file: String,
        /// The key.
        key: String,
        /// The path.
        found: String,
    },
    /// A file is larger than allowed.
    #[error("{}: {found} bytes; at most {limit} are allowed: {remedy}", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its size in bytes.
        found: u64,
        /// The most allowed.
        limit: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// A packed bundle is not what it should be.
    #[error("the packed bundle: found that {found}; expected {expected}")]
    Archive {
        /// What was found.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A folder's manifest is named in place of the folder.
    #[error("{}: found the manifest of a bundle; expected its folder, `{}`", path.display(), folder.display())]
    ManifestNamed {
        /// The manifest.
        path: PathBuf,
        /// The folder that it lies in.
        folder: PathBuf,
    },
    /// A network's file cannot be used.
    #[error("{file}, `[networks.{network}]`: {source}")]
    Network {
        /// The file.
        file: String,
        /// The network.
        network: String,
        /// What is wrong with it.
        #[source]
        source: NetworkError,
    },
}

/// Why a bundle is not trusted, or could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The version is not semantic, so it cannot be compared.
    #[error("the bundle's version is `{found}`: {source}; expected one such as 1.2.0")]
    Version {
        /// What was found.
        found: String,
        /// What is wrong with it.
        #[source]
        source: semver::Error,
    },
    /// A key cannot be read or used.
    #[error("the key cannot be used: {0}")]
    Key(String),
    /// The file that says what is trusted cannot be read.
    #[error("what is trusted cannot be read: {0}")]
    Trust(String),
    /// No signature, where one is required.
    #[error("the bundle `{name}` is not signed; sign it with a key that is trusted here")]
    Unsigned {
        /// The bundle.
        name: String,
    },
    /// Signed by a key that is not trusted.
    #[error("the bundle is signed with the key {key}, which is none of the {known} that are trusted here")]
    UnknownKey {
        /// The key's id.
        key: String,
        /// How many keys are trusted.
        known: usize,
    },
    /// Signed by a revoked key.
    #[error("the bundle is signed with the key {key}, which was revoked; sign it again with another one")]
    Revoked {
        /// The key's id.
        key: String,
    },
    /// Not signed by the key it names.
    #[error("the bundle's signature is forged or damaged: the key {key} did not sign this statement")]
    Forged {
        /// The key's id.
        key: String,
    },
    /// Not a signature.
    #[error("the bundle's signature cannot be read: {0}")]
    Broken(String),
    /// Signed, but another bundle.
    #[error("the signature of `{name}` is about other content: {what} differs; expected exactly what was signed")]
    Differs {
        /// The bundle.
        name: String,
        /// The first difference.
        what: String,
    },
    /// Signed too long ago.
    #[error("the signature of `{name}` expired at {} (now {}); sign it again", date(*at), date(*now))]
    Expired {
        /// The bundle.
        name: String,
        /// When, in seconds since 1970.
        at: u64,
        /// The time of the check, in seconds since 1970.
        now: u64,
    },
    /// Older than allowed.
    #[error("the bundle `{name}` has version {found}; nothing older than {minimum} is taken here")]
    TooOld {
        /// The bundle.
        name: String,
        /// Its version.
        found: Version,
        /// The oldest allowed.
        minimum: Version,
    },
}
