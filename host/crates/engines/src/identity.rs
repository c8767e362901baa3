//! How records name a model that runs elsewhere.

use crate::{Remote, hashes::digest};
use inferenceguard_model::ModelParts;

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
