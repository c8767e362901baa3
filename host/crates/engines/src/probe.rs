//! Is it the right model? Token sequences with the log-probabilities that the right model gives.
//!
//! No engine gives a digest of its weights. A probe stands in for it: the makers of a bundle or a critic keep a probe of their
//! model, and every replica must agree with it before it is used.

use crate::{Tolerance, identity::digest, measure::Measure};
use inferenceguard_model::Token;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Token sequences with log-probabilities, which the same model gives again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The name of the model that it was made of.
    pub model: String,
    /// The number format that it was made in.
    pub precision: String,
    /// The digest by which networks name the model ([`inferenceguard_model::ModelInfo::base`]); empty if it was made of an engine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// The tolerance, where the operator sets it; else that of the number formats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// Usually 4 to 8.
    pub sequences: Vec<Sequence>,
}

/// A sequence of a [`Probe`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Tokens whose log-probabilities are not compared.
    pub prompt: Vec<Token>,
    /// Tokens that follow.
    pub tokens: Vec<Token>,
    /// The log-probability of each of `tokens`; of a score model the score at each, of latents the latent at each.
    pub values: Vec<f32>,
}

/// A probe that cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// It is not a probe.
    #[error("this is no probe: {reason}; make one with `inferguard model probe`")]
    Malformed {
        /// What the reader met.
        reason: String,
    },
    /// A number format without a tolerance.
    #[error("precision `{found}` has no tolerance; write f32, f16, bf16, q8_0 or q4, or set `tolerance` in the probe")]
    Precision {
        /// The format.
        found: String,
    },
}

impl Probe {
    /// Reads a probe.
    ///
    /// # Errors
    /// [`ProbeError::Malformed`] if it is not JSON of this form, is empty, or holds a number that is not finite.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProbeError> {
        let malformed = |reason: String| ProbeError::Malformed { reason };
        let probe: Self = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if probe.sequences.is_empty() {
            return Err(malformed("it has no sequences".into()));
        }
        if let Some(Tolerance { each, mean }) =
            probe.tolerance.filter(|own| !(own.each.is_finite() && own.mean.is_finite()))
        {
            return Err(malformed(format!("its tolerance is {each} and {mean}, expected finite numbers")));
        }
        for (i, one) in probe.sequences.iter().enumerate() {
            let named = !one.prompt.is_empty() && !one.tokens.is_empty() && !one.values.is_empty();
            let fits = named && one.values.len().is_multiple_of(one.tokens.len());
            if !fits || !one.values.iter().all(|value| value.is_finite()) {
                return Err(malformed(format!("sequence {i} needs a prompt, tokens, and finite values for each")));
            }
        }
        Ok(probe)
    }

    /// As it is written to a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A digest of what it says about the model.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut text = String::new();
        for Sequence { prompt, tokens, values } in &self.sequences {
            let _ = writeln!(text, "{prompt:?} {tokens:?} {values:?}");
        }
        digest(text.as_bytes())
    }

    /// Fails unless there are `width` values for each token, each token below `vocab`.
    pub(crate) fn fits(&self, width: usize, vocab: usize) -> Result<(), ProbeError> {
        for (i, one) in self.sequences.iter().enumerate() {
            if one.values.len() != one.tokens.len() * width {
                let reason =
                    format!("sequence {i} does not have {width} values for each token: it is another kind of probe");
                return Err(ProbeError::Malformed { reason });
            }
            let outside = one.prompt.iter().chain(&one.tokens).find(|token| **token as usize >= vocab);
            if let Some(token) = outside {
                let reason = format!("it holds token {token}, and the model has {vocab}: it is another model's probe");
                return Err(ProbeError::Malformed { reason });
            }
        }
        Ok(())
    }

    /// How far an engine of this number format may be from it.
    pub(crate) fn tolerance_for(&self, measure: Measure, precision: &str) -> Result<Tolerance, ProbeError> {
        if let Some(own) = self.tolerance {
            return Ok(own);
        }
        let (made, served) = (measure.tolerance(&self.precision)?, measure.tolerance(precision)?);
        Ok(if made.each > served.each { made } else { served })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_holds_for_each_token_and_for_the_mean() {
        let tolerance = Tolerance { each: 0.2, mean: 0.05 };
        assert_eq!(tolerance.exceeded(&[(-1.0, -1.1), (-2.0, -2.0), (-2.0, -2.0)]), None);
        for (pairs, part) in [
            (&[(-1.0, -1.3)][..], "at compared token 0"),
            (&[(-1.0, -1.0), (f32::NAN, -1.0)], "at compared token 1"),
            (&[(-1.0, -1.1), (-1.0, -1.1)], "mean difference"),
            (&[], "nothing"),
        ] {
            assert!(tolerance.exceeded(pairs).is_some_and(|text| text.contains(part)), "{pairs:?}");
        }
    }

    #[test]
    fn what_is_no_probe_is_refused() {
        let good = r#"{"model":"m","precision":"f32","sequences":[{"prompt":[1],"tokens":[2],"values":[-1.5]}]}"#;
        let probe = Probe::parse(good.as_bytes()).unwrap();
        assert_eq!(Probe::parse(probe.to_json().as_bytes()), Ok(probe));
        for (from, to, part) in [
            ("\"model\":\"m\",", "", "missing field"),
            ("-1.5", "null", "invalid type"),
            ("[2]", "[2,3]", "sequence 0"),
            ("[1]", "[]", "sequence 0"),
            ("[{\"prompt\":[1],\"tokens\":[2],\"values\":[-1.5]}]", "[]", "no sequences"),
            ("\"f32\"", "\"f32\",\"more\":1", "unknown field"),
            ("\"f32\"", "\"f32\",\"tolerance\":{\"each\":1e39,\"mean\":1}", "its tolerance is inf and 1"),
        ] {
            let found = Probe::parse(good.replace(from, to).as_bytes()).unwrap_err();
            assert!(found.to_string().contains(part), "{to}: {found}");
        }
    }

    #[test]
    fn the_coarser_format_sets_the_tolerance() {
        let probe = |precision: &str| Probe {
            model: "m".into(),
            precision: precision.into(),
            base: String::new(),
            tolerance: None,
            sequences: vec![],
        };
        let logprobs = Measure::Logprobs;
        assert_eq!(probe("f32").tolerance_for(logprobs, "bf16"), Tolerance::of("bf16"));
        assert_eq!(probe("q8_0").tolerance_for(logprobs, "f32"), Tolerance::of("q8_0"));
        assert!(probe("f32").tolerance_for(logprobs, "fp8").unwrap_err().to_string().contains("fp8"));
        let own = Tolerance { each: 9.0, mean: 9.0 };
        assert_eq!(Probe { tolerance: Some(own), ..probe("x") }.tolerance_for(logprobs, "y"), Ok(own));
    }
}
