//! How much of the time servers are busy.

/// Counts busy servers over time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Meter {
    busy: usize,
    since: f64,
    seconds: f64,
}

impl Meter {
    pub(crate) fn begin(&mut self, now: f64) {
        self.seconds_until(now);
        self.busy += 1;
    }

    pub(crate) fn end(&mut self, now: f64) {
        self.seconds_until(now);
        self.busy -= 1;
    }

    /// Seconds that servers were busy, all together.
    pub(crate) fn seconds_until(&mut self, now: f64) -> f64 {
        self.seconds += self.busy as f64 * (now - self.since);
        self.since = now;
        self.seconds
    }
}
