//! Thresholds that few safe answers cross: the split-conformal quantile of what safe calibration answers reach.
//!
//! If an answer is exchangeable with n calibration answers, what it reaches is above the k-th smallest of theirs with probability
//! α at most, for k = ⌈(n + 1)(1 − α)⌉. Nothing is assumed of the values, nor of the head that gives them, but that the calibration
//! answers did not shape it.

use crate::error::{CriticError, Result};
use serde::Serialize;

/// The α of the report: the shares of safe answers that may be crossed.
pub(super) const ALPHAS: [f64; 3] = [0.01, 0.05, 0.1];

/// The α that a bundle's methods get.
pub(super) const OF_BUNDLES: f64 = 0.05;

/// What rounding may take from (n + 1) α, so that 100 · 0.29 counts as 29.
const ROUNDING: f64 = 1e-9;

/// A threshold of a policy that intervenes where the modelled probability of harm is above it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// P(any intervention | safe answer) that the threshold aims at; a bound only for answers that did not shape the head.
    pub alpha: f64,
    /// The threshold; `null` with too few answers.
    pub threshold: Option<f64>,
    /// Safe answers it was found on.
    pub count: usize,
    /// Safe answers that this α needs.
    pub needed: usize,
    /// The share of harmless answers of the test above it.
    pub harmless: Option<f64>,
    /// The share of harmful answers of the test above it.
    pub harmful: Option<f64>,
    /// The share of the model's own answers to harmless prompts, of the test, above it.
    pub own: Option<f64>,
}

/// The ⌈(n + 1)(1 − α)⌉-th smallest of what n safe calibration answers reach. A policy that intervenes above it intervenes in a
/// safe answer with probability α at most.
///
/// # Errors
/// [`CriticError::Option`] for an α that is not between 0 and 1, and for values that are not finite; [`CriticError::TooFew`] with
/// the n that this α needs.
pub fn conformal_threshold(reached: &[f64], alpha: f64) -> Result<f64> {
    let needed = needed(alpha)?;
    if let Some(wrong) = reached.iter().find(|value| !value.is_finite()) {
        return Err(CriticError::option("calibration value", wrong, "finite numbers"));
    }
    let mut sorted = reached.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = ((sorted.len() + 1) as f64 * alpha + ROUNDING).floor() as usize;
    let found = || CriticError::TooFew { what: "safe answers to calibrate on", found: sorted.len(), expected: needed };
    // The k-th smallest, k = n + 1 - above, has the place n - above, from 0.
    let place = sorted.len().checked_sub(above);
    place.and_then(|place| sorted.get(place).copied()).ok_or_else(found)
}

/// The least n with ⌈(n + 1)(1 − α)⌉ ≤ n.
pub(super) fn needed(alpha: f64) -> Result<usize> {
    if alpha > 0.0 && alpha < 1.0 {
        let answers = ((1.0 - ROUNDING) / alpha).ceil() as usize;
        return Ok(answers.saturating_sub(1).max(1));
    }
    Err(CriticError::option("alpha", alpha, "a number above 0, below 1"))
}

/// What answers of the test reach.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached {
    pub(super) harmless: Vec<f64>,
    pub(super) harmful: Vec<f64>,
    pub(super) own: Vec<f64>,
}

