//! The regression gate: is a program slower than another one, and do the hot paths need more instructions than their limits?
//!
//! `tests/gate/run` builds and calls it; `host/SPEED.md` says how to read what it prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a tool prints what it found")]

mod arguments;
mod counts;
mod problem;
mod ratios;
mod rows;

use arguments::{Arguments, Counting, Timing};
use problem::Problem;
use ratios::Ratio;
use std::process::ExitCode;

/// What a check that could not run ends with.
const LEFT_OUT: u8 = 77;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let passed = Arguments::parse(&arguments).and_then(|arguments| match arguments {
        Arguments::Ratios(timing) => times(&timing),
        Arguments::Counts(counting) => instructions(&counting),
    });
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            if problem.is_left_out() { ExitCode::from(LEFT_OUT) } else { ExitCode::FAILURE }
        }
    }
}

/// Runs both programs in turn, and prints a table. False if a case is slower for certain.
fn times(timing: &Timing) -> Result<bool, Problem> {
    let mut rounds = rows::Rounds::default();
    for round in 1..=timing.rounds {
        let old = rows::run(&timing.old, &timing.options)?;
        let new = rows::run(&timing.new, &timing.options)?;
        rounds.add(old, new)?;
        eprintln!("round {round} of {}", timing.rounds);
    }
    let ratios = rounds.ratios();
    println!("{}", ratios::table(&ratios));
    Ok(!ratios.iter().any(|(_, ratio)| Ratio::fails(ratio)))
}

/// Counts the instructions of each hot path, and prints a table or keeps them as limits. False if a limit is exceeded.
fn instructions(counting: &Counting) -> Result<bool, Problem> {
    let found = counts::measure(&counting.program)?;
    let path = counts::limits_file();
    if counting.record {
        counts::record(&path, &found)?;
        println!("{} counts are kept as limits in {}", found.len(), path.display());
        return Ok(true);
    }
    let compared = counts::compare(&found, &counts::limits(&path)?);
    println!("{}", counts::table(&compared));
    Ok(compared.iter().all(|one| one.verdict.passes()))
}
