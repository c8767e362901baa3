//! The arguments of the gate.

use crate::problem::Problem;
use std::path::PathBuf;

/// Rounds where the caller does not say.
const ROUNDS: usize = 9;
/// With fewer rounds an interval says nothing.
const LEAST_ROUNDS: usize = 5;

/// What the gate is asked for.
#[derive(Debug, PartialEq)]
pub(crate) enum Arguments {
    /// To time two programs.
    Ratios(Timing),
    /// To count the instructions of the hot paths.
    Counts(Counting),
}

/// Two programs, and what both are asked for.
#[derive(Debug, PartialEq)]
pub(crate) struct Timing {
    /// The program before a change.
    pub(crate) old: PathBuf,
    /// The program after it.
    pub(crate) new: PathBuf,
    /// How often each is run.
    pub(crate) rounds: usize,
    /// Options of `bench`.
    pub(crate) options: Vec<String>,
}

/// The program of the hot paths.
#[derive(Debug, PartialEq)]
pub(crate) struct Counting {
    /// Where it is.
    pub(crate) program: PathBuf,
    /// Whether the counts become the limits.
    pub(crate) record: bool,
}

impl Arguments {
    /// Reads them.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, Problem> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["ratios", old, new, rest @ ..] => Timing::parse(old, new, rest).map(Self::Ratios),
            ["counts", program] => Ok(Self::Counts(Counting { program: program.into(), record: false })),
            ["counts", program, "--record"] => Ok(Self::Counts(Counting { program: program.into(), record: true })),
            other => Err(Problem::Arguments { found: format!("found {other:?}") }),
        }
    }
}

impl Timing {
    fn parse(old: &str, new: &str, rest: &[&str]) -> Result<Self, Problem> {
        let (own, options) = match rest.iter().position(|word| *word == "--") {
            Some(at) => (&rest[..at], rest[at + 1..].iter().map(|word| (*word).to_owned()).collect()),
            None => (rest, Vec::new()),
        };
        let rounds = match own {
            [] => ROUNDS,
            ["--rounds", number] => rounds(number)?,
            other => return Err(Problem::Arguments { found: format!("found {other:?} after the programs") }),
        };
        Ok(Self { old: old.into(), new: new.into(), rounds, options })
    }
}

fn rounds(number: &str) -> Result<usize, Problem> {
    let enough = number.parse().ok().filter(|rounds| *rounds >= LEAST_ROUNDS);
    enough.ok_or_else(|| Problem::Arguments { found: format!("--rounds is {number}, and at least {LEAST_ROUNDS}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words).map_err(|problem| problem.to_string())
    }

    #[test]
    fn programs_rounds_and_options_are_read() {
        let timing = |rounds, options: &str| {
            let options = options.split_whitespace().map(str::to_owned).collect();
            Arguments::Ratios(Timing { old: "a".into(), new: "b".into(), rounds, options })
        };
        assert_eq!(parsed("ratios a b"), Ok(timing(9, "")));
        assert_eq!(parsed("ratios a b --rounds 5 -- --shape tiny"), Ok(timing(5, "--shape tiny")));
        for record in [false, true] {
            let line = if record { "counts p --record" } else { "counts p" };
            assert_eq!(parsed(line), Ok(Arguments::Counts(Counting { program: "p".into(), record })));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_is_expected() {
        for line in ["", "ratios a", "ratios a b c", "ratios a b --rounds", "counts", "counts p -r", "times a b"] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains("expected `ratios OLD NEW"), "{line}: {error}");
        }
        for rounds in ["4", "0", "-1", "many"] {
            let error = parsed(&format!("ratios a b --rounds {rounds}")).unwrap_err();
            assert!(error.contains(&format!("--rounds is {rounds}, and at least 5")), "{error}");
        }
    }
}
