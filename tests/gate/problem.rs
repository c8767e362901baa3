//! What keeps the gate from an answer.

use std::{io, path::PathBuf};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// Arguments that cannot be.
    #[error("{found}; expected `ratios OLD NEW [--rounds N] [-- OPTIONS OF BENCH]` or `counts PROGRAM [--record]`")]
    Arguments {
        /// What is wrong with them.
        found: String,
    },
    /// A program that does not start.
    #[error("{} does not start ({source}); give the path of a built program", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that failed.
    #[error("{} ended with {how}; its last line: {last}", program.display())]
    Failed {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        how: String,
        /// The last line on its standard error.
        last: String,
    },
    /// What was printed is not the output of `bench --json`.
    #[error("{} printed no rows of a bench ({source}); it must know `bench --json`", program.display())]
    Printed {
        /// The program.
        program: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// Two runs that did not measure the same.
    #[error("the runs do not compare: {found}; both programs must measure the same cases in every round")]
    Unlike {
        /// The difference.
        found: String,
    },
    /// What should be a time is not above 0.
    #[error("{case}: found {found} seconds per prompt; expected a time above 0")]
    Time {
        /// The case.
        case: String,
        /// The time.
        found: f64,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that does not hold limits.
    #[error("{}: {source}; expected one count for each name, as `tests/gate/run --record` writes them", path.display())]
    Limits {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A count that is not there.
    #[error(
        "callgrind counted nothing for `{case}`: its output has no total above 0; is the program stripped of its symbols?"
    )]
    Uncounted {
        /// The case.
        case: String,
    },
    /// A machine for which there are no limits.
    #[error("left out: under valgrind this machine shows {found}; the limits are for {expected}")]
    OtherMachine {
        /// What it shows.
        found: String,
        /// What the limits are for.
        expected: &'static str,
    },
    /// No valgrind.
    #[error("left out: valgrind does not start ({0}); install valgrind")]
    NoValgrind(#[source] io::Error),
}

impl Problem {
    /// Whether the check cannot run here, and says nothing about the program.
    pub(crate) fn is_left_out(&self) -> bool {
        matches!(self, Self::OtherMachine { .. } | Self::NoValgrind(_))
    }
}
