//! How fast one program is against another, with an interval.

use inferenceguard_dice::Dice;
use std::fmt::Write as _;

/// A program may be this slow: below it, for certain, the gate fails.
pub(crate) const LEAST: f64 = 0.95;

/// Draws of rounds, and their seed.
const DRAWS: usize = 2000;
const SEED: u64 = 1;

/// Seconds of the old program and of the new one in one round.
pub(crate) type Round = (f64, f64);

/// The speed of the new program in units of the old one's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    /// The median of the old program's seconds.
    pub(crate) old: f64,
    /// The median of the new one's.
    pub(crate) new: f64,
    /// The first over the second: 1 is as fast, less is slower.
    pub(crate) ratio: f64,
    /// The ends of its 95 % interval, by a bootstrap over rounds: both times of a round are drawn together, since what disturbs
    /// the machine in a round disturbs both.
    pub(crate) low: f64,
    /// As `low`.
    pub(crate) high: f64,
}

impl Ratio {
    /// Of the times of all rounds, each above 0; none without rounds.
    pub(crate) fn of(rounds: &[Round]) -> Option<Self> {
        let (old, new) = medians(rounds)?;
        let mut dice = Dice::new(SEED, &[]);
        let mut draw = || (0..rounds.len()).map(|_| *dice.pick(rounds)).collect::<Vec<Round>>();
        let mut drawn: Vec<f64> = (0..DRAWS).filter_map(|_| medians(&draw()).map(|(old, new)| old / new)).collect();
        drawn.sort_by(f64::total_cmp);
        let quantile = |q: f64| drawn[(q * (drawn.len() - 1) as f64).round() as usize];
        let ratio = old / new;
        Some(Self { old, new, ratio, low: quantile(0.025).min(ratio), high: quantile(0.975).max(ratio) })
    }

    /// Whether the new program is slower than allowed, for certain.
    pub(crate) fn fails(&self) -> bool {
        self.ratio < LEAST && self.high < LEAST
    }

    fn verdict(&self) -> &'static str {
        match (self.fails(), self.ratio < LEAST) {
            (true, _) => "**slower**",
            (false, true) => "perhaps slower: more rounds would tell",
            (false, false) => "passes",
        }
    }
}

fn medians(rounds: &[Round]) -> Option<Round> {
    let old = median(rounds.iter().map(|(old, _)| *old))?;
    Some((old, median(rounds.iter().map(|(_, new)| *new))?))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(f64::midpoint(values[last / 2], values[values.len() / 2]))
}

/// A Markdown table, one row for each case.
pub(crate) fn table(ratios: &[(String, Ratio)]) -> String {
    let mut out = "| case | old, s | new, s | speed of the new | 95 % | |\n|---|---|---|---|---|---|".to_owned();
    for (case, found) in ratios {
        let Ratio { old, new, ratio, low, high } = found;
        let verdict = found.verdict();
        let _ = write!(out, "\n| {case} | {old:.4} | {new:.4} | {ratio:.3} | {low:.3} to {high:.3} | {verdict} |");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds whose times vary by `noise`, each program by itself, while the machine slows both down from round to round.
    fn rounds(count: usize, slower: f64, noise: f64, seed: u64) -> Vec<Round> {
        let mut dice = Dice::new(seed, &[]);
        let mut time = |base: f64| base * (noise * dice.normal()).exp();
        (0..count).map(|round| (time(1.0 + 0.01 * round as f64), time(slower * (1.0 + 0.01 * round as f64)))).collect()
    }

    #[test]
    fn medians_and_ratios_are_those_of_the_times() {
        let found = Ratio::of(&[(1.0, 4.0), (3.0, 2.0), (2.0, 9.0)]).unwrap();
        assert_eq!((found.old, found.new, found.ratio), (2.0, 4.0, 0.5));
        let found = Ratio::of(&[(1.0, 2.0), (3.0, 2.0)]).unwrap();
        assert_eq!((found.old, found.new, found.ratio), (2.0, 2.0, 1.0));
        assert!(found.low <= 0.5 + 1e-12 && found.high >= 1.5 - 1e-12, "each round alone is drawn: {found:?}");
        assert_eq!(Ratio::of(&[]), None);
    }

    #[test]
    fn times_without_noise_have_no_interval() {
        for (slower, fails) in [(1.0, false), (1.04, false), (1.1, true), (0.5, false)] {
            let found = Ratio::of(&[(2.0, 2.0 * slower); 9]).unwrap();
            assert!((found.ratio * slower - 1.0).abs() < 1e-12 && found.low == found.high, "{found:?}");
            assert_eq!(found.fails(), fails, "{found:?}");
        }
    }

    #[test]
    fn a_slower_program_fails_and_noise_alone_does_not() {
        let failed = |slower: f64, noise: f64| {
            (0..200).filter(|seed| Ratio::of(&rounds(9, slower, noise, *seed)).unwrap().fails()).count()
        };
        assert_eq!(failed(1.25, 0.02), 200, "a quarter slower under little noise");
        assert!(failed(1.0, 0.05) <= 2, "the same program under noise: {}", failed(1.0, 0.05));
        assert!(failed(1.0, 0.3) <= 10, "the same program on a busy machine: {}", failed(1.0, 0.3));
        assert_eq!(failed(0.8, 0.02), 0, "a faster one");
    }

    #[test]
    fn a_ratio_below_the_limit_whose_interval_reaches_it_does_not_fail() {
        let times = [(1.0, 1.1), (1.0, 1.1), (1.0, 1.1), (1.0, 0.9), (1.0, 0.9)];
        let found = Ratio::of(&times).unwrap();
        assert!(found.ratio < LEAST && found.high >= LEAST && !found.fails(), "{found:?}");
        let table = table(&[("base N = 1".to_owned(), found)]);
        assert!(
            table.ends_with(
                "| base N = 1 | 1.0000 | 1.1000 | 0.909 | 0.909 to 1.111 | perhaps slower: more rounds would tell |"
            ),
            "{table}"
        );
    }
}
