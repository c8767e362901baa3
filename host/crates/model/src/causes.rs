//! Errors on one line.

use std::{error::Error, iter::successors};

/// An error and its causes: `what: why: why that`.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let all = successors(Some(error), |&error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn causes_follow_the_error() {
        let inner = std::fmt::Error;
        assert_eq!(with_causes(&inner), inner.to_string());
        assert_eq!(with_causes(&Outer(inner)), format!("outer: {inner}"));
    }
}
