//! Digests, and numbers that spread sessions over replicas.

use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};

/// A digest as records write it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// The weight of a replica for a session: the same in every process.
pub(crate) fn weight(session: &str, replica: &str) -> u64 {
    let digest = Sha256::digest(format!("{session}\n{replica}"));
    digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// A number that no other process has.
pub(crate) fn unique() -> u64 {
    RandomState::new().hash_one(0)
}
