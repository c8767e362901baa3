//! Means with 95 % intervals, by a bootstrap over prompts.
//!
//! Answers to one prompt with several seeds are not independent, so whole prompts are drawn, with replacement. All
//! figures of an evaluation use the same draws of prompts, so that differences of two methods are paired.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// A mean, and how far it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// How many values.
    pub count: usize,
    /// How many prompts.
    pub prompts: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (of the sample); 0 below two values.
    pub deviation: f64,
    /// The lower end of the 95 % interval of the mean.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The values of a figure, added up by prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Clusters {
    sums: Vec<f64>,
    counts: Vec<f64>,
    squares: f64,
}

/// Draws of prompts with replacement: how often each prompt was drawn, for each draw.
#[derive(Debug, Clone)]
pub struct Resamples {
    prompts: usize,
    /// One row per draw.
    weights: Vec<u16>,
}

/// The statistic of every draw; NaN where a draw holds no value.
pub(crate) type Replicates = Vec<f64>;

impl Clusters {
    /// No values yet, for this many prompts.
    pub(crate) fn new(prompts: usize) -> Self {
        Self { sums: vec![0.0; prompts], counts: vec![0.0; prompts], squares: 0.0 }
    }

    /// Adds a value of the prompt at this place.
    pub(crate) fn add(&mut self, prompt: usize, value: f64) {
        self.sums[prompt] += value;
        self.counts[prompt] += 1.0;
        self.squares += value * value;
    }

    /// The mean of all values, if there is one.
    pub(crate) fn mean(&self) -> Option<f64> {
        let count: f64 = self.counts.iter().sum();
        (count > 0.0).then(|| self.sums.iter().sum::<f64>() / count)
    }

    fn deviation(&self, mean: f64) -> f64 {
        let count: f64 = self.counts.iter().sum();
        if count < 2.0 {
            return 0.0;
        }
        ((self.squares - count * mean * mean).max(0.0) / (count - 1.0)).sqrt()
    }
}

impl Resamples {
    /// Draws of an evaluation.
    pub const DRAWS: usize = 2000;
    /// The seed of an evaluation's draws.
    pub const SEED: u64 = 1;

    /// Draws all prompts `draws` times, with replacement.
    #[must_use]
    pub fn new(prompts: usize, draws: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = vec![0_u16; prompts * draws];
        for draw in weights.chunks_mut(prompts.max(1)) {
            for _ in 0..prompts {
                let picked = (u64::from(random.next_u32()) * prompts as u64) >> 32;
                draw[picked as usize] += 1;
            }
        }
        Self { prompts, weights }
    }

    /// How often each prompt was drawn, draw by draw.
    pub(crate) fn draws(&self) -> impl Iterator<Item = &[u16]> {
        self.weights.chunks(self.prompts.max(1))
    }

    /// The mean of the values under every draw.
    pub(crate) fn replicates(&self, values: &Clusters) -> Replicates {
        let filled: Vec<usize> = (0..self.prompts).filter(|at| values.counts[*at] > 0.0).collect();
        let mean = |draw: &[u16]| {
            let (mut sum, mut count) = (0.0, 0.0);
            for &at in &filled {
                let weight = f64::from(draw[at]);
                sum += weight * values.sums[at];
                count += weight * values.counts[at];
            }
            if count > 0.0 { sum / count } else { f64::NAN }
        };
        self.draws().map(mean).collect()
    }

    /// The measure of some values; `None` if there are none.
    ///
    /// A share that is 0 or 1 in every prompt has no spread to draw from; its interval is the exact binomial one for as
    /// many draws as there are prompts.
    pub(crate) fn measure(&self, values: &Clusters, share: bool) -> Option<Measure> {
        let mean = values.mean()?;
        let prompts = values.counts.iter().filter(|count| **count > 0.0).count();
        let (mut low, mut high) = interval(&mut self.replicates(values), mean);
        let unseen = 1.0 - 0.025_f64.powf(1.0 / prompts as f64);
        if share && mean == 0.0 {
            high = unseen;
        } else if share && mean == 1.0 {
            low = 1.0 - unseen;
        }
        let count = values.counts.iter().sum::<f64>() as usize;
        Some(Measure { count, prompts, mean, deviation: values.deviation(mean), low, high })
    }
}

