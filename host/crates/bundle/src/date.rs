//! Times: now, and for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

/// The time now, in seconds since 1970; 0 if the clock is set to a time before.
#[must_use]
pub fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Seconds since 1970 as RFC 3339 writes them, UTC; whatever comes after the year 9999 as its last second.
#[must_use]
pub fn date(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds.min(LAST))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_a_date() {
        for (seconds, expected) in
            [(0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (u64::MAX, "9999-12-31T23:59:59Z")]
        {
            assert_eq!(date(seconds), expected);
        }
    }
}
