//! How long an engine may take.

use std::time::Duration;

/// How long an engine may take, and what this side does meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deadlines {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From the request to the first byte of its answer. Engines answer when all tokens of a row are there.
    pub first_byte: Duration,
    /// Between two parts of an answer.
    pub pause: Duration,
    /// For a row with all its retries, and its wait for a place.
    pub whole: Duration,
    /// Between two checks of a replica that answers. After twice this time without a check it is not used unchecked.
    pub check: Duration,
    /// Between two short looks at a replica that answers: whether it still serves the same model.
    pub look: Duration,
    /// From a request of a check or a look to the first byte of its answer; at the start `first_byte`.
    pub check_byte: Duration,
    /// Between two checks of a replica that does not, or that is another model.
    pub recheck: Duration,
    /// Before the first retry; each further one waits twice as long.
    pub backoff: Duration,
}

impl Deadlines {
    /// The defaults, for engines that need this long for a row: the time to its first byte, and two and a half times as long for
    /// a row with all its retries.
    #[must_use]
    pub fn answering_within(first_byte: Duration) -> Self {
        Self { first_byte, whole: first_byte.mul_f64(2.5), ..Self::default() }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_byte: Duration::from_secs(120),
            pause: Duration::from_secs(10),
            whole: Duration::from_secs(300),
            check: Duration::from_secs(180),
            look: Duration::from_secs(5),
            check_byte: Duration::from_secs(10),
            recheck: Duration::from_secs(2),
            backoff: Duration::from_millis(50),
        }
    }
}