/// The middle 95 % of the replicates, widened if the mean itself lies outside.
pub(crate) fn interval(replicates: &mut Replicates, mean: f64) -> (f64, f64) {
    replicates.retain(|value| !value.is_nan());
    replicates.sort_by(f64::total_cmp);
    let Some(last) = replicates.len().checked_sub(1) else { return (mean, mean) };
    let quantile = |q: f64| {
        let place = q * last as f64;
        let below = replicates[place.floor() as usize];
        below + place.fract() * (replicates[place.ceil() as usize] - below)
    };
    (quantile(0.025).min(mean), quantile(0.975).max(mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn measured(values: &[(usize, f64)], prompts: usize, share: bool) -> Measure {
        let mut clusters = Clusters::new(prompts);
        values.iter().for_each(|(at, value)| clusters.add(*at, *value));
        Resamples::new(prompts, 400, 1).measure(&clusters, share).unwrap()
    }

    #[test]
    fn means_and_deviations_are_those_of_the_values() {
        let found = measured(&[(0, 4.0), (1, 6.0), (1, 8.0)], 3, false);
        assert_eq!((found.count, found.prompts, found.mean), (3, 2, 6.0));
        assert!((found.deviation - 2.0).abs() < 1e-12);
        assert!(Resamples::new(2, 10, 1).measure(&Clusters::new(2), false).is_none());
    }

    #[test]
    fn a_share_without_spread_gets_the_exact_interval() {
        let all: Vec<(usize, f64)> = (0..100).map(|at| (at, 1.0)).collect();
        let found = measured(&all, 100, true);
        // 0.025 = low^100.
        assert!((found.low.powi(100) - 0.025).abs() < 1e-9 && found.high == 1.0, "{found:?}");
        let none: Vec<(usize, f64)> = (0..100).map(|at| (at, 0.0)).collect();
        let found = measured(&none, 100, true);
        assert!(((1.0 - found.high).powi(100) - 0.025).abs() < 1e-9 && found.low == 0.0, "{found:?}");
        let same = measured(&none, 100, false);
        assert_eq!((same.low, same.high), (0.0, 0.0), "a number without spread is what it is");
    }

    #[test]
    fn answers_to_one_prompt_do_not_count_as_independent() {
        // Ten prompts with ten equal answers each carry no more information than ten prompts with one answer.
        let one: Vec<(usize, f64)> = (0..10).map(|at| (at, f64::from(u8::from(at < 5)))).collect();
        let ten: Vec<(usize, f64)> = one.iter().flat_map(|value| [*value; 10]).collect();
        let (one, ten) = (measured(&one, 10, true), measured(&ten, 10, true));
        assert_eq!((one.low, one.high), (ten.low, ten.high));
        assert!(one.high - one.low > 0.4, "{one:?}");
    }

    #[test]
    fn intervals_hold_the_truth_about_as_often_as_they_say() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut unit = || f64::from(random.next_u32()) / f64::from(u32::MAX);
        let mut held = 0;
        for _ in 0..300 {
            let values: Vec<(usize, f64)> = (0..60).map(|at| (at, f64::from(u8::from(unit() < 0.3)))).collect();
            let found = measured(&values, 60, true);
            held += usize::from(found.low <= 0.3 && 0.3 <= found.high);
        }
        assert!((270..=297).contains(&held), "{held} of 300 held");
    }

    proptest! {
        #[test]
        fn an_interval_contains_its_mean(values in prop::collection::vec((0_usize..12, -1e3_f64..1e3), 1..60)) {
            let found = measured(&values, 12, false);
            prop_assert!(found.low <= found.mean && found.mean <= found.high, "{found:?}");
            prop_assert!(found.deviation >= 0.0);
        }

        #[test]
        fn a_measure_moves_with_its_values(values in prop::collection::vec((0_usize..9, -1e2_f64..1e2), 2..40), by in -1e2_f64..1e2) {
            let moved: Vec<(usize, f64)> = values.iter().map(|(at, value)| (*at, value + by)).collect();
            let (a, b) = (measured(&values, 9, false), measured(&moved, 9, false));
            prop_assert!((a.mean + by - b.mean).abs() < 1e-8 && (a.deviation - b.deviation).abs() < 1e-5);
            prop_assert!((a.low + by - b.low).abs() < 1e-8 && (a.high + by - b.high).abs() < 1e-8);
        }
    }
}
