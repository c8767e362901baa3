//! How far the model of an engine may be from its probe.

use crate::ProbeError;
use serde::{Deserialize, Serialize};

/// How far a model may be from its probe. Log-probabilities are compared as they are, scores as shares of their spread over the
/// probe, and each latent by its distance as a share of its length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// The largest difference at one token.
    pub each: f32,
    /// The largest mean of all differences.
    pub mean: f32,
}

impl Tolerance {
    /// The tolerance of a number format against f32.
    ///
    /// # Errors
    /// [`ProbeError::Precision`].
    pub fn of(precision: &str) -> Result<Self, ProbeError> {
        match precision {
            "f32" => Ok(Self { each: 1e-4, mean: 2e-5 }),
            "f16" | "bf16" => Ok(Self { each: 0.2, mean: 0.05 }),
            "q8_0" => Ok(Self { each: 0.3, mean: 0.07 }),
            "q4" | "q4_0" | "q4_1" => Ok(Self { each: 1.0, mean: 0.25 }),
            found => Err(ProbeError::Precision { found: found.to_owned() }),
        }
    }

    /// Which difference is too large, if one is: values that were found, each with the probe's.
    #[must_use]
    pub fn exceeded(self, pairs: &[(f32, f32)]) -> Option<String> {
        let differences = || pairs.iter().map(|(found, expected)| (found - expected).abs());
        if pairs.is_empty() {
            return Some("nothing could be compared".to_owned());
        }
        // A difference that is not a number counts as too large.
        if let Some(at) =
            differences().position(|one| !matches!(one.partial_cmp(&self.each), Some(order) if order.is_le()))
        {
            let (found, expected) = pairs[at];
            return Some(format!(
                "at compared token {at} the difference is {} ({found} and {expected}), and at most {} is accepted",
                (found - expected).abs(),
                self.each
            ));
        }
        let mean = differences().sum::<f32>() / pairs.len() as f32;
        (mean > self.mean).then(|| format!("the mean difference is {mean}, and at most {} is accepted", self.mean))
    }
}
