//! Times work, and prints each time beside its limit.

use std::time::{Duration, Instant};

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    /// Everything once, whatever it says of speed.
    pub(crate) quick: bool,
}

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(20);

impl Stopwatch {
    /// Milliseconds of one call: the mean of a round, in the best of the rounds, which the rest of the machine disturbed
    /// least.
    pub(crate) fn time(self, mut work: impl FnMut()) -> f64 {
        let once = milliseconds(1, &mut work);
        if self.quick {
            return once;
        }
        let calls = (ROUND.as_secs_f64() * 1e3 / once).clamp(1.0, 1e6) as u32;
        (0..ROUNDS).map(|_| milliseconds(calls, &mut work)).fold(f64::INFINITY, f64::min)
    }
}

fn milliseconds(calls: u32, work: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| work());
    start.elapsed().as_secs_f64() * 1e3 / f64::from(calls)
}

/// One figure with a limit.
pub(crate) fn limited(what: &str, milliseconds: f64, most: f64) {
    println!("{what:<52} {milliseconds:>9.4} ms   at most {most} ms: {:.2} of it", milliseconds / most);
}

/// One figure without.
pub(crate) fn plain(what: &str, milliseconds: f64) {
    println!("{what:<52} {milliseconds:>9.4} ms");
}

/// One ratio with a limit.
pub(crate) fn ratio(what: &str, found: f64, most: f64) {
    println!("{what:<52} {found:>9.4}      at most {most}: {:.2} of it", found / most);
}

/// One ratio that should be at least so large.
pub(crate) fn at_least(what: &str, found: f64, least: f64) {
    println!("{what:<52} {found:>9.4}      at least {least}: {:.2} of it", found / least);
}
