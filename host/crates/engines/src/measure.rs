//! How far an engine is from its probe, by what the probe holds.

use crate::{Probe, ProbeError, Tolerance};

/// What the values of a probe are, and how they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Log-probabilities, as they are.
    Logprobs,
    /// Scores, as shares of their spread over the whole probe: a score model's unit is its own.
    Scores,
    /// Latents of this many numbers: how far each is from the probe's, as a share of the length of the probe's.
    Latents(usize),
}

impl Measure {
    /// The numbers for each token.
    pub(crate) fn width(self) -> usize {
        if let Self::Latents(width) = self { width.max(1) } else { 1 }
    }

    /// The tolerance of a number format. Latents within 0.0141 of each other have a cosine of at least 0.9999; within 0.063, of
    /// at least 0.998.
    pub(crate) fn tolerance(self, precision: &str) -> Result<Tolerance, ProbeError> {
        let known = Tolerance::of(precision)?;
        Ok(match (self, precision) {
            (Self::Logprobs, _) => known,
            (Self::Scores, "f32") => Tolerance { each: 1e-3, mean: 2e-4 },
            (Self::Scores, _) => known,
            (Self::Latents(_), "f32") => Tolerance { each: 0.0141, mean: 0.0141 },
            (Self::Latents(_), _) => Tolerance { each: 0.063, mean: 0.063 },
        })
    }

    /// The unit in which values are compared.
    ///
    /// # Errors
    /// [`ProbeError::Malformed`] for a probe whose values are all the same, because every model with that value would pass.
    pub(crate) fn unit(self, probe: &Probe) -> Result<f32, ProbeError> {
        if self != Self::Scores {
            return Ok(1.0);
        }
        let values = || probe.sequences.iter().flat_map(|one| &one.values).map(|value| f64::from(*value));
        let count = values().count().max(1) as f64;
        let mean = values().sum::<f64>() / count;
        let spread = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt() as f32;
        let reason = || "all its scores are the same, so that it recognises nothing".to_owned();
        if spread > 0.0 { Ok(spread) } else { Err(ProbeError::Malformed { reason: reason() }) }
    }

    /// What is compared: for each value or each latent, the number found and the number expected.
    pub(crate) fn pairs(self, unit: f32, found: &[f32], expected: &[f32]) -> Vec<(f32, f32)> {
        let Self::Latents(_) = self else {
            return found.iter().zip(expected).map(|(found, expected)| (found / unit, expected / unit)).collect();
        };
        let rows = found.chunks(self.width()).zip(expected.chunks(self.width()));
        rows.map(|(found, expected)| (distance(found, expected), 0.0)).collect()
    }
}

/// How far a latent is from another, as a share of the other's length.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    let squares = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|number| f64::from(number).powi(2)).sum::<f64>();
    let apart = squares(&mut found.iter().zip(expected).map(|(found, expected)| found - expected));
    (apart / squares(&mut expected.iter().copied())).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sequence;

    fn probe(values: &[f32]) -> Probe {
        let sequences = vec![Sequence { prompt: vec![1], tokens: vec![2; values.len()], values: values.to_vec() }];
        Probe { model: "m".into(), precision: "bf16".into(), base: String::new(), tolerance: None, sequences }
    }

    #[test]
    fn another_latent_exceeds_the_tolerance_and_rounding_does_not() {
        // One number is far larger than the others, as latents have it: parts of the largest would hide the rest.
        let expected = [100.0f32, 1.0, -2.0, 1.5];
        let close = [100.4f32, 1.01, -2.01, 1.5];
        let of = |found: &[f32], precision: &str| {
            let measure = Measure::Latents(4);
            measure.tolerance(precision).unwrap().exceeded(&measure.pairs(1.0, found, &expected))
        };
        assert_eq!(of(&close, "bf16"), None);
        for other in [[93.0f32, 1.0, -2.0, 1.5], [100.0, 9.0, 2.0, -1.5], [1.0, 0.01, -0.02, 0.015], [0.0; 4]] {
            assert!(of(&other, "bf16").is_some(), "{other:?}");
            assert!(of(&other, "f32").is_some(), "{other:?}");
        }
        // One wrong row is not averaged away.
        let measure = Measure::Latents(2);
        let pairs = measure.pairs(1.0, &[1.0, 0.0, 0.0, 1.0], &[1.0, 0.0, 1.0, 0.0]);
        assert_eq!((pairs.len(), pairs[0]), (2, (0.0, 0.0)));
        assert!(measure.tolerance("bf16").unwrap().exceeded(&pairs).is_some());
    }

    #[test]
    fn scores_are_compared_in_the_unit_of_their_spread() {
        // Another model whose scores differ by a third of a spread that is small: 0.02 of a score.
        let small = probe(&[0.50, 0.56, 0.44, 0.53]);
        let unit = Measure::Scores.unit(&small).unwrap();
        let pairs = Measure::Scores.pairs(unit, &[0.52, 0.54, 0.46, 0.51], &small.sequences[0].values);
        assert!(Measure::Scores.tolerance("bf16").unwrap().exceeded(&pairs).is_some());
        // A right one whose scores are large.
        let large = probe(&[50.0, 90.0, -70.0, 30.0]);
        let unit = Measure::Scores.unit(&large).unwrap();
        let pairs = Measure::Scores.pairs(unit, &[50.5, 89.5, -70.5, 30.2], &large.sequences[0].values);
        assert_eq!(Measure::Scores.tolerance("bf16").unwrap().exceeded(&pairs), None);
        let error = Measure::Scores.unit(&probe(&[0.5, 0.5])).unwrap_err().to_string();
        assert!(error.contains("recognises nothing"), "{error}");
    }
}
