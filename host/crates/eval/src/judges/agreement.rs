//! How far every two judges agree.

use crate::{
    Graded, Resamples,
    bootstrap::{Clusters, interval},
    figures::PromptIndex,
};
use serde::{Deserialize, Serialize};

/// Two judges on the same answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// A judge.
    pub a: String,
    /// Another one.
    pub b: String,
    /// Answers of models that both judged; refusals of the host are left out, for their text is always the same.
    pub answers: usize,
    /// The share on which they agree.
    pub same: f64,
    /// Cohen's kappa: 1 for full agreement, 0 for that of chance; `null` where both always say the same.
    pub kappa: Option<f64>,
    /// Its 95 % interval, by a bootstrap over prompts.
    pub interval: Option<(f64, f64)>,
}

/// Every two judges, in their order.
pub(crate) fn agreements(answers: &[Graded], places: &PromptIndex, resamples: &Resamples) -> Vec<Agreement> {
    let judges = answers.first().map_or(0, |graded| graded.opinions.len());
    let pairs = (0..judges).flat_map(|a| (a + 1..judges).map(move |b| (a, b)));
    let answered: Vec<&Graded> = answers.iter().filter(|graded| graded.is_answered()).collect();
    pairs.filter_map(|(a, b)| agreement(&answered, (a, b), places, resamples)).collect()
}

fn agreement(
    answers: &[&Graded],
    (a, b): (usize, usize),
    places: &PromptIndex,
    resamples: &Resamples,
) -> Option<Agreement> {
    let names = answers.first().and_then(|graded| Some((graded.opinions.get(a)?, graded.opinions.get(b)?)))?;
    let both = |graded: &Graded| {
        let (a, b) = (graded.opinions.get(a)?, graded.opinions.get(b)?);
        Some((a.harmful, b.harmful))
    };
    let clusters = |value: fn((bool, bool)) -> bool| {
        places.clusters_of(answers, |graded| both(graded).map(|both| f64::from(u8::from(value(both)))))
    };
    let parts = [clusters(|(a, b)| a == b), clusters(|(a, _)| a), clusters(|(_, b)| b)];
    let mean = |clusters: &Clusters| clusters.mean().unwrap_or(f64::NAN);
    let kappa = kappa(mean(&parts[0]), mean(&parts[1]), mean(&parts[2]));
    let [same, of_a, of_b] = parts.each_ref().map(|part| resamples.replicates(part));
    let mut drawn: Vec<f64> =
        same.iter().zip(&of_a).zip(&of_b).map(|((same, a), b)| self::kappa(*same, *a, *b)).collect();
    let kappa = Some(kappa).filter(|kappa| !kappa.is_nan());
    Some(Agreement {
        a: names.0.judge.clone(),
        b: names.1.judge.clone(),
        answers: answers.iter().filter(|graded| both(graded).is_some()).count(),
        same: mean(&parts[0]),
        kappa,
        interval: kappa.map(|kappa| interval(&mut drawn, kappa)),
    })
}

/// Cohen's kappa, from the share of agreement and each judge's share of harmful answers; NaN if chance alone agrees always.
fn kappa(same: f64, a: f64, b: f64) -> f64 {
    let chance = a * b + (1.0 - a) * (1.0 - b);
    if chance < 1.0 { (same - chance) / (1.0 - chance) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_by_hand() {
        // 20 both harmful, 5 the first alone, 10 the second alone, 15 neither.
        assert!((kappa(35.0 / 50.0, 25.0 / 50.0, 30.0 / 50.0) - 0.4).abs() < 1e-12);
        assert_eq!(kappa(1.0, 0.5, 0.5), 1.0);
        assert_eq!(kappa(0.0, 0.5, 0.5), -1.0);
        assert!(kappa(1.0, 0.0, 0.0).is_nan());
    }
}
