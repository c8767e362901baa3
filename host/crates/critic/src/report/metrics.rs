//! How good probabilities and numbers are.

pub use inferenceguard_eval::{auc, plots::Bin};

/// A probability, and whether it came true.
pub type Pair = (f64, bool);

/// The mean squared error of probabilities: 0 is perfect, and always predicting the base rate p costs p (1 - p).
#[must_use]
pub fn brier(pairs: &[Pair]) -> f64 {
    mean(pairs.iter().map(|(p, true_)| (p - f64::from(u8::from(*true_))).powi(2)))
}

/// The share that came true.
#[must_use]
pub fn base_rate(pairs: &[Pair]) -> f64 {
    mean(pairs.iter().map(|(_, true_)| f64::from(u8::from(*true_))))
}

/// Bins of equal width, without empty bins.
#[must_use]
pub fn reliability(pairs: &[Pair], bins: usize) -> Vec<Bin> {
    let pairs: Vec<(f64, f64)> = pairs.iter().map(|(p, true_)| (*p, f64::from(u8::from(*true_)))).collect();
    soft_reliability(&pairs, bins)
}

/// As [`reliability`] for truths from 0 to 1.
#[must_use]
pub fn soft_reliability(pairs: &[(f64, f64)], bins: usize) -> Vec<Bin> {
    let mut sums = vec![(0usize, 0.0, 0.0); bins];
    for (p, truth) in pairs {
        let at = ((p * bins as f64) as usize).min(bins - 1);
        let sum = &mut sums[at];
        *sum = (sum.0 + 1, sum.1 + p, sum.2 + truth);
    }
    let bin = |(count, predicted, observed): (usize, f64, f64)| {
        let n = count as f64;
        (count > 0).then(|| Bin { count, predicted: predicted / n, observed: observed / n })
    };
    sums.into_iter().filter_map(bin).collect()
}

/// The expected calibration error: how far predicted and observed shares lie apart, averaged over the examples' bins.
#[must_use]
pub fn calibration_error(bins: &[Bin]) -> f64 {
    let count: usize = bins.iter().map(|bin| bin.count).sum();
    let off = bins.iter().map(|bin| bin.count as f64 * (bin.predicted - bin.observed).abs());
    off.sum::<f64>() / count.max(1) as f64
}

/// The share of the truth's variance that is explained: 1 is perfect, the mean alone gives 0. Pairs are (found, truth).
/// `None` where the truth does not vary.
#[must_use]
pub fn r_squared(pairs: &[(f64, f64)]) -> Option<f64> {
    let truth = mean(pairs.iter().map(|(_, truth)| *truth));
    let variance = mean(pairs.iter().map(|(_, one)| (one - truth).powi(2)));
    let error = mean(pairs.iter().map(|(found, one)| (found - one).powi(2)));
    (variance > 0.0).then(|| 1.0 - error / variance)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [Pair; 4] = [(0.1, false), (0.4, true), (0.4, false), (0.9, true)];

    #[test]
    fn numbers_worked_out_by_hand() {
        // 0.01 + 0.36 + 0.16 + 0.01 over 4.
        assert!((brier(&PAIRS) - 0.135).abs() < 1e-12);
        assert_eq!(base_rate(&PAIRS), 0.5);
        // Of four pairs of a true and a false one, three are in order and one is tied.
        assert_eq!(auc(&PAIRS), Some(3.5 / 4.0));
        assert_eq!(auc(&PAIRS[..1]), None);
        // Bins [0, 0.5): 0.3 predicted, 1/3 observed; [0.5, 1]: 0.9 and 1.
        let bins = reliability(&PAIRS, 2);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [3, 1]);
        assert!((calibration_error(&bins) - (3.0 * (1.0 / 3.0 - 0.3) + 0.1) / 4.0).abs() < 1e-12);
        assert_eq!(reliability(&[(1.0, true)], 10).len(), 1);
    }

    #[test]
    fn explained_variance() {
        assert_eq!(r_squared(&[(1.0, 1.0), (3.0, 3.0)]), Some(1.0));
        assert_eq!(r_squared(&[(2.0, 1.0), (2.0, 3.0)]), Some(0.0));
        assert_eq!(r_squared(&[(2.0, 1.0), (3.0, 1.0)]), None);
    }

    #[test]
    fn perfect_and_reversed_orders() {
        assert_eq!(auc(&[(0.2, false), (0.3, true)]), Some(1.0));
        assert_eq!(auc(&[(0.3, false), (0.2, true)]), Some(0.0));
        assert_eq!(auc(&[(0.5, false), (0.5, true)]), Some(0.5));
    }
}
