//! Digests of files and bundles.

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, fmt};

/// A SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of named digests, in the order of the names. Lengths are written first, so that no two maps look the
    /// same.
    #[must_use]
    pub(crate) fn of_all(digests: &BTreeMap<String, Self>) -> Self {
        let mut hasher = Sha256::new();
        for (name, digest) in digests {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            hasher.update(digest.0);
        }
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