/// The thresholds of the report, and what they do to answers of the test. Too few answers for an α leave it without a threshold.
///
/// # Errors
/// As [`conformal_threshold`], but for too few answers.
pub(super) fn thresholds(safe: &[f64], test: &Reached) -> Result<Vec<Threshold>> {
    let above = |reached: &[f64], threshold: f64| {
        let count = reached.iter().filter(|value| **value > threshold).count();
        (!reached.is_empty()).then(|| count as f64 / reached.len() as f64)
    };
    let one = |alpha: f64| -> Result<Threshold> {
        let threshold = match conformal_threshold(safe, alpha) {
            Ok(threshold) => Some(threshold),
            Err(CriticError::TooFew { .. }) => None,
            Err(error) => return Err(error),
        };
        let share = |reached: &[f64]| threshold.and_then(|threshold| above(reached, threshold));
        let (harmless, harmful, own) = (share(&test.harmless), share(&test.harmful), share(&test.own));
        Ok(Threshold { alpha, threshold, count: safe.len(), needed: needed(alpha)?, harmless, harmful, own })
    };
    ALPHAS.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use inferenceguard_dice::Dice;

    /// 1 to n, the largest first.
    fn falling(n: usize) -> Vec<f64> {
        (1..=n).rev().map(|value| value as f64).collect()
    }

    #[test]
    fn the_threshold_is_the_exact_quantile() {
        // The place is ceil((n + 1)(1 - alpha)), from 1.
        for (n, alpha, place) in [
            (99, 0.01, 99),
            (100, 0.01, 100),
            (198, 0.01, 198),
            (199, 0.01, 198),
            (19, 0.05, 19),
            (39, 0.05, 38),
            (40, 0.05, 39),
            (9, 0.1, 9),
            (19, 0.1, 18),
            (99, 0.29, 71),
            (1, 0.5, 1),
            (3, 0.5, 2),
        ] {
            assert_eq!(conformal_threshold(&falling(n), alpha).unwrap(), place as f64, "{n}, {alpha}");
        }
        assert_eq!(conformal_threshold(&[0.0, 0.0, 0.5], 0.5).unwrap(), 0.0, "ties count one by one");
    }

    #[test]
    fn too_few_answers_are_refused_with_the_number_that_is_needed() {
        for (alpha, needed) in [(0.01, 99), (0.05, 19), (0.1, 9), (0.3, 3), (0.5, 1), (0.9, 1)] {
            assert!(conformal_threshold(&falling(needed), alpha).is_ok(), "{alpha}");
            let error = conformal_threshold(&falling(needed - 1), alpha).unwrap_err();
            let expected = format!("found {} safe answers to calibrate on, expected at least {needed}", needed - 1);
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn what_is_no_share_and_no_number_is_refused() {
        for alpha in [0.0, 1.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            let error = conformal_threshold(&falling(99), alpha).unwrap_err().to_string();
            assert!(error.contains("option alpha is") && error.contains("above 0, below 1"), "{error}");
        }
        for value in [f64::NAN, f64::INFINITY] {
            let error = conformal_threshold(&[0.1, value, 0.2], 0.5).unwrap_err().to_string();
            assert!(error.contains(&format!("calibration value is {value}, expected finite numbers")), "{error}");
        }
    }

    #[test]
    fn few_new_safe_answers_are_above_it() {
        // 2,000 times: 39 answers to calibrate on, and a new one. (39 + 1) · 0.1 = 4 places of 40 are above: exactly 10 %.
        let mut dice = Dice::new(4, &[1]);
        let mut crossed = 0;
        for _ in 0..2000 {
            let drawn: Vec<f64> = (0..40).map(|_| dice.normal()).collect();
            crossed += usize::from(drawn[39] > conformal_threshold(&drawn[..39], 0.1).unwrap());
        }
        assert!((140..=260).contains(&crossed), "{crossed} of 2000");
    }

    #[test]
    fn the_report_says_what_a_threshold_does_to_other_answers() {
        let safe: Vec<f64> = falling(20).iter().map(|value| value / 100.0).collect();
        let test =
            Reached { harmless: vec![0.1, 0.3], harmful: vec![0.18, 0.2, 0.9, 1.0], own: vec![0.1, 0.195, 0.2, 0.3] };
        let found = thresholds(&safe, &test).unwrap();
        let short: Vec<_> = found.iter().map(|one| (one.alpha, one.threshold, one.count, one.needed)).collect();
        assert_eq!(short, [(0.01, None, 20, 99), (0.05, Some(0.2), 20, 19), (0.1, Some(0.19), 20, 9)]);
        let shares: Vec<_> = found.iter().map(|one| (one.harmless, one.harmful, one.own)).collect();
        let expected = [(None, None, None), (Some(0.5), Some(0.5), Some(0.25)), (Some(0.5), Some(0.75), Some(0.75))];
        assert_eq!(shares, expected);
        assert_eq!(thresholds(&safe, &Reached::default()).unwrap()[1].harmless, None);
        assert!(thresholds(&[f64::NAN], &Reached::default()).is_err());
    }
}
