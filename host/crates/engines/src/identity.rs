//! How records name a model that runs elsewhere: digests, and numbers that spread sessions over replicas.

use crate::Remote;
use inferenceguard_model::ModelParts;
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, RandomState};

/// Fills in the parts that only the engine knows, and gives the fingerprint of all of them. The probe stands for the weights; a
/// model without one is named by where it runs.
pub(crate) fn identify(parts: &mut ModelParts, name: &str, remote: &Remote, engine: &str, places: &str) -> String {
    let (weights, base) = match &remote.probe {
        Some(probe) => (format!("probe {}", probe.digest()), probe.base.clone()),
        None => (format!("not checked: {name} at {places}"), String::new()),
    };
    (parts.weights, parts.base, parts.full) = (weights, base, String::new());
    parts.precision.clone_from(&remote.precision);
    parts.device = format!("{engine} at {places}");
    let lines = ModelParts::COVERED.map(|name| format!("{name} {}\n", parts.get(name).unwrap_or_default()));
    digest(lines.concat().as_bytes())
}

/// What another batch can do to a sum of costs, by number format.
pub(crate) fn rounding(precision: &str) -> f64 {
    match precision {
        "f32" => 1e-3,
        "f16" => 1e-2,
        _ => 3e-2,
    }
}

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
