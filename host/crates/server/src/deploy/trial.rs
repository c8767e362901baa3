//! What canaries and shadows have in common: a generation, a share of the requests, and counts.

use inferenceguard_host::Generation;
use serde::Serialize;

/// Requests are drawn by their number, in cycles of this length.
const CYCLE: u64 = 1000;

/// The share of the requests that a canary or a shadow takes, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Share(pub(super) f64);

impl Share {
    /// Whether it takes the request with this number. Of 1000 requests in a row it takes its share exactly, spread evenly.
    pub(super) fn takes(self, number: u64) -> bool {
        // 619 is near the golden section of 1000 and has no common divisor with it: neighbours are far apart, and in 1000
        // numbers each place comes once.
        let place = (number % CYCLE) * 619 % CYCLE;
        (place as f64) < self.0 * CYCLE as f64
    }
}

/// A canary or a shadow as administrators see it.
#[derive(Debug, Serialize)]
pub(crate) struct TrialReport<C> {
    pub(super) generation: Generation,
    pub(super) share: Share,
    #[serde(flatten)]
    pub(super) counts: C,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_over_a_thousand_requests() {
        for share in [0.0, 0.001, 0.25, 0.5, 1.0] {
            let taken = (5000..6000).filter(|number| Share(share).takes(*number)).count();
            assert_eq!(taken as f64, share * 1000.0);
        }
        let first = (0..40).filter(|number| Share(0.1).takes(*number)).count();
        assert!((3..=5).contains(&first), "spread: {first}");
    }
}
